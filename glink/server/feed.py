"""What has just happened, for readers who are up to date: the end of the log, encoded once for all.

The conductor's thread puts durable batches in; the thread of the streams takes them over and reads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from glink.event import Record
from glink.limits import Limits
from glink.server.choice import looked_at
from glink.server.form import text_of

_ENTRY_BYTES: Final = 330  # an entry without its text


class Entry(NamedTuple):
    """What choices look at of a record, and how readers see it."""

    seq: int
    record: Record
    text: bytes


class Feed:
    """Holds everything that was heard after `floor`, up to a size in memory. While nobody listens nothing is kept.

    Who has read the bus to its end *after* it was counted as a listener misses nothing here: what was durable then it has
    read, and what became durable since is heard.
    """

    def __init__(self, seq: int, limits: Limits, wake: Callable[[], None]) -> None:
        self.listeners = 0
        self.floor = self._last = seq
        self._wake = wake
        self._most_bytes, self._most_batches = limits.feed_bytes, limits.feed_batches
        self._batches: deque[list[Record]] = deque()
        self._entries: deque[Entry] = deque()
        self._bytes = self._dropped = 0

    def hear(self, records: list[Record]) -> None:
        """A durable batch; called by the conductor for each, in order."""
        if self.listeners:
            if len(self._batches) < self._most_batches:
                self._batches.append(records)
            else:
                self._dropped = records[-1]["seq"]
            self._wake()

    def turn(self) -> None:
        """Take over what was heard."""
        for _ in range(len(self._batches)):
            self._keep(self._batches.popleft())
        if self._dropped > self._last:
            # there was no room for the newest: readers turn to the bus now, not only when more happens
            self._last = self._dropped
            self.forget()

    def forget(self) -> None:
        """Nobody listens any more."""
        self._entries.clear()
        self._bytes, self.floor = 0, self._last

    def after(self, seq: int) -> list[Entry] | None:
        """The entries after `seq`, None when they are not all here."""
        if seq < self.floor:
            return None
        return [self._entries[place] for place in range(seq - self._last, 0)]

    def _keep(self, records: list[Record]) -> None:
        if records[0]["seq"] != self._last + 1:
            # batches before it were not heard: readers who are behind it turn to the bus
            self._last = records[0]["seq"] - 1
            self.forget()
        for record in records:
            entry = Entry(record["seq"], looked_at(record), text_of(record))
            self._entries.append(entry)
            self._bytes += len(entry.text) + _ENTRY_BYTES
        self._last = records[-1]["seq"]
        while self._bytes > self._most_bytes:
            gone = self._entries.popleft()
            self._bytes -= len(gone.text) + _ENTRY_BYTES
            self.floor = gone.seq
