"""What waitress is taught: to refuse what it would let pass or mend, in our words, and to let go of a socket.

Subclasses of waitress 3.0's parser, task, channel and server; `serve` puts them together. A stream's socket leaves the
server here: once the head of the answer is flushed, `handle_close` detaches it and gives it to the streams' thread.
"""

from __future__ import annotations

import re
from contextlib import suppress
from http import HTTPStatus
from secrets import token_hex
from socket import SHUT_WR, socket
from time import monotonic, sleep
from typing import Any, Final, Protocol

from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher, WSGITask
from waitress.utilities import BadRequest

from glink.limits import Limits
from glink.server.problem import CONTENT_TYPE, problem_body

STREAM: Final = "glink.stream"
_STILL_SECONDS: Final = 5.0  # the loop goes round once a second; one that did not was stopped, or its machine
_LENGTH: Final = re.compile(rb"[^:]+:[ \t]*[0-9]{1,18}[ \t]*")
_HEAD_LINE: Final = re.compile(rb"([!#$%&'*+\-.^`|~0-9A-Za-z]+):[^\x00-\x08\x0a-\x1f\x7f]*", re.ASCII)
# Who sends one of these twice wants two readers to see different things.
_ONCE: Final = frozenset(
    b"host content-length content-type transfer-encoding authorization x-api-key idempotency-key last-event-id origin "
    b"cookie expect content-encoding sec-fetch-site sec-fetch-mode sec-fetch-dest connection".split()
)


class Taker(Protocol):
    """Who goes on with a detached socket, and is told when the client left before."""

    def take(self, connection: socket) -> None: ...

    def gone(self) -> None: ...


class Parser(HTTPRequestParser):
    """Refuses requests that two readers could read differently."""

    def parse_header(self, header_plus: bytes) -> None:
        """Called with the whole head; raises ParsingError, which is answered by 400."""
        first, *lines = header_plus.split(b"\r\n")
        if not first.endswith((b" HTTP/1.1", b" HTTP/1.0")):
            raise ParsingError("the request line must end with HTTP/1.1 or HTTP/1.0")
        seen: set[bytes] = set()
        for line in filter(None, lines):
            found = _HEAD_LINE.fullmatch(line)
            if found is None:
                raise ParsingError("a header is malformed, folded, or has _ in its name")
            name = found[1].lower()
            if name in seen and name in _ONCE:
                raise ParsingError(f"the header {name.decode()} is given twice")
            if name == b"content-length" and not _LENGTH.fullmatch(line):
                raise ParsingError("Content-Length is invalid")
            if name == b"transfer-encoding" and line.lower().count(b"chunked") > 1:
                raise ParsingError("Transfer-Encoding is chunked twice")
            seen.add(name)
        if b"transfer-encoding" in seen and (b"content-length" in seen or first.endswith(b"1.0")):
            raise ParsingError("Transfer-Encoding stands beside Content-Length, or in HTTP/1.0")
        super().parse_header(header_plus)


class Refusal(ErrorTask):
    """What the parser refused, or what broke in waitress itself, as a problem in JSON."""

    def execute(self) -> None:
        error = self.request.error
        detail = error.body if isinstance(error, BadRequest) else error.reason
        body = problem_body(error.code, detail, token_hex(8), {})
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", CONTENT_TYPE))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class Task(WSGITask):
    """One request. An answer that is a stream has only its head written here."""

    wrote_header: bool

    def write(self, data: bytes) -> None:
        """The head and a body that is there in one piece leave in one piece."""
        if self.wrote_header or not self.complete or self.content_length != len(data) or not self.has_body:
            super().write(data)
            return
        self.content_bytes_written = len(data)
        self.channel.write_soon(self.build_response_header() + data)
        self.wrote_header = True

    def finish(self) -> None:
        taker = (self.environ or {}).get(STREAM)
        if taker is None:
            super().finish()
            return
        lines = [f"HTTP/1.1 {self.status}", "Connection: close"]
        lines += [f"{name}: {text}" for name, text in self.response_headers if name.lower() != "content-length"]
        self.wrote_header = self.close_on_finish = True
        self.channel.taker = taker
        try:
            self.channel.write_soon(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        except ClientDisconnected:
            self.channel.let_go()
            raise


class Channel(HTTPChannel):
    """A connection, with the moment since which its client is waited for."""

    parser_class = Parser
    task_class = Task
    error_task_class = Refusal
    server: Server
    socket: Any
    taker: Taker | None = None
    served = False
    flushing = False

    def __init__(self, *arguments: Any, **more: Any) -> None:
        self.waiting_since = monotonic()
        super().__init__(*arguments, **more)

    def received(self, data: bytes) -> bool:
        if self.request is None:
            self.waiting_since = monotonic()
        taken: bool = super().received(data)
        return taken

    def service(self) -> None:
        super().service()
        self.served, self.waiting_since = True, monotonic()

    def writable(self) -> bool:
        """Not while a thread sends: the loop would go round for nothing, and keep the interpreter from that thread."""
        return not self.flushing and bool(super().writable())

    def _flush_some(self, do_close: bool = True) -> bool:
        self.flushing = True
        try:
            sent: bool = super()._flush_some(do_close)
        finally:
            self.flushing = False
        if sent:
            self.waiting_since = monotonic()
        return sent

    def patience(self) -> float:
        """Seconds for what the client is to do now: take an answer, send a head, a body, or its next request."""
        limits, request = self.server.limits, self.request
        if self.total_outbufs_len or (request is None and self.served):
            return limits.idle_seconds
        return limits.body_seconds if request is not None and request.headers_finished else limits.header_seconds

    def end_if_overdue(self, now: float) -> None:
        """Close the connection of a client that was waited for long enough."""
        if self.requests or now - self.waiting_since <= self.patience():
            return
        if self.socket is not None and not self.total_outbufs_len and not (self.served and self.request is None):
            with suppress(OSError):
                self.socket.send(_TOO_SLOW)
        self.will_close = True

    def let_go(self) -> None:
        """The client is not there any more."""
        taker, self.taker = self.taker, None
        if taker is not None:
            taker.gone()

    def handle_close(self) -> None:
        """Close, or let go of the socket of a stream whose head is out."""
        flushed = self.connected and not self.total_outbufs_len and self.socket is not None
        if self.taker is None or not flushed:
            super().handle_close()
            self.let_go()
            return
        taker, self.taker = self.taker, None
        self.del_channel()
        descriptor = self.socket.detach()
        self.socket = None
        super().handle_close()
        taker.take(socket(fileno=descriptor))


class Server(TcpWSGIServer):
    """Accepts up to a number of connections, and says 503 to the next."""

    channel_class = Channel

    def __init__(
        self, *arguments: Any, limits: Limits, apart: frozenset[str], apart_tasks: ThreadedTaskDispatcher, **more: Any
    ) -> None:
        """Requests for the paths `apart` are answered by threads of their own."""
        self.limits = limits
        self._apart, self._apart_tasks = apart, apart_tasks
        self._looked = 0.0
        super().__init__(*arguments, **more)

    def add_task(self, task: Channel) -> None:
        apart = getattr(task.requests[0], "path", "") in self._apart
        (self._apart_tasks if apart else self.task_dispatcher).add_task(task)

    def readable(self) -> bool:
        """Asked in every round of the loop. By a clock that does not jump, once a second: end what takes too long."""
        now = monotonic()
        if (since := now - self._looked) >= 1.0:
            self._looked = now
            for channel in list(self.active_channels.values()):
                if since > _STILL_SECONDS:
                    channel.waiting_since = now
                else:
                    channel.end_if_overdue(now)
        return bool(self.accepting)

    def handle_accept(self) -> None:
        """All who wait, a hundred at most; then those who are connected have their turn."""
        for _ in range(100):
            try:
                accepted = self.accept()
            except OSError:
                # out of descriptors: the socket stays readable, so without a pause this would spin
                sleep(0.05)
                return
            if accepted is None:
                return
            connection, address = accepted
            if len(self.active_channels) >= self.limits.connections:
                _turn_away(connection)
                continue
            with suppress(OSError):
                self.set_socket_options(connection)
            self.channel_class(self, connection, self.fix_addr(address), self.adj, map=self._map)

    def stop_accepting(self) -> None:
        """Close the listening socket and whatever idles; the loop's own thread calls this."""
        self.accepting = False
        self.del_channel()
        self.socket.close()
        for channel in list(self.active_channels.values()):
            if not channel.requests and not channel.total_outbufs_len:
                channel.handle_close()

    def owes_bytes(self) -> bool:
        """Whether part of an answer is still to be sent."""
        return any(one.total_outbufs_len for one in list(self.active_channels.values()))


def _turn_away(connection: socket) -> None:
    with connection, suppress(OSError):
        connection.setblocking(False)
        connection.send(_TOO_MANY)
        connection.shutdown(SHUT_WR)
        # what was sent and never read would turn the end of the connection into a reset, and the answer would be lost
        connection.recv(1 << 16)


def _canned(status: int, detail: str, *headers: str) -> bytes:
    body = problem_body(status, detail, "0" * 16, {})
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Content-Type: {CONTENT_TYPE}", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "Connection: close", "", ""]).encode() + body


_TOO_MANY: Final = _canned(503, "too many connections", "Retry-After: 1")
_TOO_SLOW: Final = _canned(408, "the request did not arrive in time")
