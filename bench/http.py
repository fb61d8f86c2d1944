"""Lines 9 and 11: the HTTP side in a process of its own, beside a bare bottle under the same waitress.

`python -m bench.http floor|glink FOLDER` is the server under test: it prints its port, obeys lines on stdin, and ends
with it.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOKEN = "bench"
PAYLOAD = {"status": "ok", "version": "0", "uptime": 1.5}
HEALTH = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@dataclass
class Server:
    """A server under test, seen from outside."""

    port: int
    process: subprocess.Popen[str]

    def tell(self, line: str) -> str:
        """Have it do something; its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


@contextmanager
def server(kind: str, folder: Path) -> Iterator[Server]:
    """A server in a process of its own."""
    command = [sys.executable, "-m", "bench.http", kind, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Server(int(process.stdout.readline()), process)
    finally:
        process.stdin.close()
        process.wait(30)


def requests(port: int, seconds: float, connections: int = 32) -> float:
    """Milliseconds a request of a small JSON answer, over so many kept connections at once."""
    import selectors

    chosen = selectors.DefaultSelector()
    for _ in range(connections):
        one = socket.create_connection(("127.0.0.1", port))
        one.sendall(HEALTH)
        chosen.register(one, selectors.EVENT_READ)
    done, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < seconds:
        for key, _ in chosen.select(1):
            connection: Any = key.fileobj
            if connection.recv(65_536).endswith(b"}"):  # head and body may come apart
                done += 1
                connection.sendall(HEALTH)
    for key in list(chosen.get_map().values()):
        key.fileobj.close()  # type: ignore[union-attr]
    return took * 1e3 / done


def health(port: int, count: int) -> tuple[float, float]:
    """p50 and p99 in milliseconds of a request, each on a connection of its own."""
    found = []
    for _ in range(count):
        began = time.perf_counter()
        with socket.create_connection(("127.0.0.1", port)) as one:
            one.sendall(HEALTH)
            while not one.recv(65_536).endswith(b"}"):
                pass
        found.append((time.perf_counter() - began) * 1e3)
        time.sleep(0.002)
    found.sort()
    return found[count // 2], found[min(count - 1, count * 99 // 100)]


@contextmanager
def streams(port: int, count: int) -> Iterator[None]:
    """So many readers that follow, in a process of their own that drains them."""
    reader = [sys.executable, "-m", "bench.http", "read", str(port), str(count)]
    process = subprocess.Popen(reader, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if process.stdout.readline().strip() != str(count):
            raise RuntimeError("not every stream was opened")
        yield
    finally:
        process.stdin.close()
        process.wait(30)


def events(port: int, query: str) -> tuple[float, float, int]:
    """Of one answer of events: milliseconds to its first byte, to its last, and how many events it had."""
    with socket.create_connection(("127.0.0.1", port)) as one:
        began = time.perf_counter()
        one.sendall(f"GET /events?{query} HTTP/1.0\r\nHost: 127.0.0.1\r\nX-API-Key: {TOKEN}\r\n\r\n".encode())
        pieces = [one.recv(1 << 20)]
        first = time.perf_counter() - began
        while piece := one.recv(1 << 20):
            pieces.append(piece)
        last = time.perf_counter() - began
    return first * 1e3, last * 1e3, b"".join(pieces).partition(b"\r\n\r\n")[2].count(b"\n")


def replayed(folder: Path) -> tuple[float, int]:
    """The floor of an answer of events: milliseconds to read and encode what is on a bus, and how many events."""
    from glink.bus.reader import BusReader
    from glink.jsontext import dumps
    from glink.limits import Limits

    began, count = time.perf_counter(), 0
    for record in BusReader(folder, limits=Limits()).replay(0):
        dumps(record)
        count += 1
    return (time.perf_counter() - began) * 1e3, count


def _floor() -> int:
    """A bare bottle application under waitress."""
    import logging
    from threading import Thread

    import bottle
    from waitress.server import create_server

    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    app = bottle.Bottle()
    app.get("/health", callback=lambda: PAYLOAD)
    found: Any = create_server(
        app,
        host="127.0.0.1",
        port=0,
        threads=8,
        asyncore_use_poll=True,
        connection_limit=2_000,
        clear_untrusted_proxy_headers=False,
    )
    Thread(target=found.run, daemon=True).start()
    return int(found.effective_port)


def _glink(folder: Path) -> int:
    """The site of the product over a bus, with a thread that writes when it is told to."""
    from threading import Thread

    from glink import collector
    from glink.bus.bus import Bus
    from glink.clock import SystemClock
    from glink.limits import Limits
    from glink.server.auth import Tokens
    from glink.server.events import events_route
    from glink.server.guard import Guard
    from glink.server.health import Pulse, health_route
    from glink.server.serve import Serving
    from glink.server.site import Site
    from glink.server.streams import Streams

    collector.share()  # as `glink up` does
    limits = Limits(requests_per_second=1_000_000)
    bus = Bus.open(folder, clock=SystemClock(), limits=limits, sync=False)

    class Source:
        durable_seq = property(lambda self: bus.durable_seq)

        def replay(self, after: int, project: str | None) -> Any:
            return bus.replay(after)

    source: Any = Source()
    live = Streams(source, limits)
    site = Site(
        [health_route(lambda: Pulse(1.5)), events_route(source, live, is_open=lambda record: True)],
        tokens=Tokens.of((), TOKEN),
        guard=Guard.of("127.0.0.1", ()),
        limits=limits,
    )

    def write(count: int, projects: int) -> None:
        batch = []
        for number in range(count):
            data = {"n": number, "pad": "x" * 150}
            batch.append(bus.stage({"type": "note.bench", "project": f"p{number % projects}", "data": data}))
            if len(batch) == 1_000 or number == count - 1:
                bus.commit()
                live.hear(batch)
                batch = []

    def obey() -> None:
        for line in sys.stdin:
            word, *numbers = line.split()
            if word == "write":
                write(*map(int, numbers))
            elif word == "beat":
                Thread(target=beat, args=(float(numbers[0]),), daemon=True).start()
            print("done", flush=True)

    def beat(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            write(1, 1)
            time.sleep(0.05)

    obeying.append(obey)
    return Serving(site, host="127.0.0.1", port=0, limits=limits).port


def _read(port: int, count: int) -> None:
    """Open so many streams, say so, and read until stdin ends."""
    import selectors

    chosen = selectors.DefaultSelector()
    chosen.register(sys.stdin, selectors.EVENT_READ)
    opened = 0
    for _ in range(count):
        one = socket.create_connection(("127.0.0.1", port))
        asked = "Host: 127.0.0.1\r\nAccept: text/event-stream\r\nX-API-Key: " + TOKEN
        one.sendall(f"GET /events HTTP/1.1\r\n{asked}\r\n\r\n".encode())
        opened += one.recv(4_096).startswith(b"HTTP/1.1 200")
        chosen.register(one, selectors.EVENT_READ)
    print(opened, flush=True)
    while True:
        for key, _ in chosen.select():
            if key.fileobj is sys.stdin:
                return
            key.fileobj.recv(1 << 16)  # type: ignore[union-attr]


obeying: list[Any] = []

if __name__ == "__main__":
    match sys.argv[1:]:
        case ["read", port, count]:
            _read(int(port), int(count))
        case [kind, folder]:
            print(_floor() if kind == "floor" else _glink(Path(folder)), flush=True)
            for obey in obeying or [sys.stdin.read]:
                obey()
