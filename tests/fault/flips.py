"""Every bit of a log of three batches, and of a checkpoint, flipped one after the other."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

from glink.bus import checkpoints, segment
from glink.bus.fsio import Disk
from glink.bus.recovery import judge
from glink.errors import BusCorrupt
from glink.limits import Limits
from tests.unit.bus.buses import FIRST, commit_notes, open_bus

NOTES = ["a", "b", "c", "d", "e", "f"]


def three_batches(path: Path, per: int = 2) -> bytes:
    """The bytes of a log with the batches (1, 2), (3, 4), (5, 6), or with three of `per` records, and no clean stop."""
    bus = open_bus(path)
    for n in range(3):
        commit_notes(bus, *NOTES[n * per : (n + 1) * per])
    bus.close(clean=False)
    return (path / "events" / FIRST).read_bytes()


def line_ends(data: bytes) -> list[int]:
    """Offsets after each newline: the header's first, then one for each record."""
    return [at + 1 for at, byte in enumerate(data) if byte == 0x0A]


def kept_after_damage(whole: bytes, at: int, per: int = 2) -> int | None:
    """The last seq that stays when a bit at this offset was flipped; None where that must be called corrupt."""
    line = sum(end <= at for end in line_ends(whole))  # 0 is the header, n is record n
    return None if line <= 2 * per else line - 1


def every_stray(whole: bytes) -> int:
    """A line that stands where another belongs is no record there, intact as it is; returns how many were tried."""
    disk, ends = Disk(), line_ends(whole)
    lines = [whole[start:end] for start, end in pairwise(ends)]
    tried = 0
    for place, line in enumerate(lines):
        for stray in lines:
            if stray == line:
                continue
            fd = os.memfd_create("log")
            os.pwrite(fd, whole[: ends[place]] + stray + whole[ends[place + 1] :], 0)
            assert _kept(disk, fd) == (None if place < 4 else place), (place, stray)
            os.close(fd)
            tried += 1
    return tried


def every_flip(whole: bytes, per: int = 2) -> int:
    """Torn in the last batch, corrupt before it, a changed record never; returns how many bits were flipped."""
    disk, wrong = Disk(), []
    fd = os.memfd_create("log")
    os.pwrite(fd, whole, 0)
    for bit in range(len(whole) * 8):
        at = bit // 8
        os.pwrite(fd, bytes([whole[at] ^ 1 << bit % 8]), at)
        if _kept(disk, fd) != kept_after_damage(whole, at, per):
            wrong.append(bit)
        os.pwrite(fd, whole[at : at + 1], at)
    os.close(fd)
    assert wrong == []
    return len(whole) * 8


def _kept(disk: Disk, fd: int) -> int | None:
    path = Path("/events") / FIRST
    try:
        header = segment.read_header(disk, fd, path)
        prefix = segment.intact_prefix(disk, fd, header)
        judge(fd, header, prefix.end, prefix.seq + 1, disk=disk, events=path.parent, floor=0, limits=Limits())
    except BusCorrupt:
        return None
    return prefix.seq


def every_checkpoint_flip() -> int:
    """No changed and no shortened checkpoint is taken for one; returns how many were tried."""
    whole = checkpoints.encode(checkpoints.Checkpoint("coffee", 7, "89abcdef", b'{"steps":{"a":1}}' * 20))
    assert checkpoints.decode(whole) is not None
    for bit in range(len(whole) * 8):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        assert checkpoints.decode(bytes(flipped)) is None, bit
    for size in range(len(whole)):
        assert checkpoints.decode(whole[:size]) is None, size
    return len(whole) * 9
