"""Every truncation and every flipped bit of a log of three batches."""

import os

import pytest

from glink.bus import segment
from glink.bus.fsio import Disk
from glink.bus.recovery import judge, recover
from glink.errors import BusCorrupt
from glink.limits import Limits
from tests.unit.bus.buses import FIRST, UnsyncedDisk, commit_notes, notes, open_bus

NOTES = ["a", "b", "c", "d", "e", "f"]


@pytest.fixture
def path(tmp_path):
    """Batches (1, 2), (3, 4), (5, 6) and a stop without CLEAN."""
    bus = open_bus(tmp_path / "bus")
    for n in (0, 2, 4):
        commit_notes(bus, *NOTES[n : n + 2])
    bus.close(clean=False)
    return tmp_path / "bus"


def line_ends(data):
    """Offsets after each newline: the header's first, then one for each record."""
    return [at + 1 for at, byte in enumerate(data) if byte == 0x0A]


def recovered_seq(path):
    """The seq after which writing would go on, None where the log is called corrupt."""
    try:
        return recover(UnsyncedDisk(), path, time="2026-11-24T00:00:00.000000Z", limits=Limits()).seq
    except BusCorrupt:
        return None


def test_every_truncation_keeps_exactly_the_whole_records(path):
    """Whatever is left of the batch that was cut stays; a header that was cut is corrupt."""
    log = path / "events" / FIRST
    whole = log.read_bytes()
    ends = line_ends(whole)
    for size in range(len(whole)):
        log.write_bytes(whole[:size])
        expected = None if size < ends[0] else sum(end <= size for end in ends) - 1
        assert recovered_seq(path) == expected, size


def test_after_a_truncation_the_next_record_takes_the_next_seq(path):
    """And all of it is read again after another unclean stop."""
    log = path / "events" / FIRST
    whole = log.read_bytes()
    for kept, end in enumerate(line_ends(whole)):
        for size in (end, end + 1, end + 50):
            log.write_bytes(whole[:size])
            for name in ("y", "z"):
                bus = open_bus(path, disk=UnsyncedDisk())
                commit_notes(bus, name)
                bus.close(clean=False)
            bus = open_bus(path, disk=UnsyncedDisk())
            assert notes(bus.replay(0)) == [*enumerate(NOTES[:kept], 1), (kept + 1, "y"), (kept + 2, "z")]
            bus.close(clean=False)


def kept_after_damage(whole, at):
    """The last seq that stays when a bit at this offset was flipped; None where that must be called corrupt."""
    line = sum(end <= at for end in line_ends(whole))  # 0 is the header, n is record n
    return None if line < 5 else line - 1


def test_every_flipped_bit_is_torn_in_the_last_batch_and_corrupt_before(path):
    """Never is a changed record accepted, and never is an acknowledged batch before the last one given up."""
    whole = (path / "events" / FIRST).read_bytes()
    disk, wrong = Disk(), []
    fd = os.memfd_create("log")
    os.pwrite(fd, whole, 0)
    for bit in range(len(whole) * 8):
        at = bit // 8
        os.pwrite(fd, bytes([whole[at] ^ 1 << bit % 8]), at)
        try:
            header = segment.read_header(disk, fd, path / "events" / FIRST)
            prefix = segment.intact_prefix(disk, fd, header)
            judge(fd, header, prefix.end, prefix.seq + 1, disk=disk, events=path, floor=0, limits=Limits())
            kept = prefix.seq
        except BusCorrupt:
            kept = None
        if kept != kept_after_damage(whole, at):
            wrong.append(bit)
        os.pwrite(fd, whole[at : at + 1], at)
    os.close(fd)
    assert wrong == []


def test_recovery_cuts_a_torn_batch_and_leaves_a_corrupt_log_alone(path):
    """One flipped bit in every byte, and the whole of recovery."""
    log = path / "events" / FIRST
    whole = log.read_bytes()
    ends = line_ends(whole)
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        log.write_bytes(damaged)
        kept = kept_after_damage(whole, at)
        assert recovered_seq(path) == kept, at
        assert log.read_bytes() == (damaged if kept is None else whole[: ends[kept]]), at
