"""One reader's connection: where it stands, what is still to be sent, and since when it has taken nothing.

Made by `events`. From `take` on it belongs to the streams' thread, but for `reading` while `place` is READING: then it is
their second thread's.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from enum import Enum, auto
from socket import SHUT_WR, socket
from typing import TYPE_CHECKING, Final

from glink.server.reading import Reading

if TYPE_CHECKING:
    from glink.server.streams import Streams

_ONE_SEND: Final = 256 << 10
_MOST_HEARD: Final = 64 << 10


class Place(Enum):
    """BEHIND: has to read on from the bus · READING: does so · LIVE: hears what happens · ENDING: gets what waits."""

    BEHIND = auto()
    READING = auto()
    LIVE = auto()
    ENDING = auto()
    GONE = auto()


class Reader:
    """A `Taker` of its connection. `moved`: when it last took bytes; `told`: when it was last given some."""

    def __init__(self, streams: Streams, reading: Reading, first: bytes = b"") -> None:
        self.reading = reading
        self.follows = reading.end is None
        self.place = Place.BEHIND
        self.connection: socket | None = None
        self.moved = self.told = 0.0
        self.waiting: deque[bytes] = deque()
        self.bytes = self._heard = 0
        self._streams = streams
        self.push(first, 0.0)

    def take(self, connection: socket) -> None:
        """Go on with a connection whose head is sent."""
        connection.setblocking(False)
        self.connection = connection
        self._streams.adopt(self)

    def gone(self) -> None:
        """The client left before its stream began."""
        self._streams.left(self)

    def push(self, piece: bytes, now: float) -> None:
        """More to send."""
        if piece:
            if not self.bytes:
                self.moved = now
            self.waiting.append(piece)
            self.bytes += len(piece)
            self.told = now

    def send(self, now: float) -> bool:
        """Send what the connection takes; False when it is broken. Nothing waits."""
        assert self.connection is not None
        while self.waiting:
            piece = self.waiting.popleft()
            try:
                sent = self.connection.send(memoryview(piece)[:_ONE_SEND])
            except BlockingIOError:
                sent = 0
            except OSError:
                return False
            self.bytes -= sent
            if sent < len(piece):
                self.waiting.appendleft(piece[sent:])
            if sent == 0:
                return True
            self.moved = now
        return True

    def is_there(self) -> bool:
        """Whether the other end is. What it sends is of no interest, and much of it is an attack."""
        assert self.connection is not None
        try:
            heard = len(self.connection.recv(_MOST_HEARD))
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._heard += heard
        return heard > 0 and self._heard < _MOST_HEARD

    def close(self, *, whole: bool) -> None:
        """Let go of everything; `whole` says by the end of the stream that it was all."""
        connection, self.connection = self.connection, None
        if connection is not None:
            if whole:
                with suppress(OSError):  # it was broken already
                    connection.shutdown(SHUT_WR)
            connection.close()
        if self.place is not Place.READING:
            self.reading.close()
        self.place = Place.GONE
        self.waiting.clear()
