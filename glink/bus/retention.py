"""Whole old segments are taken away, oldest first, once what they said is carried on elsewhere in the log.

    carried (the conductor's) → `log.trimmed {through}` durable → unlink → fsync of the folder

Called by the bus for the conductor, and by recovery, which finishes what the newest `log.trimmed` names.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from glink.bus import index, record, segment
from glink.bus.fsio import Disk, discard
from glink.bus.segment import Header
from glink.errors import BusCorrupt
from glink.jsontext import loads

TRIMMED = "log.trimmed"
_MARK = b'"type":"log.trimmed"'
_TIME = re.compile(rb'\{"seq":\d+,"b":\d+,"e":\d+,"time":"([^"]*)"')
_TAIL = 128 << 10  # twice the longest record
_SHARE = 10  # at most a tenth of the log in one pass


@dataclass(frozen=True, slots=True)
class Span:
    """A sealed segment: its seqs, its bytes, and the time of its last record, as RFC 3339."""

    first: int
    last: int
    bytes: int
    until: str


def sealed(disk: Disk, events: Path) -> list[Span]:
    """Every segment but the last, oldest first."""
    found: list[Span] = []
    firsts = segment.firsts(disk, events)
    for first, following in pairwise(firsts):
        fd, header = segment.open_segment(disk, events, first)
        try:
            size = disk.fstat(fd).st_size
            found.append(Span(first, following - 1, size, _last_time(disk, fd, header)))
        finally:
            disk.close(fd)
    return found


def _last_time(disk: Disk, fd: int, header: Header) -> str:
    """Of the last whole record before the seal."""
    end = _end(disk, fd, header)
    for start in (max(header.size, end - _TAIL), header.size):
        tail = disk.pread(fd, end - start, start)
        found = [one for line in tail.split(b"\n") if record.is_intact(line, header.id) and (one := _TIME.match(line))]
        if found:
            return found[-1][1].decode()
    return header.time


def to_trim(spans: list[Span], before: str) -> list[Span]:
    """The oldest segments that ended before that time: at most a tenth of the sealed log, at least one segment."""
    room = sum(span.bytes for span in spans) // _SHARE
    chosen: list[Span] = []
    for span in spans:
        if span.until >= before or (chosen and sum(one.bytes for one in chosen) + span.bytes > room):
            break
        chosen.append(span)
    return chosen


def is_read(disk: Disk, events: Path, first: int) -> bool:
    """Whether somebody is reading the segment now."""
    fd = disk.open(events / segment.name_of(first), os.O_RDONLY)
    try:
        return not disk.flock(fd, fcntl.LOCK_EX)
    finally:
        disk.close(fd)


def trim(disk: Disk, events: Path, through: int) -> int:
    """Takes away the segments that begin at or before `through`, which is the last seq of one; returns how many.

    Only after the `log.trimmed` that names it is durable.
    """
    gone = [first for first in segment.firsts(disk, events) if first <= through]
    for first in gone:
        path = events / segment.name_of(first)
        discard(disk, index.path_of(path))
        disk.unlink(path)
    if gone:
        disk.fsync_dir(events)
    return len(gone)


def newest_trim(disk: Disk, fd: int, start: int, end: int) -> int:
    """The `through` of the newest `log.trimmed` in these bytes of a segment; 0 when there is none."""
    through = 0
    for found in _marked(disk, fd, start, end):
        fields = loads(found)
        if fields.get("type") == TRIMMED:
            through = int(fields["data"]["through"])
    return through


def vouched(disk: Disk, events: Path, firsts: list[int]) -> int:
    """The newest `through` in all segments but the last; 0 when none is named."""
    for first in reversed(firsts[:-1]):
        fd, header = segment.open_segment(disk, events, first)
        try:
            through = newest_trim(disk, fd, header.size, _end(disk, fd, header))
        finally:
            disk.close(fd)
        if through:
            return through
    return 0


def _end(disk: Disk, fd: int, header: Header) -> int:
    seal = segment.read_seal(disk, fd, header)
    if seal is None:
        raise BusCorrupt(f"the seal of the segment that begins at {header.first} is missing or damaged")
    return seal.start


def _marked(disk: Disk, fd: int, start: int, end: int) -> Iterator[bytes]:
    """The lines that may be of this type; damage, which has no such line, does not matter."""
    for block in segment.blocks(disk, fd, start, end):
        at = block.find(_MARK)
        while at >= 0:
            begin, stop = block.rfind(b"\n", 0, at) + 1, block.index(b"\n", at)
            yield block[begin:stop]
            at = block.find(_MARK, stop)
