"""Pieces that an engine and a view are both put together from. Called by `glink.app` and `glink.view`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from glink.clock import SystemClock, seconds_of
from glink.config import Config
from glink.errors import Problem
from glink.jsontext import loads
from glink.project import Loaded, find_projects, load_project
from glink.reconciler.board import Surroundings
from glink.reconciler.desk import Desk
from glink.reconciler.memory import WORLD, Memory
from glink.state import Answer, ProjectState
from glink.watch.source import Source
from glink.workflow import Workflow
from glink.world import World

Bodies = Callable[[str], bytes]
Chosen = Callable[[str], bool]


def chosen(names: Sequence[str]) -> Chosen:
    """A choice of projects by name; all for none."""
    wanted = frozenset(names)
    return (lambda name: name in wanted) if wanted else (lambda name: True)


def finder(config: Config, selects: Chosen) -> Callable[[], tuple[dict[str, Path], dict[str, list[Problem]]]]:
    """How the chosen projects are found."""

    def find() -> tuple[dict[str, Path], dict[str, list[Problem]]]:
        files, problems = find_projects(config.projects_dir, config.limits)
        return (
            {name: file for name, file in files.items() if selects(name)},
            {name: found for name, found in problems.items() if selects(name)},
        )

    return find


def desks_of(memory: Memory) -> dict[str, Desk]:
    """A desk for every project, also for one that nothing but its name is known of."""
    states, doubt = memory.states, memory.doubt
    names = [*states, *sorted(doubt.known.keys() - states.keys() - {WORLD})]
    return {name: Desk(name, states.get(name) or ProjectState(name), unknown=doubt.of(name)) for name in names}


def source_of(config: Config, clock: SystemClock, selects: Chosen, **more: Any) -> Source:
    """The watched folder of a configuration."""

    def load(name: str, file: Path) -> Loaded:
        return load_project(name, file, config.projects_dir, limits=config.limits, config=config)

    return Source(
        config.projects_dir, limits=config.limits, load=load, find=finder(config, selects), clock=clock, **more
    )


def surroundings_of(bodies: Bodies, desks: Mapping[str, Desk]) -> Surroundings:
    """The lookups that a board needs, over the bodies on the bus and all the desks there are."""

    @lru_cache(maxsize=64)
    def earlier(content: str) -> Workflow | None:
        try:
            return Workflow.of(loads(bodies(content)), content)
        except KeyError:
            return None

    def notes(project: str, kind: str) -> list[dict[str, Any]]:
        desk = desks.get(project)
        return desk.state.notes.get(kind, []) if desk is not None else []

    orphans = {name: None for name, desk in desks.items() if desk.state.orphaned and not desk.unknown}

    def vanished(key: str) -> tuple[str, Answer] | None:
        for name in orphans:
            for step, past in desks[name].state.steps.items():
                if (answer := past.answers.get(key)) is not None:
                    return f"{name}/{step}", answer
        return None

    return Surroundings(bodies, notes, earlier, vanished, orphans)


def enroll(world: World, config: Config) -> None:
    """Tell the world what the configuration says of agents and interpreters."""
    world.agents, world.commands = config.agents, config.commands
    world.undeclared, world.engine, world.concurrency = config.undeclared_agents, config.engine, config.concurrency


def unknown_project(name: str, known: Iterable[str]) -> str:
    """What is said of a project that is not there, with the name that may have been meant."""
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), 1)
    return f"no project {name}" + (
        f"; did you mean {close[0]}?" if close else f"; there are: {', '.join(sorted(known)) or 'none'}"
    )


def resume_clock(clock: SystemClock, world: World) -> bool:
    """Count on from an earlier start in the same boot; whether it was the same."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    same = bool(world.boot) and boot.exists() and boot.read_text().strip() == world.boot
    if same:
        clock.resume(seconds_of(world.started), world.boot_time)
    return same


def actor() -> str:
    """Who asks, on this machine."""
    return os.environ.get("USER") or f"uid-{os.getuid()}"
