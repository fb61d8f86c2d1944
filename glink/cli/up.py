"""`glink up`: the daemon."""

from __future__ import annotations

import os
import signal
import socket
import sys
from threading import Thread
from typing import Annotated

import typer

from glink import collector
from glink.app import Engine
from glink.bus import damage
from glink.cli.shell import ConfigOption, JsonOption, configured
from glink.cli.speech import say, show
from glink.clock import SystemClock
from glink.config import Config
from glink.errors import BusCorrupt, BusError, UsageError
from glink.project import find_projects
from glink.reconciler.desk import Desk
from glink.reconciler.survey import survey
from glink.report import Health
from glink.reporters import registry
from glink.reporters.outlook import Outlook
from glink.reporters.reporter import Reporters
from glink.reporters.setting import Setting
from glink.server.access import TOKEN_FILE, WARNING
from glink.server.app import Api
from glink.wiring import chosen, unknown_project
from glink.words import escaped


def command(
    projects: Annotated[list[str] | None, typer.Argument(help="Only these projects.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Settle everything, then end; nothing is served.")] = False,
    serve_only: Annotated[
        bool,
        typer.Option("--serve-only", help="Run nothing but what is asked for; of PROJECT if a request names none."),
    ] = False,
    kill_on_stop: Annotated[bool, typer.Option("--kill-on-stop", help="End running agents when stopped.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> int:
    """Watch projects/ and make it true, until stopped (Ctrl-C, SIGTERM); serve the API and the status page.

    Example: glink up --once
    """
    settings = configured(config)
    if once and serve_only:
        raise UsageError("--once and --serve-only: take one of the two")
    collector.give_back()
    wanted = [] if serve_only else _known(settings, projects or [])
    setting = Setting(os.environ, sys.stderr if json else sys.stdout, SystemClock(), settings.limits)
    posts = registry.posts(settings.reporting, setting, _warn)
    engine = Engine.open(settings, wanted, watch=not once, serve_only=serve_only)
    reporters = Reporters(posts, Outlook(engine.conductor.desks, engine.conductor.world))
    engine.conductor.listeners.append(reporters.hear)
    collector.share()
    _obey_signals(engine, kill_on_stop)
    api = None if once else _serve(engine, projects[0] if projects else None)
    try:
        engine.serve()
        engine.conductor.turn(0)
        _greet(engine, wanted, settings, json)
        if api is not None:
            api.start()
        engine.conductor.run(until=lambda: once and engine.conductor.quiet)
    except BusError:
        engine.bus.close(clean=False)
        raise
    if api is not None:
        api.close()
    engine.close()
    reporters.close()
    for one in reporters.tally():
        if one.failed or one.dropped:
            _warn(f"{one.name}: {one.failed} messages did not arrive, {one.dropped} events were dropped")
    return _result(engine, wanted, json) if once else 0


def _serve(engine: Engine, default: str | None) -> Api:
    """Listen, and let the API hear what becomes durable; closes the engine where that cannot be."""
    try:
        api = Api(engine, default=default)
    except BaseException:
        engine.close()
        raise
    engine.url = api.url
    engine.conductor.listeners.append(api.hear)
    engine.conductor.meter = api.metrics
    return api


def _known(settings: Config, projects: list[str]) -> list[str]:
    """The projects that were named; UsageError when one has no files."""
    found, problems = find_projects(settings.projects_dir, settings.limits)
    for name in projects:
        if name not in found and name not in problems:
            raise UsageError(unknown_project(name, found))
    return projects


def _warn(text: str) -> None:
    print(f"glink: {escaped(text)}", file=sys.stderr, flush=True)


def _obey_signals(engine: Engine, kill: bool) -> None:
    """The first signal drains, the second does not wait for running steps any longer."""
    heard, told = socket.socketpair()
    told.setblocking(False)
    mine = (signal.SIGTERM, signal.SIGINT)

    def listen() -> None:
        grace: float | None = None
        while number := heard.recv(1):
            if number[0] in mine:
                engine.stop(grace=grace, kill=kill)
                grace = 0

    # A handler in Python waits until the main thread wakes, and may miss the moment before it falls asleep.
    signal.set_wakeup_fd(told.detach())
    for one in mine:
        signal.signal(one, lambda number, frame: None)
    Thread(target=listen, name="signals", daemon=True).start()


def _greet(engine: Engine, wanted: list[str], settings: Config, json: bool) -> None:
    if json:
        return
    desks = _desks(engine, wanted)
    say(f"glink: {len(desks)} projects in {settings.projects_dir}, bus {settings.bus_dir}")
    if engine.url:
        say(f"page: {engine.url}/   {_way_in(settings)}")
    if engine.bus.damages:
        say(f"DAMAGED: {damage.in_words(engine.bus.damages)}")
        unknown = [desk.name for desk in desks if desk.unknown]
        say(
            f"not known, so nothing of it runs: {', '.join(unknown)}"
            if unknown
            else "every project is known all the same"
        )
    for desk in desks:
        for problem in desk.problems:
            say(f"invalid: {problem}")


def _way_in(settings: Config) -> str:
    if settings.auth == "none":
        return WARNING
    own = settings.api_token is not None
    return "log in with your token" if own else f"log in with the token in {settings.bus_dir / TOKEN_FILE}"


def _desks(engine: Engine, wanted: list[str]) -> list[Desk]:
    """The projects that this engine was started for and that have files."""
    desks, selects = engine.conductor.desks, chosen(wanted)
    return [desks[name] for name in sorted(desks) if selects(name) and not desks[name].state.orphaned]


def _result(engine: Engine, wanted: list[str], json: bool) -> int:
    now = engine.conductor.clock.now()
    reports = [survey(desk, now) for desk in _desks(engine, wanted)]
    bad = [one for one in reports if one.health in (Health.DEGRADED, Health.UNKNOWN) or one.errors]
    if json:
        show(reports)
    else:
        for one in reports:
            say(f"{one.project}: {one.sync}, {one.health}")
    if engine.conductor.world.full:
        _warn("the disk is full: nothing is given away")
        return BusError.exit_code
    if any(desk.unknown for desk in _desks(engine, wanted)):
        return BusCorrupt.exit_code
    return 1 if bad else 0
