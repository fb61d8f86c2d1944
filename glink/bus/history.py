"""Reads records back out of the segments. Called by the bus and by readers in other processes.

A sealed segment is checked as a whole by its sha256; of the last one, what recovery walked is trusted in the process
that did so, and checked record by record by everybody else.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

from glink.bus import record, segment
from glink.bus.fsio import Disk
from glink.bus.segment import Header, Walk
from glink.errors import BusCorrupt
from glink.event import Record
from glink.jsontext import loads

Judge = Callable[[int, Header, int, int], None]


class End(NamedTuple):
    """Where reading stops: the last segment by its first seq, and the offset in it."""

    first: int
    offset: int


class History:
    """The segments of one bus. `trusted` when this process has walked the last one since it took the lock."""

    def __init__(self, disk: Disk, events: Path, *, trusted: bool) -> None:
        self._disk = disk
        self._events = events
        self._trusted = trusted

    def replay(self, after: int, end: End, *, judge: Judge | None = None) -> Iterator[Record]:
        """Records with a seq above `after`, in order, up to `end`.

        Raises BusCorrupt for a damaged one. With `judge`, what stands at the end of the last segment may be a torn
        batch: `judge` is given the place and returns when it is.
        """
        firsts = [first for first in segment.firsts(self._disk, self._events) if first <= end.first]
        for first in firsts[max(bisect_right(firsts, after + 1) - 1, 0) :]:
            fd, header = segment.open_segment(self._disk, self._events, first)
            try:
                if first != end.first:
                    yield from self._sealed(fd, header, after)
                elif self._trusted:
                    yield from self._decoded(fd, self._locate(fd, header, after, end.offset), end.offset, after)
                else:
                    yield from self._checked(fd, header, after, end.offset, judge)
            finally:
                self._disk.close(fd)

    def read(self, seq: int, end: End) -> Record | None:
        """One record, checked by itself; None where it is not on the bus."""
        firsts = [first for first in segment.firsts(self._disk, self._events) if first <= min(end.first, seq)]
        if not firsts:
            return None
        fd, header = segment.open_segment(self._disk, self._events, firsts[-1])
        try:
            size = end.offset if firsts[-1] == end.first else self._disk.fstat(fd).st_size
            line = self._line(fd, header, seq, size)
        finally:
            self._disk.close(fd)
        if line is None:
            return None
        if not record.is_intact(line, header.id):
            raise BusCorrupt(f"{self._path(header)}: record {seq} is damaged")
        return cast("Record", loads(line))

    def _line(self, fd: int, header: Header, seq: int, size: int) -> bytes | None:
        start = segment.locate(self._disk, fd, header.size, size, seq)
        mark = b'{"seq":%d,"b":' % seq
        for block in segment.blocks(self._disk, fd, start, size):
            at = 0 if block.startswith(mark) else block.find(b"\n" + mark) + 1
            if at or block.startswith(mark):
                return block[at : block.index(b"\n", at)]
        return None

    def _sealed(self, fd: int, header: Header, after: int) -> Iterator[Record]:
        seal = segment.read_seal(self._disk, fd, header)
        if seal is None:
            raise BusCorrupt(f"{self._path(header)}: the seal is missing or damaged though a later segment is there")
        if seal.last <= after:
            return
        if seal.damaged or segment.digest_of(self._disk, fd, seal.start) != seal.sha256:
            raise BusCorrupt(
                f"{self._path(header)}: damaged: records {header.first}-{seal.last} or some of them are lost"
            )
        yield from self._decoded(fd, self._locate(fd, header, after, seal.start), seal.start, after)

    def _decoded(self, fd: int, start: int, end: int, after: int) -> Iterator[Record]:
        """Whole blocks of trusted lines, decoded as one JSON list each: lines hold no newline of their own."""
        for block in segment.blocks(self._disk, fd, start, end):
            records: list[Any] = loads(b"[%b]" % block[:-1].replace(b"\n", b","))
            if records[0]["seq"] <= after:
                records = [found for found in records if found["seq"] > after]
            yield from records

    def _checked(self, fd: int, header: Header, after: int, end: int, judge: Judge | None) -> Iterator[Record]:
        walk = Walk(self._disk, fd, header, start=self._locate(fd, header, after, end), end=end)
        for line in walk:
            if record.seq_of(line) > after:
                yield loads(line)
        if not walk.stopped_early:
            return
        if judge is None:
            raise BusCorrupt(f"{self._path(header)}: damaged at byte {walk.at}: record {walk.seq + 1} is due there")
        judge(fd, header, walk.at, walk.seq + 1)

    def _locate(self, fd: int, header: Header, after: int, end: int) -> int:
        return segment.locate(self._disk, fd, header.size, end, after + 1)

    def _path(self, header: Header) -> Path:
        return self._events / segment.name_of(header.first)
