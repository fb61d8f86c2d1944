"""All streams, on one thread: it takes over their sockets, wakes at most ten times a second, and waits for nobody.

Readers that are behind are caught up from the bus by a second thread, a piece at a time and only as fast as they read;
then they live on what the conductor says (`hear`). A reader that cannot keep up is told so and cut: the bus has it all.
"""

from __future__ import annotations

import logging
import os
import select
from collections import deque
from contextlib import suppress
from queue import SimpleQueue
from threading import Lock, Thread
from time import monotonic
from typing import Final

from glink.errors import GlinkError
from glink.limits import Limits
from glink.server.choice import Choice
from glink.server.feed import Feed
from glink.server.form import Form
from glink.server.problem import HttpProblem
from glink.server.reader import Place, Reader
from glink.server.reading import Source

PIECE_RECORDS: Final = 5_000
PIECE_BYTES: Final = 32 << 10
HELD_OPEN: Final = 16
_LOOK: Final = 1.0
_BUG: Final = "this is a bug in Glink; see its log"
_LOG: Final = logging.getLogger(__name__)
_ALIVE: Final = select.EPOLLIN | select.EPOLLRDHUP
_BROKEN: Final = select.EPOLLHUP | select.EPOLLERR

Written = dict[tuple[Choice, Form, int], tuple[bytes, int, int]]


class Streams:
    """The readers that are open. `hear` is for the conductor, `admit` for application threads."""

    def __init__(self, source: Source, limits: Limits) -> None:
        self._limits = limits
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._rung = self._news = self._stopping = False
        self._feed = Feed(source.durable_seq, limits, self._ring)
        self.hear = self._feed.hear
        self._lock = Lock()
        self._open: set[Reader] = set()
        self._arrived: deque[Reader] = deque()
        self._read: deque[tuple[Reader, bytes, str]] = deque()
        self._behind: SimpleQueue[Reader | None] = SimpleQueue()
        self._epoll = select.epoll()
        self._epoll.register(self._bell, select.EPOLLIN)
        self._readers: dict[int, Reader] = {}
        self._threads = [
            Thread(target=self._run, name="streams", daemon=True),
            Thread(target=self._catch_up, name="catching-up", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, reader: Reader) -> None:
        """Count a reader in before its answer begins; raises 503 when there are too many."""
        with self._lock:
            if len(self._open) >= self._limits.streams or self._stopping:
                raise HttpProblem(503, "too many streams", {"Retry-After": "5"})
            self._open.add(reader)
            self._feed.listeners += reader.follows

    def adopt(self, reader: Reader) -> None:
        """Its connection is ours now."""
        self._arrived.append(reader)
        self._ring()
        if self._stopping:
            self._close_arrived()

    def left(self, reader: Reader) -> None:
        """It is not there any more."""
        with self._lock:
            if reader in self._open:
                self._open.remove(reader)
                self._feed.listeners -= reader.follows

    def stop(self) -> None:
        """Close every stream."""
        self._stopping = True
        self._behind.put(None)
        os.eventfd_write(self._bell, 1)
        for thread in self._threads:
            thread.join()
        self._close_arrived()
        self._epoll.close()
        os.close(self._bell)

    def _close_arrived(self) -> None:
        with suppress(IndexError):
            while True:
                self._arrived.popleft().close(whole=False)

    def _ring(self) -> None:
        if not self._rung:
            self._rung = True
            with suppress(OSError):  # after `stop`
                os.eventfd_write(self._bell, 1)

    # The second thread: reads the bus.

    def _catch_up(self) -> None:
        held: dict[Reader, None] = {}
        while (reader := self._behind.get()) is not None:
            held.pop(reader, None)
            held[reader] = None
            if len(held) > HELD_OPEN:
                # Each holds some hundred decoded records: who was not served for so long finds its place again.
                slowest = next(iter(held))
                del held[slowest]
                slowest.reading.close()
            piece, fault = b"", ""
            try:
                piece = reader.reading.more(PIECE_RECORDS, PIECE_BYTES)
            except GlinkError as error:
                fault = str(error)
            except Exception:  # this reader's alone
                _LOG.exception("a stream could not be read")
                fault = _BUG
            self._read.append((reader, piece, fault))
            self._ring()

    # The thread of the sockets.

    def _run(self) -> None:
        spread = looked = 0.0
        while not self._stopping:
            now, due = monotonic(), spread + self._limits.stream_wake
            self._attend(max(min(looked + _LOOK, due if self._news else looked + _LOOK) - now, 0.0))
            now = monotonic()
            while self._arrived:
                self._welcome(self._arrived.popleft(), now)
            while self._read:
                self._forward(*self._read.popleft(), now)
            if self._news and now >= due:
                spread, self._news = now, False
                self._spread(now)
            if now >= looked + _LOOK:
                looked = now
                self._look(now)
        for reader in list(self._readers.values()):
            self._drop(reader)

    def _attend(self, seconds: float) -> None:
        """Wait for the bell, for room in a connection, or for its end."""
        for descriptor, flags in self._epoll.poll(seconds):
            if descriptor == self._bell:
                os.eventfd_read(self._bell)
                # in this order: who finds it rung has put down what it rang for, and that is looked at now
                self._rung, self._news = False, True
                continue
            reader = self._readers.get(descriptor)
            if reader is None:
                continue
            if flags & _BROKEN or (flags & _ALIVE and not reader.is_there()):
                self._drop(reader)
            else:
                self._go_on(reader, monotonic())

    def _welcome(self, reader: Reader, now: float) -> None:
        assert reader.connection is not None
        self._readers[reader.connection.fileno()] = reader
        self._epoll.register(reader.connection.fileno(), _ALIVE)
        reader.push(reader.reading.form.greeting, now)
        self._go_on(reader, now)

    def _forward(self, reader: Reader, piece: bytes, fault: str, now: float) -> None:
        """A piece that was read from the bus, to the one who waits for it."""
        if reader.place is Place.GONE:
            reader.reading.close()
            return
        reader.place = Place.BEHIND
        reader.push(piece, now)
        if fault or reader.reading.gap:
            self._cut(reader, fault or "what follows is not kept any more", now)
        elif reader.reading.done:
            reader.place = Place.ENDING
        self._go_on(reader, now)

    def _spread(self, now: float) -> None:
        """What has just happened, to all who are up to date; for equal choices it is written once."""
        self._feed.turn()
        written: Written = {}
        for reader in list(self._readers.values()):
            if reader.place is Place.LIVE:
                try:
                    self._update(reader, written, now)
                except Exception:  # this reader's alone
                    _LOG.exception("a stream could not go on")
                    self._cut(reader, _BUG, now)
                self._go_on(reader, now)

    def _update(self, reader: Reader, written: Written, now: float) -> None:
        """What a reader who lives on the feed has not got yet."""
        reading = reader.reading
        key = (reading.choice, reading.form, reading.cursor)
        news = written.get(key) if reading.left is None else None
        if news is None:
            entries = self._feed.after(reading.cursor)
            if entries is None:
                reader.place = Place.BEHIND
                return
            frames = [reading.form.record(one.seq, one.text) for one in entries if reading.choice.takes(one.record)]
            frames = frames[: reading.left]
            news = b"".join(frames), len(frames), entries[-1].seq if entries else reading.cursor
            written[key] = news
        piece, count, cursor = news
        if reader.bytes + len(piece) > self._limits.stream_bytes and reader.bytes:
            self._cut(reader, "you read too slowly", now)
            return
        reading.cursor = cursor
        reader.push(piece, now)
        if reading.count(count):
            reader.place = Place.ENDING

    def _go_on(self, reader: Reader, now: float) -> None:
        """Send, and see what comes next for the reader."""
        if not reader.send(now):
            self._drop(reader)
            return
        if reader.place is Place.BEHIND and reader.bytes < PIECE_BYTES:
            if reader.reading.up_to_date and self._feed.after(reader.reading.cursor) is not None:
                reader.reading.close()
                reader.place, self._news = Place.LIVE, True
            else:
                reader.place = Place.READING
                self._behind.put(reader)
        if reader.place is Place.ENDING and not reader.bytes:
            self._drop(reader)
            return
        assert reader.connection is not None
        self._epoll.modify(reader.connection.fileno(), _ALIVE | (select.EPOLLOUT if reader.bytes else 0))

    def _cut(self, reader: Reader, reason: str, now: float) -> None:
        reader.push(reader.reading.form.gap(reason, reader.reading.cursor), now)
        reader.place = Place.ENDING

    def _look(self, now: float) -> None:
        """Once a second: who takes nothing is dropped, who was told nothing for long gets a comment."""
        for reader in list(self._readers.values()):
            if reader.bytes and now - reader.moved > self._limits.stream_stall:
                self._drop(reader)
            elif reader.place is Place.LIVE and not reader.bytes and now - reader.told > self._limits.stream_comment:
                reader.push(reader.reading.form.comment, now)
                self._go_on(reader, now)
        if not self._feed.listeners:
            self._feed.forget()

    def _drop(self, reader: Reader) -> None:
        assert reader.connection is not None
        self._epoll.unregister(reader.connection.fileno())
        del self._readers[reader.connection.fileno()]
        reader.close(whole=reader.place is Place.ENDING and not reader.bytes)
        self.left(reader)
