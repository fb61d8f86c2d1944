"""`run` and `sync`: ask for it, then attend to it until it has settled, with the daemon's engine or one of our own."""

from __future__ import annotations

from typing import Any

from glink.app import Engine, View, actor
from glink.bus.reader import BusReader
from glink.channel import ask
from glink.cli.follow import Progress, follow
from glink.cli.shell import say, show
from glink.clock import wait_for
from glink.config import Config
from glink.errors import BusHeld, InvalidInput, NoState
from glink.reconciler.survey import survey
from glink.report import Health, Report, Sync
from glink.words import in_words

SEEN_SECONDS = 15.0


def attend(config: Config, project: str, verb: str, arguments: dict[str, Any], *, as_json: bool) -> int:
    """Do the verb and follow; exit code 0 when it settled well, 1 when not, 2 for an invalid file."""
    _refuse_invalid(config, project)
    try:
        status = _with_daemon(config, project, verb, arguments, quiet=as_json)
    except NoState:
        status = _with_own_engine(config, project, verb, arguments, quiet=as_json)
    return _conclude(_report(config, project), status, as_json)


def _refuse_invalid(config: Config, project: str) -> None:
    desk = View.take(config, [project]).desks[project]
    if desk.problems:
        raise InvalidInput(list(desk.problems))


def _with_daemon(config: Config, project: str, verb: str, arguments: dict[str, Any], *, quiet: bool) -> str:
    answer = ask(config.bus_dir, verb, project, arguments, actor())
    reader = BusReader(config.bus_dir, limits=config.limits)
    wait_for(lambda: _seen(config, project), seconds=SEEN_SECONDS, every=0.1)
    report = _report(config, project)
    number = answer.get("run") or (report.run or {}).get("number", 0)
    if _over(report) or report.run is None:
        return ""
    return _follow(reader, project, number, report, quiet=quiet, over=lambda: _stuck(config, project))


def _seen(config: Config, project: str) -> bool:
    """Whether the daemon has seen what the files say now."""
    view = View.take(config, [project])
    return f'{view.desks[project].state.seq}' != "0" and not _pending(view, project)


def _pending(view: View, project: str) -> bool:
    loaded = view.observation.projects[project]
    contents = view.desks[project].state.contents
    return loaded.workflow is not None and loaded.workflow.digest not in contents.values()


def _with_own_engine(config: Config, project: str, verb: str, arguments: dict[str, Any], *, quiet: bool) -> str:
    try:
        engine = Engine.open(config, [project], watch=False)
    except BusHeld as held:
        raise BusHeld(f"{held}; it does not answer on its channel yet, try again") from None
    try:
        answer = engine.tell(verb, project, arguments)
        reader = BusReader(config.bus_dir, limits=config.limits)
        report = _report(config, project)
        number = answer.get("run") or (report.run or {}).get("number", 0)
        after = reader.manifest_seq
        thread = engine.run_in_background(until=lambda: engine.conductor.quiet)
        engine.inbox.wake()
        status = _follow(reader, project, number, report, quiet=quiet, over=lambda: not thread.is_alive(), after=after)
        thread.join()
        return status
    finally:
        engine.close()


def _follow(
    reader: BusReader, project: str, number: int, report: Report, *, quiet: bool, over: Any, after: int | None = None
) -> str:
    start = _first_seq(reader, project, number) if after is None else after
    progress = Progress(project, number, len(report.steps))
    if not quiet:
        return follow(reader, progress, start, over)
    for record in reader.follow(start, stop=lambda: bool(progress.status) or over()):
        if record.get("project") == project:
            progress.take(record)
    return progress.status


def _first_seq(reader: BusReader, project: str, number: int) -> int:
    """The seq before the run's first record: what came before is another run's story."""
    for record in reader.replay(0):
        if record.get("project") == project and record.get("run", 0) >= number:
            return record["seq"] - 1
    return reader.manifest_seq


def _stuck(config: Config, project: str) -> bool:
    return _over(_report(config, project))


def _over(report: Report) -> bool:
    """Whether nothing more will happen by itself."""
    waits = {"no_worker", "suspended", "unknown_outcome", "other_engine", "agent_paused"}
    return all(row.decision == "stay" or row.reason in waits or row.status in ("failed",) for row in report.steps)


def _report(config: Config, project: str) -> Report:
    view = View.take(config, [project])
    return survey(view.desks[project], view.clock.now())


def _conclude(report: Report, status: str, as_json: bool) -> int:
    if as_json:
        show(report)
    elif not status:
        say(f"{report.project}: {report.sync}, {report.health}")
        for row in report.steps:
            if row.decision != "stay":
                say(f"  step {row.step}: {in_words(row.reason, holder=row.holder, detail=row.detail)}")
    good = report.sync is Sync.SYNCED and report.health is Health.HEALTHY
    return 0 if good and status != "failed" else 1
