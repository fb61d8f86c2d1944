"""Lines 1 and 2: no-op steps through the whole engine, durable, ms a step."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from glink.app import Engine
from glink.config import load_config
from glink.reconciler.inbox import Inbox

CONFIG = """
concurrency: {concurrency}
limits: {{steps: 20000, project_bytes: 16000000, file_bytes: 16000000, yaml_nodes: 2000000}}
agents:
  instant: {{type: echo}}
  pooled: {{type: echo, delay: 1us}}
"""


@dataclass(frozen=True)
class Figures:
    """Milliseconds and log bytes a step."""

    ms: float
    bytes: float


def home(folder: Path, count: int, *, fan: bool, agent: str = "instant") -> None:
    """Write a project of `count` steps with distinct texts and its configuration."""
    (folder / "projects").mkdir(parents=True)
    config = CONFIG.format(concurrency=8 if fan else 64)
    (folder / "glink-config.yaml").write_text(config.replace("1us", "1ms"))
    mode = "parallel" if fan else "sequential"
    lines = [f"  - {{step: {number}, agent: {agent}, task: do {number}, context: none}}" for number in range(count)]
    (folder / "projects" / "p.yaml").write_text(f"mode: {mode}\nsteps:\n" + "\n".join(lines) + "\n")


def settle(folder: Path, count: int, *, fan: bool, agent: str = "instant") -> Figures:
    """Time from the first dispatch to settled; loaded beforehand, as the clock starts after the first pass."""
    home(folder, count, fan=fan, agent=agent)
    config = load_config(None, environ={}, folder=folder)
    engine = Engine.open(config, watch=False)
    conductor = engine.conductor
    conductor.turn(0)
    assert isinstance(engine.inbox, Inbox)
    began = time.perf_counter()
    conductor.run(until=lambda: conductor.quiet)
    took = time.perf_counter() - began
    settled = conductor.desks["p"].state.settled
    engine.close()
    if settled is None or settled.status != "succeeded":
        raise RuntimeError("the project did not settle")
    size = sum(file.stat().st_size for file in (config.bus_dir / "events").iterdir())
    return Figures(took * 1e3 / count, size / count)
