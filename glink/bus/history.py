"""Reads records back out of the segments. Called by the bus and by readers in other processes.

A sealed segment is checked as a whole by its sha256, but for a page of records that is checked one by one before, so
that the first ones come at once; of the last segment, what recovery walked is trusted in the process that did so, and
checked record by record by everybody else. One project's records are found by the index and checked each by itself, so
that the rest is not read. Who wants all of them and cares for each project's order alone gets them project by project
and segment by segment: what is folded into one state is then folded while that state is in the processor's cache.

The segment that is being read is held by a shared lock until the next one is: retention takes segments away oldest
first, so whatever a reader still has to read stays.
"""

from __future__ import annotations

import fcntl
from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, cast

from glink.bus import index, picking, record, segment
from glink.bus.around import Around
from glink.bus.damage import Damage
from glink.bus.fsio import Disk, read_all
from glink.bus.index import Index
from glink.bus.indexes import Indexes
from glink.bus.segment import Header, Seal, Walk
from glink.errors import BusCorrupt, BusTrimmed
from glink.event import Record
from glink.jsontext import loads
from glink.limits import Limits

Judge = Callable[[int, Header, int, int], None]
_PAGE = 1_000  # records that are checked one by one before a sealed segment is checked as a whole
_SOME = 200  # records decoded at once: they still fit into the processor's cache
_LARGEST_WHOLE = 32 << 20  # longer segments are not held in memory


class End(NamedTuple):
    """Where reading stops: the last segment by its first seq, and the offset in it."""

    first: int
    offset: int


class History:
    """The segments of one bus. `open_index` gives the index of the segment that is being written.

    It is there in the process that has walked that segment since it took the lock, and trusts it. `look` looks through
    all of the log for damage; `damages` is what it found when somebody came upon some, and is read around from then on.
    """

    def __init__(
        self,
        disk: Disk,
        events: Path,
        limits: Limits,
        *,
        open_index: Callable[[], Index] | None,
        look: Callable[[], Sequence[Damage]],
    ) -> None:
        self._disk, self._events = disk, events
        self._longest = limits.record_bytes
        self._open_index = open_index
        self._indexes = Indexes(disk, events, limits, saves=open_index is not None)
        self._look = look
        self.damages: tuple[Damage, ...] = ()

    def find_damage(self) -> bool:
        """Look for what is damaged, unless that is known; whether there is something new to read around."""
        if self.damages:
            return False
        try:
            self.damages = tuple(self._look())
        except FileNotFoundError:  # old segments are being trimmed, which nobody does to a damaged log
            return False
        return bool(self.damages)

    def first_seq(self) -> int:
        """The first seq that is on the bus, or was before it was lost, or will be."""
        return min([*self.firsts()[:1], *(one.first for one in self.damages)])

    def firsts(self) -> list[int]:
        """The first seq of every segment, ascending."""
        return segment.firsts(self._disk, self._events)

    def replay(
        self, after: int, end: End, *, project: str | None = None, judge: Judge | None = None
    ) -> Iterator[Record]:
        """Records with a seq above `after`, in order, up to `end`; only those of `project`, where one is given.

        Raises BusCorrupt for a damaged one, and BusTrimmed when retention takes away what is still to be read. With
        `judge`, what stands at the end of the last segment may be a torn batch: `judge` is given the place and returns
        when it is.
        """
        if self.damages:
            yield from self._around().replay(
                after,
                end,
                project,
                lambda fd, header, seal, seq: self._in_order(fd, header, seal, seq, end, project, judge),
            )
            return
        for fd, header, seal in self._segments(after, end):
            yield from self._in_order(fd, header, seal, after, end, project, judge)

    def by_project(self, after: int, end: End, *, judge: Judge | None = None) -> Iterator[tuple[str, list[Record]]]:
        """All that `replay` gives, some records of one project at a time, "" for none: in order within each project."""
        if self.damages:
            yield from _gathered(self.replay(after, end, judge=judge))
            return
        for fd, header, seal in self._segments(after, end):
            if seal is None or seal.damaged or header.first <= after or seal.start > _LARGEST_WHOLE:
                yield from _gathered(self._in_order(fd, header, seal, after, end, None, judge))
            else:
                yield from self._sorted(fd, header, seal)

    def crcs(self, end: Callable[[], End]) -> Callable[[int], str | None]:
        """Gives the crcs of records, None for one that is not on the bus: many of them for one listing of the segments."""
        listed: list[tuple[list[int], End]] = []

        def look(seq: int) -> Record | None:
            if not listed:
                listed.append((self.firsts(), end()))
            return self.read(seq, listed[0][1], firsts=listed[0][0])

        def crc_at(seq: int) -> str | None:
            try:
                found = look(seq)
                if found is None:  # the log went on since it was listed, or the record is not there
                    listed.clear()
                    found = look(seq)
            except BusCorrupt:
                found = None
            return self._named_behind(seq) if found is None else str(found["crc"])  # type: ignore[typeddict-item]

        return crc_at

    def _named_behind(self, seq: int) -> str | None:
        """The crc of the last record of a segment, also where it is lost, as the header of the next one says it."""
        try:
            fd, header = segment.open_segment(self._disk, self._events, seq + 1)
        except (FileNotFoundError, BusCorrupt):
            return None
        self._disk.close(fd)
        return header.prev_crc.decode()

    def read(self, seq: int, end: End, *, firsts: list[int] | None = None) -> Record | None:
        """One record, checked by itself; None where it is not on the bus. `firsts` spares the listing of the segments.

        Raises BusCorrupt where it is damaged.
        """
        if self.damages and self._around().concerns(seq):
            return next((one for one in self.replay(seq - 1, end) if one["seq"] == seq), None)
        firsts = [first for first in firsts or self.firsts() if first <= min(end.first, seq)]
        if not firsts:
            return None
        try:
            fd, header = segment.open_segment(self._disk, self._events, firsts[-1])
        except FileNotFoundError:  # trimmed just now
            return None
        try:
            size = end.offset if firsts[-1] == end.first else self._disk.fstat(fd).st_size
            line = self._line(fd, header, seq, size)
            if firsts[-1] != end.first and (line is None or not record.is_intact(line, header.id)):
                line = self._survivor(fd, header, seq) or line
        finally:
            self._disk.close(fd)
        if line is None:
            return None
        if not record.is_intact(line, header.id):
            raise BusCorrupt(f"{self._path(header)}: record {seq} is damaged")
        return cast("Record", loads(line))

    def projects(self, first: int) -> list[str]:
        """Who has records in a sealed segment."""
        fd, header = segment.open_segment(self._disk, self._events, first)
        try:
            return [project for project, _ in self._indexes.all(fd, header, self._seal(fd, header))]
        finally:
            self._disk.close(fd)

    def _around(self) -> Around:
        return Around(self._disk, self._events, self.damages, self._longest)

    # One segment after the other.

    def _segments(self, after: int, end: End) -> Iterator[tuple[int, Header, Seal | None]]:
        """Each with its seal, but for the one in which reading ends."""
        fd, header = self._first_segment(after, end)
        try:
            while header.first != end.first:
                seal = self._seal(fd, header)
                yield fd, header, seal
                due = seal.last + 1
                try:
                    following, header = segment.open_segment(self._disk, self._events, due)
                except FileNotFoundError:
                    if header.first in self.firsts():  # the oldest ones are trimmed first
                        raise BusCorrupt(f"{self._events / segment.name_of(due)}: the file is not there") from None
                    raise BusTrimmed(
                        f"records from {due} on were taken away by retention while they were to be read; "
                        f"the first one there is {self.first_seq()}"
                    ) from None
                self._disk.flock(following, fcntl.LOCK_SH)
                fd, done = following, fd
                self._disk.close(done)
            yield fd, header, None
        finally:
            self._disk.close(fd)

    def _first_segment(self, after: int, end: End) -> tuple[int, Header]:
        while True:
            firsts = [first for first in segment.firsts(self._disk, self._events) if first <= end.first]
            if not firsts:
                raise BusTrimmed("the records to be read were taken away by retention")
            try:
                fd, header = segment.open_segment(
                    self._disk, self._events, firsts[max(bisect_right(firsts, after + 1) - 1, 0)]
                )
            except FileNotFoundError:  # trimmed between the two calls: look again
                continue
            self._disk.flock(fd, fcntl.LOCK_SH)
            return fd, header

    def _seal(self, fd: int, header: Header) -> Seal:
        seal = segment.read_seal(self._disk, fd, header)
        if seal is None:
            raise BusCorrupt(f"{self._path(header)}: the seal is missing or damaged though a later segment is there")
        return seal

    # The records of one segment.

    def _in_order(
        self,
        fd: int,
        header: Header,
        seal: Seal | None,
        after: int,
        end: End,
        project: str | None,
        judge: Judge | None,
    ) -> Iterator[Record]:
        if seal is not None:
            return self._sealed(fd, header, seal, after, project)
        if self._open_index is None:
            return self._checked(fd, header, after, end.offset, judge, project)
        if project is None:
            return self._decoded(fd, self._locate(fd, header, after, end.offset), end.offset, after)
        found = self._open_index()
        if found.first != header.first:  # it was sealed since `end` was looked up
            found = self._indexes.scanned(fd, header, end.offset)
        return self._picked(fd, header, found.of(project), end.offset, project, after)

    def _sealed(self, fd: int, header: Header, seal: Seal, after: int, project: str | None) -> Iterator[Record]:
        if seal.last <= after:
            return
        if seal.damaged:
            if segment.digest_of(self._disk, fd, seal.start) != seal.sha256:
                raise self._damaged(header, seal)
            yield from self._survivors(fd, header, seal, after, project)
        elif project is not None:
            yield from self._picked(fd, header, self._indexes.of(fd, header, seal, project), seal.start, project, after)
        else:
            yield from self._whole(fd, header, seal, after)

    def _whole(self, fd: int, header: Header, seal: Seal, after: int) -> Iterator[Record]:
        """A page of records, each checked by itself, and then the others, once all that was written is checked."""
        walk = Walk(self._disk, fd, header, start=self._locate(fd, header, after, seal.start), end=seal.start)
        at = walk.at
        last = max(walk.seq, after) + _PAGE
        for seq, line in enumerate(walk, walk.seq + 1):
            at += len(line) + 1
            if seq > after:
                yield loads(line)
            if seq == last:
                break
        else:
            if walk.stopped_early:
                raise self._damaged(header, seal)
            return
        if segment.digest_of(self._disk, fd, seal.start) != seal.sha256:
            raise self._damaged(header, seal)
        yield from self._decoded(fd, at, seal.start, after)

    def _sorted(self, fd: int, header: Header, seal: Seal) -> Iterator[tuple[str, list[Record]]]:
        """A sealed segment project by project: checked as a whole in memory, and taken apart there by its index."""
        data = read_all(self._disk, fd, seal.start)
        if sha256(data).hexdigest() != seal.sha256:
            raise self._damaged(header, seal)
        find = data.find
        for project, offsets in self._indexes.all(fd, header, seal):
            for start in range(0, len(offsets), _SOME):
                lines = [data[at : find(b"\n", at)] for at in offsets[start : start + _SOME]]
                yield project, loads(b"[%b]" % b",".join(lines))

    def _damaged(self, header: Header, seal: Seal) -> BusCorrupt:
        return BusCorrupt(f"{self._path(header)}: damaged: records {header.first}-{seal.last} or some of them are lost")

    def _decoded(self, fd: int, start: int, end: int, after: int) -> Iterator[Record]:
        """Whole blocks of trusted lines, decoded as one JSON list each: lines hold no newline of their own."""
        for block in segment.blocks(self._disk, fd, start, end):
            records: list[Any] = loads(b"[%b]" % block[:-1].replace(b"\n", b","))
            if records[0]["seq"] <= after:
                records = [found for found in records if found["seq"] > after]
            yield from records

    def _survivor(self, fd: int, header: Header, seq: int) -> bytes | None:
        seal = self._seal(fd, header)
        if not seal.damaged:
            return None
        lines = segment.survivors(self._disk, fd, header, seal.start, self._longest)
        return next((line for _, line in lines if record.seq_of(line) == seq), None)

    def _survivors(self, fd: int, header: Header, seal: Seal, after: int, project: str | None) -> Iterator[Record]:
        """What is left of a segment whose loss was accepted."""
        for _, line in segment.survivors(self._disk, fd, header, seal.start, self._longest):
            if record.seq_of(line) > after and (project is None or index.project_of(line) == project):
                yield loads(line)

    def _picked(
        self, fd: int, header: Header, offsets: array[int], end: int, project: str, after: int
    ) -> Iterator[Record]:
        """One project's records by their offsets, each checked by its own crc."""
        for lines in picking.lines(self._disk, fd, offsets, end, after):
            for line in lines:
                if not record.is_intact(line, header.id):
                    raise BusCorrupt(f"{self._path(header)}: record {record.seq_of(line)} of {project} is damaged")
            yield from loads(b"[%b]" % b",".join(lines))

    def _checked(
        self, fd: int, header: Header, after: int, end: int, judge: Judge | None, project: str | None
    ) -> Iterator[Record]:
        walk = Walk(self._disk, fd, header, start=self._locate(fd, header, after, end), end=end)
        for line in walk:
            if record.seq_of(line) > after and (project is None or index.project_of(line) == project):
                yield loads(line)
        if not walk.stopped_early:
            return
        if judge is None:
            raise BusCorrupt(f"{self._path(header)}: damaged at byte {walk.at}: record {walk.seq + 1} is due there")
        judge(fd, header, walk.at, walk.seq + 1)

    def _line(self, fd: int, header: Header, seq: int, size: int) -> bytes | None:
        start = segment.locate(self._disk, fd, header.size, size, seq)
        mark = b'{"seq":%d,"b":' % seq
        for block in segment.blocks(self._disk, fd, start, size):
            at = 0 if block.startswith(mark) else block.find(b"\n" + mark) + 1
            if at or block.startswith(mark):
                return block[at : block.index(b"\n", at)]
        return None

    def _locate(self, fd: int, header: Header, after: int, end: int) -> int:
        return segment.locate(self._disk, fd, header.size, end, after + 1)

    def _path(self, header: Header) -> Path:
        return self._events / segment.name_of(header.first)


def _gathered(records: Iterator[Record]) -> Iterator[tuple[str, list[Record]]]:
    """Some records at a time, put together by their projects."""
    while some := list(islice(records, 5 * _SOME)):
        found: defaultdict[str, list[Record]] = defaultdict(list)
        for one in some:
            found[one.get("project", "")].append(one)
        yield from found.items()
