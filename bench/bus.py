"""Lines 7, 8 and 9: appending, rebuilding and reading one project, with a million events over a thousand projects."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from glink.bus.bus import Bus
from glink.clock import SystemClock
from glink.jsontext import dumps
from glink.limits import Limits
from glink.reconciler.memory import Memory

TEXT = "x" * 150


def _open(path: Path, *, sync: bool = True) -> Bus:
    return Bus.open(path, clock=SystemClock(), limits=Limits(), sync=sync)


def floor_appends(folder: Path, batch: int, count: int) -> float:
    """Events a second: the same encoder, one write and one sync a batch, nothing else."""
    path = folder / "floor"
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    began = time.perf_counter()
    for start in range(0, count, batch):
        lines = [
            dumps({"seq": n, "b": start, "e": 1, "time": "2026-11-26T10:00:00.000000Z", "type": "note.a", **_body(n)})
            for n in range(start, start + batch)
        ]
        os.write(fd, b"\n".join(lines) + b"\n")
        os.fdatasync(fd)
    took = time.perf_counter() - began
    os.close(fd)
    path.unlink()
    return count / took


def appends(path: Path, batch: int, count: int) -> float:
    """Events a second through the bus, each batch acknowledged: one writer, 50 at once, lists of 100."""
    bus = _open(path)
    began = time.perf_counter()
    for start in range(0, count, batch):
        for n in range(start, start + batch):
            bus.stage({"type": "note.a", **_body(n)})
        bus.commit()
    took = time.perf_counter() - began
    bus.close()
    return count / took


def _body(number: int) -> dict[str, Any]:
    return {"project": f"p{number % 1000}", "data": {"n": number, "text": TEXT}}


def fill(path: Path, events: int, projects: int) -> None:
    """A bus of finished steps: two events each, over all projects in turn."""
    bus = _open(path, sync=False)
    key = "0123456789abcdef"
    for number in range(events // 2):
        project, step = f"p{number % projects}", f"s{number // projects % 10}"
        own = {"project": project, "run": 1, "step": step}
        given = {"reason": "never_ran", "agent": "a", "generation": 1, "definition": key, "key": key}
        data = {**given, "fingerprint": {"task": key, "agent": key}, "task": f"do {number}"}
        fence = bus.stage({"type": "step.dispatched", **own, "attempt": 1, "data": data})["seq"]
        answer = {"digest": key, "output": f"done {number}", "seconds": 0.0}
        bus.stage({"type": "step.succeeded", **own, "attempt": 1, "fence": fence, "data": answer})
        if bus.staged_bytes > 1 << 20:
            bus.commit()
    bus.commit()
    bus.close()


def orjson_alone(path: Path) -> float:
    """Events a second for decoding the same lines in blocks, and nothing else."""
    from glink.jsontext import loads

    began, count = time.perf_counter(), 0
    for file in sorted((path / "events").glob("*.jsonl")):
        lines = file.read_bytes().split(b"\n")[:-1]
        for start in range(0, len(lines), 200):
            count += len(loads(b"[%b]" % b",".join(lines[start : start + 200])))
    return count / (time.perf_counter() - began)


_REBUILD = """
import re, sys, time
began = time.perf_counter()
from pathlib import Path
from glink.bus.bus import Bus
from glink.clock import SystemClock
from glink.collector import calm
from glink.limits import Limits
from glink.reconciler.memory import Memory
calm()  # as the command line does
bus = Bus.open(Path(sys.argv[1]), clock=SystemClock(), limits=Limits())
memory = Memory.read(bus)
took = time.perf_counter() - began
rss = int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024  # ru_maxrss has the parent's
print(took, memory.seq, rss, len(memory.states))
bus.close()
"""


def restart(path: Path) -> tuple[float, int, int]:
    """Seconds from the first import to all states, the seq they are of, and the most MiB of memory."""
    done = subprocess.run([sys.executable, "-c", _REBUILD, str(path)], check=True, capture_output=True, text=True)
    took, seq, rss, _ = done.stdout.split()
    return float(took), int(seq), int(rss)


def one_project(path: Path) -> tuple[float, float]:
    """Milliseconds to the first record of one project, and its records a second."""
    bus = _open(path)
    began = time.perf_counter()
    records = bus.replay(0, project="p7")
    next(records)
    first = time.perf_counter() - began
    count = 1 + sum(1 for _ in records)
    took = time.perf_counter() - began
    bus.close()
    return first * 1e3, count / took


def decoding(path: Path, count: int) -> float:
    """Records a second of decoding one by one what a reader of one project is given: the floor of line 9."""
    from glink.jsontext import loads

    line = next((path / "events").glob("*.jsonl")).read_bytes().split(b"\n")[1]
    began = time.perf_counter()
    for _ in range(count):
        loads(line)
    return count / (time.perf_counter() - began)


def measure(fresh: Callable[[], Path], add: Callable[..., None], *, quick: bool) -> None:
    """All rows of lines 7, 8 and 9."""
    for name, batch, count in (("one writer", 1, 500), ("50 writers", 50, 10_000), ("lists of 100", 100, 20_000)):
        size = max(batch, count // 20) if quick else count
        low, own = [], []
        folder = fresh()
        folder.mkdir()
        for number in range(1 if quick else 5):
            low.append(floor_appends(folder, batch, size))
            own.append(appends(folder / str(number), batch, size))
        add("7", f"appends, {name}", 1e3 / max(low), 1e3 / max(own), ">= 0.8 x floor", f", {max(own):.0f}/s")
    events, projects = (20_000, 20) if quick else (1_000_000, 1_000)
    path = fresh()
    fill(path, events, projects)
    low_rate = orjson_alone(path)
    took, seq, rss = restart(path)
    if seq != events:
        raise RuntimeError(f"{seq} of {events} events were rebuilt")
    add(
        "8",
        f"rebuild {events} events",
        events / low_rate * 1e3,
        took * 1e3,
        ">= 0.5 M/s",
        f", {events / took:.0f}/s, {rss} MiB",
    )
    _save(path)
    took, _, rss = restart(path)
    add("8", "restart with checkpoints", python_and_imports(), took * 1e3, "<= 800 ms", f", {rss} MiB")
    first, rate = one_project(path)
    add("9", "one project, first record", 10, first, "<= 10 ms")
    add("9", "one project, each record", 1e3 / decoding(path, 20_000), 1e3 / rate, ">= 200,000/s", f", {rate:.0f}/s")


def _save(path: Path) -> None:
    bus = _open(path)
    memory = Memory.read(bus)
    memory.save(bus, memory.states, memory.world)
    bus.close()


def python_and_imports() -> float:
    """Milliseconds to start Python and import what a restart imports."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import glink.bus.bus, glink.reconciler.memory"], check=True)
    return (time.perf_counter() - began) * 1e3
