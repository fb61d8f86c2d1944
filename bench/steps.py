"""Lines 1, 2 and 3: steps through the whole engine, durable, ms a step."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from bench.floor import PROGRAM
from glink.app import Engine
from glink.config import load_config

CONFIG = """
concurrency: {concurrency}
limits: {{steps: 20000, project_bytes: 16000000, file_bytes: 16000000, yaml_nodes: 2000000}}
agents:
  instant: {{type: echo}}
  pooled: {{type: python, call: "bench.noop:answer", inline: true}}
  program: {{type: command, command: {program}}}
"""

_BATCH = re.compile(rb'^\{"seq":\d+,"b":(\d+),', re.MULTILINE)


@dataclass(frozen=True)
class Figures:
    """Milliseconds, log bytes and syncs a step."""

    ms: float
    bytes: float
    syncs: float


def home(folder: Path, count: int, *, fan: bool, agent: str = "instant", projects: int = 1) -> None:
    """Write a configuration and projects of `count` steps each, with distinct texts."""
    (folder / "projects").mkdir(parents=True)
    config = CONFIG.format(concurrency=8 if fan else 64, program=PROGRAM)
    (folder / "glink-config.yaml").write_text(config)
    mode = "parallel" if fan else "sequential"
    for project in range(projects):
        lines = [
            f"  - {{step: {number}, agent: {agent}, task: do {project} {number}, context: none}}"
            for number in range(count)
        ]
        name = "p.yaml" if projects == 1 else f"p{project}.yaml"
        (folder / "projects" / name).write_text(f"mode: {mode}\nsteps:\n" + "\n".join(lines) + "\n")


def opened(folder: Path, *, sync: bool = True) -> Engine:
    """The engine over a home, everything loaded and nothing dispatched yet."""
    return Engine.open(load_config(None, environ={}, folder=folder), watch=False, sync=sync)


def settle(folder: Path, count: int, *, fan: bool, agent: str = "instant") -> Figures:
    """Time to settled, of all steps but those that the first pass gives away: the project is loaded beforehand."""
    home(folder, count, fan=fan, agent=agent)
    engine = opened(folder)
    conductor = engine.conductor
    conductor.turn(0)
    began = time.perf_counter()
    conductor.run(until=lambda: conductor.quiet)
    took = time.perf_counter() - began
    settled = conductor.desks["p"].state.settled
    engine.close()
    if settled is None or settled.status != "succeeded":
        raise RuntimeError("the project did not settle")
    log = b"".join(file.read_bytes() for file in (engine.config.bus_dir / "events").glob("*.jsonl"))
    batches = set(_BATCH.findall(log))
    return Figures(took * 1e3 / count, len(log) / count, len(batches) / count)
