"""`glink status`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from glink.cli.shell import ConfigOption, JsonOption, MaybeProject, ServerOption, TokenFileOption, configured
from glink.cli.source import Local, Source, source_of
from glink.cli.speech import say, show, table
from glink.clock import text_of
from glink.errors import Problem, UsageError
from glink.words import escaped, in_words


def command(
    project: MaybeProject = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Print anew whenever something changes.")] = False,
    at: Annotated[str | None, typer.Option(metavar="SEQ|TIME", help="As it was after that event, or then.")] = None,
    config: ConfigOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    json: JsonOption = False,
) -> None:
    """How the projects are, or one of them step by step.

    Example: glink status hello-world
    """
    source = source_of(configured(config), server, token_file)
    if at is not None:
        source = _then(source, at)
    _print(source, project, json)
    if watch:
        since = max((record["seq"] for record in source.events(None, 0, follow=False, stop=lambda: False)), default=0)
        for _ in source.events(project, since, follow=True, stop=lambda: False):
            _print(source, project, json)


def _then(source: Source, at: str) -> Source:
    """The bus as it was: after a seq, or at a time in any form of ISO 8601 (UTC where it names no zone)."""
    if not isinstance(source, Local):
        raise UsageError("--at reads the bus directory: ask on its machine, without --server")
    if at.isdigit():
        return Local(source.config, {"seq": int(at)})
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise UsageError(f"--at {at}: write a seq (4711) or a time (2026-11-26T09:30)") from None
    then = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return Local(source.config, {"time": text_of(then.timestamp())})


def _print(source: Source, project: str | None, as_json: bool) -> None:
    answer = source.ask("project", project=project) if project is not None else source.ask("projects")
    if as_json:
        show(answer)
    elif project is not None:
        _one(answer)
    else:
        _all(answer)


def _all(answer: dict[str, Any]) -> None:
    holder = answer["daemon"]
    daemon = f"held by pid {holder['pid']}" if holder else "no daemon"
    say(f"{answer['revision']}   {daemon}")
    rows = [
        (one["project"], one["sync"], one["health"], _run(one), _progress(one), escaped(_trouble(one)))
        for one in answer["projects"]
    ]
    say(table(rows, ("PROJECT", "SYNC", "HEALTH", "RUN", "STEPS", "")))


def _one(report: dict[str, Any]) -> None:
    say(f"{report['project']}   {report['sync']}   {report['health']}   {_run(report)}")
    say(
        f"generation {report['generation']} of {report['revision']}"
        if report["generation"]
        else "never seen by an engine yet"
    )
    for error in report["errors"]:
        say(f"  {Problem(**error)}")
    rows = [
        (
            row["step"],
            row["status"],
            row["agent"],
            str(row["attempts"] or "-"),
            f"{row['seconds']:.2f}" if row["seconds"] is not None else "-",
            escaped(in_words(row["reason"], holder=row["holder"], detail=row["detail"], due=row["due"])),
        )
        for row in report["steps"]
    ]
    say(table(rows, ("STEP", "STATUS", "AGENT", "TRIES", "SECONDS", "REASON")))
    for one in report["conditions"]:
        if one["message"]:
            say(f"{one['type']}={one['status']}: {one['message']}")


def _run(report: dict[str, Any]) -> str:
    run = report["run"]
    return "-" if run is None else f"#{run['number']} {run['status']}"


def _progress(report: dict[str, Any]) -> str:
    done = sum(row["decision"] == "stay" for row in report["steps"])
    return f"{done}/{len(report['steps'])}"


def _trouble(report: dict[str, Any]) -> str:
    if corrupt := [one["message"] for one in report["conditions"] if one["type"] == "BusCorrupt"]:
        return str(corrupt[0])
    if report["errors"]:
        return str(Problem(**report["errors"][0]))
    bad = [row for row in report["steps"] if row["status"] == "failed" or row["decision"] == "wait"]
    return (
        f"{bad[0]['step']}: {in_words(bad[0]['reason'], holder=bad[0]['holder'], detail=bad[0]['detail'], due=bad[0]['due'])}"
        if bad
        else ""
    )
