"""The private channel to the daemon that holds a bus: a Unix socket in the bus directory, one JSON line each way.

Only who may read the bus directory (0700) can reach it. Verbs use it when the bus is held; the API is for everybody else.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from glink.errors import GlinkError, NoState, named
from glink.jsontext import JSONError, dumps, loads

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "channel"
MAX_LINE = 1 << 20
SECONDS = 60.0

Answerer = Callable[[str, str, dict[str, Any], str], dict[str, Any]]


@contextmanager
def _short_path(bus: Path) -> Iterator[str]:
    """A path to the socket that fits into sun_path however deep the bus lies."""
    folder = os.open(bus, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{NAME}"
    finally:
        os.close(folder)


class Channel:
    """The daemon's end: a thread that answers one request after another."""

    def __init__(self, listener: socket.socket, bus: Path, answer: Answerer) -> None:
        self._listener, self._bus, self._answer = listener, bus, answer
        self._thread = Thread(target=self._serve, name="channel", daemon=True)
        self._thread.start()

    @classmethod
    def listen(cls, bus: Path, answer: Answerer) -> Channel:
        """Take the socket's name; whoever calls this holds the bus, so an older one is stale."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        with suppress(FileNotFoundError):
            os.unlink(bus / NAME)
        with _short_path(bus) as path:
            listener.bind(path)
        os.chmod(bus / NAME, 0o600)
        listener.listen(16)
        return cls(listener, bus, answer)

    def close(self) -> None:
        """Stop answering."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with suppress(FileNotFoundError):
            os.unlink(self._bus / NAME)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed
            Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(SECONDS)
            with suppress(OSError):
                connection.sendall(dumps(self._reply(_line(connection))) + b"\n")

    def _reply(self, line: bytes) -> dict[str, Any]:
        try:
            asked = loads(line)
            return {"answer": self._answer(asked["verb"], asked["project"], asked["arguments"], asked["by"])}
        except GlinkError as error:
            return {"error": type(error).__name__, "message": str(error), "facts": error.facts}
        except (JSONError, KeyError, TypeError) as error:
            return {"error": "UsageError", "message": f"not a request: {error}"}
        except TimeoutError:
            return {"error": "BusError", "message": "the daemon did not answer within a minute; see its log"}


def _line(connection: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"\n") and len(received) < MAX_LINE:
        chunk = connection.recv(1 << 16)
        if not chunk:
            break
        received += chunk
    return received


def ask(bus: Path, verb: str, project: str, arguments: dict[str, Any], by: str) -> dict[str, Any]:
    """Put a request to the daemon that holds `bus`; raises what it refused with, NoState when nobody listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
        connection.settimeout(SECONDS + 5)
        try:
            with _short_path(bus) as path:
                connection.connect(path)
        except OSError as error:
            raise NoState(f"no daemon listens at {bus}: {error.strerror}") from None
        request = {"verb": verb, "project": project, "arguments": arguments, "by": by}
        connection.sendall(dumps(request) + b"\n")
        reply = loads(_line(connection) or b"{}")
    if "answer" in reply:
        answer: dict[str, Any] = reply["answer"]
        return answer
    raise named(
        str(reply.get("error", "")), str(reply.get("message", "the daemon closed the channel")), reply.get("facts")
    )
