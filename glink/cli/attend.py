"""`run` and `sync`: ask for it, then attend to it until it has settled, with a daemon's engine or one of our own."""

from __future__ import annotations

from typing import Any

from glink.app import Engine
from glink.cli.follow import Progress, Watch, follow
from glink.cli.source import Local, Source
from glink.cli.speech import say, show
from glink.clock import Every
from glink.config import Config
from glink.errors import InvalidInput, NoState, Problem
from glink.reconciler.actions import Reason
from glink.report import Health, Sync
from glink.words import in_words

_MOVES = frozenset({Reason.IN_FLIGHT, Reason.BACKING_OFF, Reason.NO_SLOT, Reason.AGENT_COOLING, Reason.DRAINING})
LOOK_SECONDS = 2.0


def attend(source: Source, project: str, verb: str, arguments: dict[str, Any], *, as_json: bool) -> int:
    """Do the verb and follow; exit code 0 when it settled well, 1 when not; InvalidInput for an invalid file."""
    before = source.ask("project", project=project)
    if before["errors"]:
        raise InvalidInput([Problem(**one) for one in before["errors"]])
    watch = Watch(source, project, len(before["steps"]), quiet=as_json)
    try:
        status = _with_daemon(source, project, verb, arguments, watch)
    except NoState:
        if not isinstance(source, Local):
            raise
        status = _with_own_engine(source.config, project, verb, arguments, watch)
    return _conclude(source.ask("project", project=project), status, as_json)


def _with_daemon(source: Source, project: str, verb: str, arguments: dict[str, Any], watch: Watch) -> str:
    answer = source.tell(verb, project, arguments)
    over = Every(LOOK_SECONDS, lambda: _over(source.ask("project", project=project)))
    return _follow(watch, answer, over)


def _with_own_engine(config: Config, project: str, verb: str, arguments: dict[str, Any], watch: Watch) -> str:
    engine = Engine.open(config, [project], watch=False)
    try:
        answer = engine.tell(verb, project, arguments)
        thread = engine.run_in_background(until=lambda: engine.conductor.quiet)
        try:
            return _follow(watch, answer, lambda: not thread.is_alive())
        finally:
            engine.stop()
            thread.join()
    finally:
        engine.close()


def _follow(watch: Watch, answer: dict[str, Any], over: Any) -> str:
    return follow(watch, Progress(watch.project, answer.get("run") or 0, watch.total), answer["since"], over)


def _over(report: dict[str, Any]) -> bool:
    """Whether nothing more will happen by itself."""
    return not any(row["decision"] == "run" or row["reason"] in _MOVES for row in report["steps"])


def _conclude(report: dict[str, Any], status: str, as_json: bool) -> int:
    if as_json:
        show(report)
    else:
        say(f"{report['project']}: {report['sync']}, {report['health']}")
        for row in report["steps"]:
            if row["decision"] != "stay":
                why = in_words(row["reason"], holder=row["holder"], detail=row["detail"], due=row["due"])
                say(f"  step {row['step']}: {why}")
    if status:
        # The run that was followed has settled; what the project does since is another's.
        return 0 if status == "succeeded" else 1
    return 0 if report["sync"] == Sync.SYNCED and report["health"] == Health.HEALTHY else 1
