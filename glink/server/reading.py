"""A reader's way through what is already on the bus, in pieces: some records, or some bytes, at a time.

Used in an application thread for short answers and by the streams' second thread for long ones.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import Protocol

from glink.errors import BusCorrupt
from glink.event import Record
from glink.server.choice import Choice
from glink.server.form import Form, text_of


class Source(Protocol):
    """The bus. `replay` may leave out the records of other projects than `project`."""

    @property
    def durable_seq(self) -> int: ...

    def replay(self, after: int, project: str | None) -> Iterator[Record]: ...


class Reading:
    """`cursor` is the seq that it has passed. `end`: the last seq that is wanted, None to go on; `left`: how many more.

    `done` once nothing more is wanted, `up_to_date` while the bus had nothing more when it was last asked. `gap` is set,
    and nothing more is read, when what follows `cursor` is not on the bus any more.
    """

    def __init__(
        self, source: Source, choice: Choice, form: Form, *, after: int, end: int | None, left: int | None
    ) -> None:
        self.choice, self.form = choice, form
        self.cursor, self.end, self.left = after, end, left
        self.done = self.up_to_date = self.gap = False
        self._source = source
        self._open: list[Iterator[Record]] = []  # none, or the one that is read from
        self._top = 0

    def more(self, records: int, size: int) -> bytes:
        """The next piece, of about `size` bytes at most, after looking at `records` at most; raises BusError.

        Before what is damaged the piece ends, and the next one raises.
        """
        pieces: list[bytes] = []
        before = self.cursor
        try:
            self._read_on(pieces, records, size)
        except BusCorrupt:
            self.close()
            if self.cursor == before:
                raise
        if self.done:
            self.close()
        return b"".join(pieces)

    def _read_on(self, pieces: list[bytes], records: int, size: int) -> None:
        written = 0
        takes, frame = self.choice.takes, self.form.record
        for looked, record in enumerate(self._begun(), 1):
            seq = record["seq"]
            if self.end is not None and seq > self.end:
                self.done = True
                break
            self.cursor = seq
            if takes(record):
                pieces.append(frame(seq, text_of(record)))
                written += len(pieces[-1])
                if self.count(1):
                    break
            if looked >= records or written >= size:
                return
        else:
            self._exhausted()

    def count(self, taken: int) -> bool:
        """Count what was given; whether that was all that is wanted."""
        if self.left is not None:
            self.left -= taken
            self.done = self.left <= 0
        return self.done

    def close(self) -> None:
        """Let go of the files that are read; `more` opens them again. Any thread, while none is in `more`."""
        with suppress(IndexError):  # two threads may close at once
            records = self._open.pop()
            if isinstance(records, Generator):
                records.close()

    def _begun(self) -> Iterator[Record]:
        if not self._open:
            self._top, self.up_to_date = self._source.durable_seq, False
            self._open.append(self._source.replay(self.cursor, self.choice.project))
            if self.cursor and self._trimmed():
                self.gap = self.done = True
                self.close()
                return iter(())
        return self._open[0]

    def _trimmed(self) -> bool:
        """Whether the record after the cursor is gone; who asks for all there is misses nothing."""
        following = self._source.replay(self.cursor, None)
        first = next(following, None)
        if isinstance(following, Generator):
            following.close()
        return first is not None and first["seq"] != self.cursor + 1

    def _exhausted(self) -> None:
        if not self.gap:
            self.close()
            self.cursor, self.up_to_date = max(self.cursor, self._top), True
            self.done = self.done or self.end is not None
