"""`glink up`: the daemon."""

from __future__ import annotations

import os
import signal
import sys
from threading import Event
from typing import Annotated

import typer

from glink.app import Engine
from glink.cli.shell import ConfigOption, JsonOption, configured, say, show
from glink.clock import SystemClock
from glink.config import Config
from glink.errors import BusError
from glink.reconciler.survey import survey
from glink.report import Health
from glink.reporters import registry
from glink.reporters.outlook import Outlook
from glink.reporters.reporter import Reporters
from glink.reporters.setting import Setting
from glink.words import escaped


def command(
    projects: Annotated[list[str] | None, typer.Argument(help="Only these projects.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Settle everything, then end.")] = False,
    kill_on_stop: Annotated[bool, typer.Option("--kill-on-stop", help="End running agents when stopped.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> int:
    """Watch projects/ and make it true, until stopped (Ctrl-C, SIGTERM).

    Example: glink up --once
    """
    settings = configured(config)
    setting = Setting(os.environ, sys.stderr if json else sys.stdout, SystemClock(), settings.limits)
    posts = registry.posts(settings.reporting, setting, _warn)
    engine = Engine.open(settings, projects or (), watch=not once)
    reporters = Reporters(posts, Outlook(engine.conductor.desks, engine.conductor.world))
    engine.conductor.listeners.append(reporters.hear)
    _obey_signals(engine, kill_on_stop)
    ended = Event()
    try:
        engine.serve()
        engine.conductor.turn(0)
        _greet(engine, settings, json)
        engine.conductor.run(until=lambda: ended.is_set() or (once and engine.conductor.quiet))
    except BusError:
        engine.bus.close(clean=False)
        raise
    engine.close()
    reporters.close()
    for one in reporters.tally():
        if one.failed or one.dropped:
            _warn(f"{one.name}: {one.failed} messages did not arrive, {one.dropped} events were dropped")
    return _result(engine, json) if once else 0


def _warn(text: str) -> None:
    print(f"glink: {escaped(text)}", file=sys.stderr, flush=True)


def _obey_signals(engine: Engine, kill: bool) -> None:
    """The first signal drains, the second does not wait for running steps any longer."""
    seen: list[int] = []

    def stop(number: int, frame: object) -> None:
        engine.stop(grace=0 if seen else None, kill=kill)
        seen.append(number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def _greet(engine: Engine, settings: Config, json: bool) -> None:
    if json:
        return
    desks = engine.conductor.desks.values()
    say(f"glink: {len(list(desks))} projects in {settings.projects_dir}, bus {settings.bus_dir}")
    for desk in desks:
        for problem in desk.problems:
            say(f"invalid: {problem}")


def _result(engine: Engine, json: bool) -> int:
    now = engine.conductor.clock.now()
    reports = [survey(desk, now) for desk in engine.conductor.desks.values() if not desk.state.orphaned]
    bad = [one for one in reports if one.health in (Health.DEGRADED, Health.UNKNOWN) or one.errors]
    if json:
        show(reports)
    else:
        for one in reports:
            say(f"{one.project}: {one.sync}, {one.health}")
    return 1 if bad else 0
