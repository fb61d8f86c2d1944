"""The lines at given offsets of a segment: near ones with one read, far ones with a small read each.

Called by the history for one project's records among those of all the others.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from glink.bus import record
from glink.bus.fsio import Disk

_NEAR = 4 << 10  # reading on is cheaper than another call
_RUN = 64 << 10
_USUAL = 1 << 10  # longer than most records
_LINES = 200  # decoded at once


def lines(disk: Disk, fd: int, offsets: array[int], end: int, after: int) -> Iterator[list[bytes]]:
    """The lines (without newline) at `offsets` below `end` whose seq is above `after`, some at a time."""
    at = _first_above(disk, fd, offsets, after)
    found: list[bytes] = []
    while at < len(offsets) and offsets[at] < end:
        start = offsets[at]
        stop = start
        ahead = at
        while ahead < len(offsets) and offsets[ahead] < end and offsets[ahead] - stop <= _NEAR:
            stop = offsets[ahead]
            ahead += 1
            if stop - start > _RUN:
                break
        block = disk.pread(fd, min(stop + _USUAL, end) - start, start)
        found += [_line(disk, fd, block, offset - start, start, end) for offset in offsets[at:ahead]]
        at = ahead
        if len(found) >= _LINES:
            yield found
            found = []
    if found:
        yield found


def _line(disk: Disk, fd: int, block: bytes, at: int, start: int, end: int) -> bytes:
    newline = block.find(b"\n", at)
    if newline >= 0:
        return block[at:newline]
    line, size = block[at:], _NEAR
    while b"\n" not in line and start + at + len(line) < end:
        more = disk.pread(fd, min(size, end - start - at - len(line)), start + at + len(line))
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
