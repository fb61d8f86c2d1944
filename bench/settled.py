"""Lines 4 and 5: what it costs to find that there is nothing to do."""

from __future__ import annotations

import os
import time
from pathlib import Path

from bench import floor
from bench.commands import glink
from bench.steps import home, opened
from glink.app import Engine
from glink.limits import Limits
from glink.watch.snapshot import EMPTY, Snapshot, take_snapshot


def settled(folder: Path, *, projects: int, steps: int = 1_000) -> Engine:
    """An engine whose projects are all up to date; whoever asks for it closes it."""
    home(folder, steps, fan=True, projects=projects)
    engine = opened(folder, sync=False)
    engine.conductor.turn(0)
    engine.conductor.run(until=lambda: engine.conductor.quiet)
    return engine


def plan(folder: Path, *options: str) -> float:
    """Milliseconds of `glink plan`, cold, over settled projects; with any option it loads and decides them."""
    return floor.milliseconds(lambda: glink("plan", *options, folder=folder))


def look(engine: Engine, *, steps: tuple[str, ...] | None) -> float:
    """Milliseconds of a pass that looks at these steps (None: at all), and finds that nothing is to be done."""
    conductor = engine.conductor
    before = engine.bus.durable_seq
    conductor.books.touch(conductor.desks["p"], steps)
    took = floor.milliseconds(lambda: conductor.turn(0))
    if engine.bus.durable_seq != before:
        raise RuntimeError("a pass over a settled project wrote an event")
    return took


class Tree:
    """Many projects' files, seen once."""

    def __init__(self, root: Path, files: int) -> None:
        self.root = root
        for number in range(files // 10):
            project = root / f"p{number}"
            project.mkdir(parents=True)
            for name in ("workflow.yaml", *(f"text{one}.md" for one in range(9))):
                (project / name).write_text(f"{number} {name}\n")
        self._seen = self._look(EMPTY, time.time() + 60)  # so late that no file counts as just written

    def rescan(self) -> float:
        """Milliseconds of a look that finds nothing changed."""
        began = time.perf_counter()
        after = self._look(self._seen, time.time())
        took = (time.perf_counter() - began) * 1e3
        if after is not self._seen:
            raise RuntimeError("a rescan saw a change where there was none")
        return took

    def _look(self, before: Snapshot, now: float) -> Snapshot:
        return take_snapshot(os.fspath(self.root), before, heard=(), now=now, limits=Limits())
