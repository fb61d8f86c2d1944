"""Every truncation and every flipped bit of a log of three batches."""

import pytest

from glink.bus.recovery import recover
from glink.errors import BusCorrupt
from glink.limits import Limits
from tests.fault.flips import (
    NOTES,
    every_checkpoint_flip,
    every_flip,
    every_stray,
    kept_after_damage,
    line_ends,
    three_batches,
)
from tests.unit.bus.buses import FIRST, UnsyncedDisk, commit_notes, notes, open_bus


@pytest.fixture
def path(tmp_path):
    three_batches(tmp_path / "bus")
    return tmp_path / "bus"


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


@pytest.mark.parametrize("per", [1, 2])
def test_every_flipped_bit_is_torn_in_the_last_batch_and_corrupt_before(tmp_path, per):
    """Never is a changed record accepted, and never is an acknowledged batch before the last one given up."""
    assert every_flip(three_batches(tmp_path / "bus", per), per) > 3000


def test_a_line_in_another_ones_place_is_no_record_there(tmp_path):
    """As a misdirected write leaves it: every line in the place of every other one."""
    assert every_stray(three_batches(tmp_path / "bus")) == 30


def test_every_flipped_bit_and_every_truncation_of_a_checkpoint_is_seen():
    """So what is loaded is what was written."""
    assert every_checkpoint_flip() > 3000


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
