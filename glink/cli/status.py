"""`glink status`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, TypedDict

import typer

from glink.app import View
from glink.cli.shell import ConfigOption, JsonOption, MaybeProject, configured, say, show, table
from glink.clock import text_of
from glink.errors import UsageError
from glink.reconciler.survey import survey
from glink.report import Report
from glink.words import escaped, in_words


class Moment(TypedDict, total=False):
    """One of both."""

    seq: int
    time: str


def command(
    project: MaybeProject = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Print anew whenever something changes.")] = False,
    at: Annotated[str | None, typer.Option(metavar="SEQ|TIME", help="As it was after that event, or then.")] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """How the projects are, or one of them step by step.

    Example: glink status hello-world
    """
    settings = configured(config)
    names = [project] if project else []
    if at is not None:
        _print(View.at(settings, names, **_moment(at)), project, json)
        return
    view = View.take(settings, names)
    _print(view, project, json)
    if watch and view.reader is not None:
        after = max((desk.state.seq for desk in view.desks.values()), default=0)
        for record in view.reader.follow(after, stop=lambda: False, every=0.5):
            if project in (None, record.get("project")):
                _print(View.take(settings, names), project, json)


def _moment(text: str) -> Moment:
    """A seq, or a time in any form of ISO 8601 (UTC where it names no zone); raises UsageError."""
    if text.isdigit():
        return {"seq": int(text)}
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--at {text}: write a seq (4711) or a time (2026-11-26T09:30)") from None
    return {"time": text_of((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())}


def _print(view: View, project: str | None, as_json: bool) -> None:
    now = view.clock.now()
    reports = [survey(view.desks[name], now) for name in sorted(view.desks)]
    holder = view.reader.holder() if view.reader is not None else None
    if as_json:
        show(reports[0] if project else {"revision": view.observation.revision, "daemon": holder, "projects": reports})
        return
    if project:
        _one(reports[0])
        return
    daemon = f"held by pid {holder.pid}" if holder is not None else "no daemon"
    say(f"{view.observation.revision}   {daemon}")
    rows = [(one.project, one.sync, one.health, _run(one), _progress(one), escaped(_trouble(one))) for one in reports]
    say(table(rows, ("PROJECT", "SYNC", "HEALTH", "RUN", "STEPS", "")))


def _one(report: Report) -> None:
    say(f"{report.project}   {report.sync}   {report.health}   {_run(report)}")
    say(f"generation {report.generation} of {report.revision}" if report.generation else "never seen by an engine yet")
    for error in report.errors:
        say(f"  {error['path']}:{error['line']}:{error['column']}: {error['where']}: {error['what']}; {error['cure']}")
    rows = [
        (
            row.step,
            row.status,
            row.agent,
            str(row.attempts or "-"),
            f"{row.seconds:.2f}" if row.seconds is not None else "-",
            escaped(in_words(row.reason, holder=row.holder, detail=row.detail)),
        )
        for row in report.steps
    ]
    say(table(rows, ("STEP", "STATUS", "AGENT", "TRIES", "SECONDS", "REASON")))
    for one in report.conditions:
        if one.message:
            say(f"{one.type}={one.status}: {one.message}")


def _run(report: Report) -> str:
    run = report.run
    return "-" if run is None else f"#{run['number']} {run['status']}"


def _progress(report: Report) -> str:
    done = sum(row.decision == "stay" for row in report.steps)
    return f"{done}/{len(report.steps)}"


def _trouble(report: Report) -> str:
    if report.errors:
        first = report.errors[0]
        return f"{first['path']}:{first['line']}:{first['column']}: {first['what']}"
    bad = [row for row in report.steps if row.status == "failed" or row.decision == "wait"]
    return f"{bad[0].step}: {in_words(bad[0].reason, holder=bad[0].holder, detail=bad[0].detail)}" if bad else ""
