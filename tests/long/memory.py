"""Promise P8 at its full size: a daemon over a million events, with all that memory must not grow with, at once.

A bus of a million events over a thousand projects of ten steps, which have their files and run again, an agent that
writes 100 MiB to each of stdout and stderr, and 200 readers of `/events` who take little or nothing. Other sizes leave the
projects without files, or add a workflow of 10,000 steps that runs.
"""

from __future__ import annotations

import random
import re
import selectors
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from bench.bus import fill
from tests.live.served import TOKEN, Served

PROMISED_MIB = 150.0
_CONFIG = """
concurrency: 8
limits: {{steps: 10000}}
agents:
  instant: {{type: echo}}
  slow: {{type: echo, delay: 20ms}}
  loud: {{type: command, command: [{python}, -c, {program}]}}
"""
_LOUD = (
    "import os, sys; n = int(sys.stdin.read().split()[0]); piece = b'x' * 65536; "
    "[os.write(2, piece) for _ in range(1600)]; [os.write(1, piece) for _ in range(n)]"
)
_SMALL_BUFFER = 4_096  # the kernel is not to take for the reader what the reader does not take


@dataclass(frozen=True)
class Sizes:
    """What is done; the promise's own sizes, unless told otherwise.

    `alive`: the projects have their files. `running`: the steps of one workflow more.
    """

    events: int = 1_000_000
    projects: int = 1_000
    running: int = 0
    readers: int = 200
    seconds: float = 60.0
    alive: bool = True


@dataclass
class Found:
    """What the daemon came to: the most memory at all, and while the readers were there, in MiB; what it did."""

    peak: float = 0.0
    started: float = 0.0
    most_pss: float = 0.0
    events: int = 0
    streams: int = 0
    came: int = 0

    def __str__(self) -> str:
        return (
            f"peak RSS {self.peak:.0f} MiB ({self.started:.0f} when it had started, PSS {self.most_pss:.0f} at most), "
            f"{self.events} events, {self.streams} streams at once, {self.came} connections"
        )


def measure(folder: Path, sizes: Sizes) -> Found:
    """Run it all; the figures of the daemon."""
    home = Served(folder)
    prepare(home, sizes)
    found = Found()
    home.start()
    assert home.process is not None
    pid = home.process.pid
    try:
        found.started = peak_of(pid)
        with crowd(home, sizes.readers, found):
            _live(home, sizes, found, pid)
        found.peak = peak_of(pid)
    finally:
        home.stop()
    return found


def prepare(home: Served, sizes: Sizes) -> None:
    """The bus, and the files of everything that is on it and is to run."""
    fill(home.path / "bus", sizes.events, sizes.projects)
    home.config(_CONFIG.format(python=sys.executable, program=repr(_LOUD)))
    small = "".join(f"  - {{step: s{number}, agent: instant, task: do {number}}}\n" for number in range(10))
    for number in range(sizes.projects if sizes.alive else 0):
        home.project(f"p{number}", f"mode: parallel\nsteps:\n{small}")
    chains = [
        f"  - {{step: {number}, agent: slow, task: do {number}, context: none, after: [{max(number - 8, 0)}]}}\n"
        if number
        else "  - {step: 0, agent: slow, task: do 0}\n"
        for number in range(sizes.running)
    ]
    if chains:
        home.project("large", "mode: parallel\nsteps:\n" + "".join(chains))


def _live(home: Served, sizes: Sizes, found: Found, pid: int) -> None:
    """Let things happen for a while, and until what was begun is through."""
    began = time.monotonic()
    wanted = range(min(50, sizes.projects))
    body = [{"project": f"p{number}", "type": "note.x", "data": {"text": "y" * 500}} for number in wanted]
    loud = "steps:\n" + "".join(
        f"  - {{step: {name}, agent: loud, task: '{count}', retry: {{attempts: 1}}}}\n"
        for name, count in (("fits", 120), ("bursts", 1_600))
    )
    home.project("loud", "mode: parallel\n" + loud)
    names, done = ("large", "loud") if sizes.running else ("loud",), False
    while time.monotonic() < began + sizes.seconds or not done:
        for _ in range(20):
            status, answer = home.ask("POST", "/write", body)
            assert status in (200, 201), answer
            found.most_pss = max(found.most_pss, pss_of(pid))
            time.sleep(0.1)
        status, metrics = home.ask("GET", "/metrics")
        found.streams = max(found.streams, _metric(metrics, "glink_streams"))
        found.events = max(found.events, _metric(metrics, "glink_bus_seq"))
        done = all(_health(metrics, name) in ("Healthy", "Degraded") for name in names)


def _health(metrics: str, project: str) -> str:
    found = re.search(rf'^glink_project_info{{health="(\w+)",project="{project}"', metrics, re.MULTILINE)
    return found[1] if found else ""


def _metric(text: str, name: str) -> int:
    return max((int(float(line.split()[-1])) for line in text.splitlines() if line.startswith(name)), default=0)


@contextmanager
def crowd(home: Served, count: int, found: Found) -> Iterator[None]:
    """Readers who take nothing, or a few bytes a second; one that is cut comes again and goes on behind the rest."""
    over = Event()
    thread = Thread(target=_sit, args=(home, count, found, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _sit(home: Served, count: int, found: Found, over: Event) -> None:
    chance = random.Random(1)
    port = int(home.url.rpartition(":")[2])
    with selectors.DefaultSelector() as waiting:
        for number in range(count):
            waiting.register(_reader(port, number, chance, found), selectors.EVENT_READ, number)
        while not over.wait(1.0):
            for key, _ in waiting.select(0):
                one = key.fileobj
                assert isinstance(one, socket.socket)
                if key.data % 2 and not _is_over(one):
                    continue  # takes nothing, ever
                piece = b""
                with suppress(OSError):
                    piece = one.recv(chance.randrange(1, 200))
                if not piece:
                    waiting.unregister(one)
                    one.close()
                    waiting.register(_reader(port, key.data, chance, found), selectors.EVENT_READ, key.data)
        for key in list(waiting.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()


def _reader(port: int, number: int, chance: random.Random, found: Found) -> socket.socket:
    """A new reader: from the start, from somewhere, of one project, or of what happens from now on."""
    query = ("?follow=1&since=0", "?follow=1", f"?follow=1&since={chance.randrange(1_000_000)}", "?project=p7&follow=1")
    form = "text/event-stream" if number % 3 else "application/x-ndjson"
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
    one.settimeout(20)
    one.connect(("127.0.0.1", port))
    head = f"GET /events{query[number // 2 % 4]} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {TOKEN}\r\nAccept: {form}\r\n\r\n"
    one.sendall(head.encode())
    one.setblocking(False)
    found.came += 1
    return one


def _is_over(one: socket.socket) -> bool:
    """Whether the daemon has let go of a connection whose bytes nobody takes."""
    state = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    return state[0] != _ESTABLISHED


_ESTABLISHED = 1


def peak_of(pid: int) -> float:
    """The most memory that a process has had, MiB."""
    return _kib(Path(f"/proc/{pid}/status").read_text(), "VmHWM:") / 1024


def pss_of(pid: int) -> float:
    """The memory of a process now, its share of what is shared, MiB."""
    return _kib(Path(f"/proc/{pid}/smaps_rollup").read_text(), "Pss:") / 1024


def _kib(text: str, name: str) -> int:
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(name))
