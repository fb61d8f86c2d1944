"""How cost grows with steps, projects and events: `python -m bench.growth`, for docs/scaling.md.

CPU time of one process a size, so that other work on the machine shows less; the disk is left out (no syncs).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import loading, settled, steps
from glink import collector
from glink.bus.bus import Bus
from glink.clock import SystemClock
from glink.limits import Limits
from glink.reconciler.memory import Memory

SIZES = {"steps": (100, 1_000, 10_000), "projects": (10, 100, 1_000), "events": (10_000, 100_000, 1_000_000)}
_BATCH = 2_000


def main() -> None:
    """Print a table, one row a size."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--dir", type=Path, default=Path(), help="where to work; memory is best: /dev/shm")
    parser.add_argument("--one", nargs=2, metavar=("KIND", "SIZE"), help="one row, as JSON")
    options = parser.parse_args()
    collector.calm()
    if options.one:
        with tempfile.TemporaryDirectory(dir=options.dir, prefix=".growth-") as folder:
            kind, size = options.one
            print(json.dumps(KINDS[kind](Path(folder), int(size))))
        return
    for kind, sizes in SIZES.items():
        for size in sizes:
            command = [sys.executable, "-m", "bench.growth", "--dir", str(options.dir), "--one", kind, str(size)]
            row = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            print(f"{size:>9,} {kind:9}", "  ".join(f"{name} {value:,.4g}" for name, value in row.items()), flush=True)


def _cpu(work: Callable[[], object]) -> float:
    """Milliseconds of CPU."""
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1e3


def _rss() -> float:
    """The most memory that this process had, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def of_steps(folder: Path, size: int) -> dict[str, float]:
    """One project: reading it, a chain of its steps, a full check once it is settled."""
    (folder / "load").mkdir()
    file = folder / "load" / "p.yaml"
    file.write_text(loading.text_of(size))
    limits = Limits(steps=size, file_bytes=1 << 26, project_bytes=1 << 26, yaml_nodes=1 << 24)
    load = min(_cpu(lambda: loading.read(file, limits)) for _ in range(3))
    steps.home(folder / "chain", size, fan=False)
    engine = steps.opened(folder / "chain", sync=False)
    conductor = engine.conductor
    conductor.turn(0)
    chain = _cpu(lambda: conductor.run(until=lambda: conductor.quiet))
    check = min(settled.look(engine, steps=None) for _ in range(5))
    engine.close()
    return {
        "load us/step": load * 1e3 / size,
        "chain us/step": chain * 1e3 / size,
        "check us/step": check * 1e3 / size,
        "RSS MiB": _rss(),
    }


def of_projects(folder: Path, size: int) -> dict[str, float]:
    """Many projects of ten steps: the first start, a look that finds nothing, a start from checkpoints."""
    steps.home(folder, 10, fan=True, projects=size)

    def settle() -> None:
        engine = steps.opened(folder, sync=False)
        engine.conductor.turn(0)
        engine.conductor.run(until=lambda: engine.conductor.quiet)
        engine.close()

    first = _cpu(settle)
    engine = steps.opened(folder, sync=False)
    engine.conductor.turn(0)
    look = min(_cpu(engine.source.scan) for _ in range(3))
    engine.close()
    again = _cpu(lambda: steps.opened(folder, sync=False).close())
    return {
        "first start ms/project": first / size,
        "start again ms/project": again / size,
        "look us/project": look * 1e3 / size,
        "RSS MiB": _rss(),
    }


def of_events(folder: Path, size: int) -> dict[str, float]:
    """A log over 1,000 projects: writing it in batches, folding all of it, and from checkpoints."""
    limits = Limits()
    bus = Bus.open(folder, clock=SystemClock(), limits=limits, sync=False)
    written = _cpu(lambda: _write(bus, size))
    memory: list[Memory] = []
    folded = _cpu(lambda: memory.append(Memory.read(bus)))
    memory[0].save(bus, memory[0].states, memory[0].world)
    kept = _cpu(lambda: Memory.read(bus))
    bus.close()
    return {
        "append events/s": size / written * 1e3,
        "fold events/s": size / folded * 1e3,
        "from checkpoints ms": kept,
        "RSS MiB": _rss(),
    }


def _write(bus: Bus, size: int) -> None:
    for number in range(size // 2):
        key = f"{number // 10_000 % 3:032x}"  # so a step has three answers, however often it ran
        own = {"project": f"p{number % 1_000}", "run": 1, "step": f"s{number // 1_000 % 10}", "attempt": 1}
        given = {
            "reason": "never_ran",
            "agent": "a",
            "generation": 1,
            "definition": "d" * 32,
            "key": key,
            "fingerprint": {"task": key},
            "task": "x" * 100,
        }
        fence = bus.stage({"type": "step.dispatched", **own, "data": given})["seq"]
        answer = {"digest": f"{number:032x}", "output": "y" * 100}
        bus.stage({"type": "step.succeeded", **own, "fence": fence, "data": answer})
        if number % _BATCH == 0:
            bus.commit()
    bus.commit()


KINDS: dict[str, Callable[[Path, int], dict[str, float]]] = {
    "steps": of_steps,
    "projects": of_projects,
    "events": of_events,
}

if __name__ == "__main__":
    main()
