"""Every truncation and every flipped bit of a log of three batches."""

import pytest

from glink.bus.recovery import recover
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
    """Whatever was cut is gone for good: the next record takes the next seq and all is read again."""
    log = path / "events" / FIRST
    whole = log.read_bytes()
    ends = line_ends(whole)
    for size in range(len(whole)):
        log.write_bytes(whole[:size])
        (path / "CLEAN").unlink(missing_ok=True)
        if size < ends[0]:
            assert recovered_seq(path) is None, size
            continue
        kept = sum(end <= size for end in ends) - 1
        bus = open_bus(path, disk=UnsyncedDisk())
        commit_notes(bus, "z")
        found = notes(bus.replay(0))
        bus.close(clean=False)
        assert found == [*enumerate(NOTES[:kept], 1), (kept + 1, "z")], size


def test_every_flipped_bit_is_torn_in_the_last_batch_and_corrupt_before(path):
    """Never is a changed record accepted, and never is an acknowledged batch before the last one given up."""
    log = path / "events" / FIRST
    whole = log.read_bytes()
    ends = line_ends(whole)
    wrong = []
    for bit in range(len(whole) * 8):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        log.write_bytes(damaged)
        line = sum(end <= bit // 8 for end in ends)  # 0 is the header, n is record n
        expected = None if line < 5 else line - 1
        if recovered_seq(path) != expected:
            wrong.append((bit // 8, bit % 8))
        elif expected is None:
            assert log.read_bytes() == damaged
        else:
            assert log.read_bytes() == whole[: ends[expected]]
    assert wrong == []
