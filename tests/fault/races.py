"""Daemons that start at the same moment on one directory: one holds it, all the others are told by whom."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from glink.bus.bus import Bus
from glink.clock import SystemClock, wait_for
from glink.errors import BusHeld
from glink.limits import Limits

_URL = "http://127.0.0.1:8426"


def race(path: Path, contenders: int) -> None:
    """One race; the loser's error names the winner's pid. The winner is killed, and the directory is free again."""
    said, saying = os.pipe()
    gate, opening = os.pipe()
    pids = []
    for _ in range(contenders):
        pid = os.fork()
        if pid == 0:
            os.close(opening)
            os._exit(_contend(path, gate, saying))
        pids.append(pid)
    os.close(gate)
    os.close(saying)
    os.close(opening)  # all of them go on at once
    told: list[str] = []
    rest = b""
    while len(told) < contenders:
        piece = os.read(said, 4096)
        assert piece, "a contender ended without a word"
        *lines, rest = (rest + piece).split(b"\n")
        told += [line.decode() for line in lines]
    winners = [line.split()[1] for line in told if line.startswith("won")]
    assert len(winners) == 1, f"{len(winners)} daemons hold one bus"
    for line in told:
        assert line.startswith("won") or f"is held by pid {winners[0]}" in line, line
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    os.close(said)


def _contend(path: Path, gate: int, saying: int) -> int:
    os.read(gate, 1)  # ends when the gate opens
    try:
        bus = Bus.open(path, clock=SystemClock(), limits=Limits(reserve_bytes=0))
        bus.announce(url=_URL)
        word = f"won {os.getpid()}"
    except BusHeld as held:
        # The winner may not have written its name yet: then the kernel's table names it.
        word = str(held)
    os.write(saying, f"{word}\n".encode())
    wait_for(lambda: False, seconds=60, every=1)
    return 0
