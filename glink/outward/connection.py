"""The one door to urllib3: a request that a thread of its own makes, and that can be dropped at any moment.

Called by `exchange` alone.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
import threading
import zlib
from collections.abc import Callable
from contextlib import closing, suppress
from functools import cache
from http.client import IncompleteRead
from ipaddress import IPv4Address, IPv6Address, ip_address
from types import TracebackType
from typing import Final, Self

from urllib3 import BaseHTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from glink.clock import SystemClock
from glink.outward.exchange import Broken, Reply, Request

_CLOCK: Final = SystemClock()
_PIECE: Final = 64 << 10
_GZIP_OR_ZLIB: Final = zlib.MAX_WBITS | 32


class Call:
    """One request under way. `done` turns readable when there is a result; `heard` is when the last bytes came."""

    def __init__(self, request: Request) -> None:
        self.done = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.heard = _CLOCK.boot_time()
        self._request = request
        self._found: Reply | Broken | None = None
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._public = False
        self._dropped = False

    def start(self) -> None:
        """Begin to talk; raises Broken when the machine has no thread left."""
        try:
            threading.Thread(target=self._work, name="exchange", daemon=True).start()
        except RuntimeError as error:
            raise Broken("thread", str(error)) from None

    def result(self) -> Reply:
        """What came back, once `done` is readable."""
        found = self._found
        assert found is not None
        if isinstance(found, Broken):
            raise found
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nobody waits any more: whatever the thread is at, it ends at its next look at the socket."""
        with self._lock:
            self._dropped = True
            if self._socket is not None:
                with suppress(OSError):  # the other side may have gone first
                    self._socket.shutdown(socket.SHUT_RDWR)
            os.close(self.done)

    # In the thread.

    def _work(self) -> None:
        try:
            found: Reply | Broken = self._talk()
        except Broken as broken:
            found = broken
        except Exception as error:  # whatever the other side made of the library is a fault of this exchange alone
            found = _broken(error, self._request.address.place)
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None
            self._found = found
            if not self._dropped:
                os.eventfd_write(self.done, 1)

    def _talk(self) -> Reply:
        request = self._request
        connection = _connection(request, self._hold)
        try:
            connection.connect()
            # From here on the wait is bounded by whoever waits: it shuts the socket down.
            connection.timeout = None
            with suppress(BrokenPipeError):  # it may have answered before it has read all
                connection.request(
                    request.method,
                    request.address.target,
                    request.body,
                    {"Accept-Encoding": "identity", "Connection": "close", **request.headers},
                    preload_content=False,
                    decode_content=False,
                )
            response = connection.getresponse()
            self.heard = _CLOCK.boot_time()
            headers = {name.lower(): value for name, value in response.headers.items()}
            with closing(response):
                return Reply(response.status, headers, self._body(response), self._public)
        finally:
            connection.close()

    def _hold(self, connected: socket.socket) -> None:
        """Keep a second handle of the socket: TLS takes the first one over."""
        peer = ip_address(str(connected.getpeername()[0]).partition("%")[0])
        peer = getattr(peer, "ipv4_mapped", None) or peer
        self._public = peer.is_global
        _refuse_strange(peer, self._request)
        with self._lock:
            if self._dropped:
                raise Broken("dropped", "nobody waits any more")
            self._socket = connected.dup()

    def _body(self, response: BaseHTTPResponse) -> bytes:
        request = self._request
        unpacker = _Unpacker(response.headers.get("content-encoding", ""), request.address.place)
        parts: list[bytes] = []
        room = request.most
        while piece := response.read1(_PIECE, decode_content=False):
            self.heard = _CLOCK.boot_time()
            piece = unpacker.unpack(piece, room + 1)
            if len(piece) > room:
                if request.cut:
                    return b"".join((*parts, piece[:room]))
                raise Broken("too-large", f"{request.address.place} answered with more than {request.most} bytes")
            parts.append(piece)
            room -= len(piece)
        unpacker.end()
        return b"".join(parts)


class _Held(HTTPConnection):
    """A connection whose socket is shown to `hold` before a byte is sent; what that raises ends the connecting."""

    hold: Callable[[socket.socket], None]

    def _new_conn(self) -> socket.socket:
        connected = super()._new_conn()
        try:
            self.hold(connected)
        except BaseException:
            connected.close()
            raise
        return connected


class _HeldTLS(_Held, HTTPSConnection):
    pass


def _connection(request: Request, hold: Callable[[socket.socket], None]) -> _Held:
    address = request.address
    connection: _Held
    if address.scheme == "https":
        connection = _HeldTLS(address.host, address.port, timeout=request.connect, ssl_context=_trust())
    else:
        connection = _Held(address.host, address.port, timeout=request.connect)
    connection.hold = hold
    return connection


@cache
def _trust() -> ssl.SSLContext:
    """The machine's own certificates, or those that SSL_CERT_FILE and SSL_CERT_DIR name."""
    return ssl.create_default_context()


def _refuse_strange(peer: IPv4Address | IPv6Address, request: Request) -> None:
    """A name may lead anywhere that its owner likes, and today elsewhere than yesterday: never to a machine's innards."""
    place = request.address.place
    if peer.is_link_local and str(peer) != request.address.host:
        raise Broken("address", f"{place} leads to {peer}, an address of this machine's own network link")
    if request.only_public and not peer.is_global:
        raise Broken("address", f"{place} leads to {peer} now, an address of a private network")


class _Unpacker:
    """Takes a packed body apart, piece by piece, and never into more than is asked for."""

    def __init__(self, encoding: str, place: str) -> None:
        encoding = encoding.strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise Broken("encoding", f"{place} packs its answer in a way that was not asked for")
        self._inflater = None if encoding in ("", "identity") else zlib.decompressobj(_GZIP_OR_ZLIB)
        self._place = place
        self._begun = False

    def unpack(self, piece: bytes, most: int) -> bytes:
        """What the piece holds, or its first `most` bytes."""
        if self._inflater is None:
            return piece
        self._begun = True
        try:
            unpacked = self._inflater.decompress(piece, most)
        except zlib.error as error:
            raise Broken("cut-short", f"{self._place} packed its answer wrongly: {error}") from None
        if self._inflater.unused_data:
            raise Broken("cut-short", f"{self._place} answered with something behind its packed answer")
        return unpacked

    def end(self) -> None:
        """Nothing more comes."""
        if self._inflater is not None and self._begun and not self._inflater.eof:
            raise Broken("cut-short", f"{self._place} ended in the middle of its answer")


def _broken(error: Exception, place: str) -> Broken:
    """The fault in words, with a code."""
    cause = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], Exception) else error
    match cause:
        case NameResolutionError():
            return Broken("dns", f"the name {place} leads nowhere")
        case NewConnectionError():
            return Broken("connect", f"cannot connect to {place}: {_reason(cause.__cause__)}")
        case ConnectTimeoutError():
            return Broken("connect", f"{place} does not take the connection in time")
        case ssl.SSLCertVerificationError():
            return Broken("certificate", f"the certificate of {place} is not accepted: {cause.verify_message}")
        case ssl.SSLError():
            return Broken("tls", f"no TLS with {place}: {cause.reason or type(cause).__name__}")
        case IncompleteRead():
            return Broken("cut-short", f"{place} ended in the middle of its answer")
        case ConnectionError():
            return Broken("reset", f"{place} broke the connection off: {_reason(cause)}")
        case OSError():
            return Broken("connect", f"the connection to {place} failed: {_reason(cause)}")
        case _:
            return Broken("protocol", f"{place} does not answer as HTTP says: {type(cause).__name__}")


def _reason(error: BaseException | None) -> str:
    if isinstance(error, OSError) and error.errno is not None and error.errno in errno.errorcode:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
