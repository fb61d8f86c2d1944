"""A real server on 127.0.0.1 that behaves as a test says, well or badly, and remembers what it was asked."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from glink.clock import wait_for
from glink.jsontext import dumps, loads

CERTIFICATE = Path(__file__).parent / "certificates" / "certificate.pem"
SECONDS = 30.0  # how long a test waits for what must happen; never reached where it does


@dataclass(frozen=True)
class Asked:
    """One request as it arrived. Names of headers are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        """The body as JSON."""
        return loads(self.body)


Behaviour = Callable[[Asked, socket.socket], None]


def reply(status: int, body: Any = b"", kind: str | None = None, **headers: str) -> bytes:
    """A whole answer; a body that is no bytes goes as JSON. `_` in a header's name is `-`."""
    raw = body if isinstance(body, bytes) else dumps(body)
    given = kind or ("text/plain" if isinstance(body, bytes) else "application/json")
    fields = {
        "content-type": given,
        "content-length": str(len(raw)),
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + raw


def says(*answers: bytes) -> Behaviour:
    """Gives these answers in turn, the last one for ever."""
    left = list(answers)

    def behave(asked: Asked, connection: socket.socket) -> None:
        connection.sendall(left.pop(0) if len(left) > 1 else left[0])

    return behave


@dataclass
class Service:
    """Listens until it is closed, a thread for each connection; each connection is closed after one request."""

    behave: Behaviour
    tls: bool = False
    asked: list[Asked] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)
    connections: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def heard(self, count: int) -> list[Asked]:
        """The requests so far, once there are so many."""
        assert wait_for(lambda: len(self.asked) >= count, seconds=SECONDS), f"only {len(self.asked)} requests came"
        return self.asked

    def _listen(self) -> None:
        while not self.closed.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        talking = connection
        with suppress(OSError, ValueError):
            if self.tls:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(CERTIFICATE, CERTIFICATE.with_name("key.pem"))
                talking = context.wrap_socket(connection, server_side=True)
                self.connections.append(talking)
            asked = _read(talking)
            if asked is not None:
                self.asked.append(asked)
                self.behave(asked, talking)
        with suppress(OSError):
            talking.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed.set()
        for one in [self._listener, *self.connections]:
            with suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(SECONDS)
        for one in [self._listener, *self.connections]:
            one.close()


def _read(connection: socket.socket) -> Asked | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65_536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65_536)
    method, target, _ = first.split(" ")
    return Asked(method, target, headers, body)
