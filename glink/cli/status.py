"""`glink status`."""

from __future__ import annotations

from typing import Annotated

import typer

from glink.app import View
from glink.cli.shell import ConfigOption, JsonOption, MaybeProject, configured, say, show, table
from glink.errors import Problem
from glink.reconciler.survey import survey
from glink.report import Report
from glink.words import escaped, in_words


def command(
    project: MaybeProject = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Print anew whenever something changes.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """How the projects are, or one of them step by step.

    Example: glink status hello-world
    """
    settings = configured(config)
    names = [project] if project else []
    view = View.take(settings, names)
    _print(view, project, json)
    if watch and view.reader is not None:
        after = max((desk.state.seq for desk in view.desks.values()), default=0)
        for record in view.reader.follow(after, stop=lambda: False, every=0.5):
            if project in (None, record.get("project")):
                _print(View.take(settings, names), project, json)


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
        say(f"  {Problem(**error)}")
    rows = [
        (
            row.step,
            row.status,
            row.agent,
            str(row.attempts or "-"),
            f"{row.seconds:.2f}" if row.seconds is not None else "-",
            escaped(in_words(row.reason, holder=row.holder, detail=row.detail, due=row.due)),
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
        return str(Problem(**report.errors[0]))
    bad = [row for row in report.steps if row.status == "failed" or row.decision == "wait"]
    return (
        f"{bad[0].step}: {in_words(bad[0].reason, holder=bad[0].holder, detail=bad[0].detail, due=bad[0].due)}"
        if bad
        else ""
    )
