"""The lines at given offsets of a segment: near ones with one read, far ones with a small read each.

Called by the history for one project's records among those of all the others.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator

from glink.bus import record
from glink.bus.fsio import Disk

_NEAR = 4 << 10  # reading on is cheaper than another call
_RUN = 64 << 10
_USUAL = 1 << 10  # longer than most records
_LINES = 200  # decoded at once


def lines(disk: Disk, fd: int, offsets: array[int], end: int, after: int) -> Iterator[list[bytes]]:
    """The lines (without newline) at `offsets` below `end` whose seq is above `after`, some at a time."""
    wanted = offsets[_first_above(disk, fd, offsets, after) : bisect_left(offsets, end)]
    for first in range(0, len(wanted), _LINES):
        some = wanted[first : first + _LINES]
        found: list[bytes] = []
        block, start, reach = b"", 0, 0  # the bytes at `start`, which hold whole lines that begin before `reach`
        for number, offset in enumerate(some):
            if offset >= reach:
                reach = _reach(some, number)
                start, block = offset, disk.pread(fd, min(reach + _USUAL, end) - offset, offset)
            at = offset - start
            newline = block.find(b"\n", at)
            found.append(block[at:newline] if newline >= 0 else _long(disk, fd, block[at:], offset, end))
        yield found


def _reach(offsets: array[int], number: int) -> int:
    """How far one read goes that begins at the offset with that number: up to the last one that is near to another."""
    start = last = offsets[number]
    for offset in offsets[number + 1 :]:
        if offset - last > _NEAR or last - start > _RUN:
            break
        last = offset
    return last + 1


def _long(disk: Disk, fd: int, line: bytes, offset: int, end: int) -> bytes:
    """The line at `offset` that begins with these bytes and is longer."""
    size = _NEAR
    while b"\n" not in line and offset + len(line) < end:
        more = disk.pread(fd, min(size, end - offset - len(line)), offset + len(line))
        if not more:
            break
        line += more
        size *= 4
    return line.partition(b"\n")[0]


def _first_above(disk: Disk, fd: int, offsets: array[int], after: int) -> int:
    low, high = 0, len(offsets)
    if not after:
        return low
    while low < high:
        middle = (low + high) // 2
        if record.seq_of(disk.pread(fd, 64, offsets[middle])) <= after:
            low = middle + 1
        else:
            high = middle
    return low
