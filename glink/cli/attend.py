"""`run` and `sync`: ask for it, then attend to it until it has settled, with the daemon's engine or one of our own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from glink.app import Engine, View, actor
from glink.bus.reader import BusReader
from glink.channel import ask
from glink.cli.follow import Progress, follow
from glink.cli.shell import say, show
from glink.clock import Every, wait_for
from glink.config import Config
from glink.errors import InvalidInput, NoState
from glink.reconciler.actions import Reason
from glink.reconciler.survey import survey
from glink.report import Health, Report, Sync
from glink.words import in_words

_MOVES = frozenset({Reason.IN_FLIGHT, Reason.BACKING_OFF, Reason.NO_SLOT, Reason.AGENT_COOLING, Reason.DRAINING})
SEEN_SECONDS = 15.0
LOOK_SECONDS = 2.0


def attend(config: Config, project: str, verb: str, arguments: dict[str, Any], *, as_json: bool) -> int:
    """Do the verb and follow; exit code 0 when it settled well, 1 when not; InvalidInput for an invalid file."""
    before = View.take(config, [project])
    if problems := before.desks[project].problems:
        raise InvalidInput(list(problems))
    total = len(survey(before.desks[project], before.clock.now()).steps)
    show_it = _shower(config, project, total, before.seq, quiet=as_json)
    try:
        status = _with_daemon(config, project, verb, arguments, show_it)
    except NoState:
        status = _with_own_engine(config, project, verb, arguments, show_it)
    return _conclude(_report(config, project), status, as_json)


Shower = Callable[[int, Callable[[], bool]], str]


def _shower(config: Config, project: str, total: int, after: int, *, quiet: bool) -> Shower:
    """How a run is followed: from seq `after` until run `number` or a later one has settled, or nothing more happens."""

    def show_it(number: int, over: Callable[[], bool]) -> str:
        reader = BusReader(config.bus_dir, limits=config.limits)
        return follow(reader, Progress(project, number, total), after, over, quiet=quiet)

    return show_it


def _with_daemon(config: Config, project: str, verb: str, arguments: dict[str, Any], show_it: Shower) -> str:
    answer = ask(config.bus_dir, verb, project, arguments, actor())
    if verb == "sync":
        wait_for(lambda: not View.take(config, [project]).unseen(project), seconds=SEEN_SECONDS, every=0.1)
    return show_it(answer.get("run") or 0, Every(LOOK_SECONDS, lambda: _over(_report(config, project))))


def _with_own_engine(config: Config, project: str, verb: str, arguments: dict[str, Any], show_it: Shower) -> str:
    engine = Engine.open(config, [project], watch=False)
    try:
        answer = engine.tell(verb, project, arguments)
        thread = engine.run_in_background(until=lambda: engine.conductor.quiet)
        try:
            return show_it(answer.get("run") or 0, lambda: not thread.is_alive())
        finally:
            engine.stop()
            thread.join()
    finally:
        engine.close()


def _over(report: Report) -> bool:
    """Whether nothing more will happen by itself."""
    return not any(row.decision == "run" or row.reason in _MOVES for row in report.steps)


def _report(config: Config, project: str) -> Report:
    view = View.take(config, [project])
    return survey(view.desks[project], view.clock.now())


def _conclude(report: Report, status: str, as_json: bool) -> int:
    if as_json:
        show(report)
    else:
        say(f"{report.project}: {report.sync}, {report.health}")
        for row in report.steps:
            if row.decision != "stay":
                say(f"  step {row.step}: {in_words(row.reason, holder=row.holder, detail=row.detail, due=row.due)}")
    if status:
        # The run that was followed has settled; what the project does since is another's.
        return 0 if status == "succeeded" else 1
    return 0 if report.sync is Sync.SYNCED and report.health is Health.HEALTHY else 1
