"""Checkpoints: old or new, never mixed, never empty; and the log when in doubt."""

import fcntl
import os
import threading

import pytest

from glink.bus import segment
from glink.bus.checkpoints import Checkpoint, decode, encode
from glink.bus.reader import BusReader
from glink.errors import BusError
from glink.limits import Limits
from tests.unit.bus.buses import commit_notes, open_bus


@pytest.fixture
def bus(tmp_path):
    bus = open_bus(tmp_path / "bus")
    commit_notes(bus, "note.a", "note.b")
    commit_notes(bus, "note.c")
    yield bus
    bus.close(clean=False)


def held(bus):
    return {found.name: (found.seq, found.payload) for found in bus.checkpoints()}


def test_a_checkpoint_comes_back_after_a_restart(bus):
    """With its name, seq, the crc of its record and its bytes; the manifest says from where to fold."""
    bus.write_checkpoint("team-a/coffee", 3, b'{"steps":{}}')
    bus.write_checkpoint(".world", 2, b"{}")
    bus.write_manifest(3)
    bus.close()
    again = open_bus(bus.path)
    found = {each.name: each for each in again.checkpoints()}
    assert found["team-a/coffee"] == Checkpoint("team-a/coffee", 3, again.read(3)["crc"], b'{"steps":{}}')
    assert found[".world"].payload == b"{}"
    assert again.manifest_seq == 3
    assert again.bad_checkpoints == 0
    again.close()


def test_without_a_manifest_everything_is_folded(bus):
    """Checkpoints alone do not say that there are no others."""
    bus.write_checkpoint("coffee", 3, b"{}")
    assert bus.manifest_seq == 0


@pytest.mark.parametrize(
    "damage", [lambda data: b"", lambda data: data[:-1], lambda data: data[:40] + b"X" + data[41:]]
)
def test_the_one_before_stands_in_for_a_damaged_one(bus, damage):
    """It is counted, and the manifest covers no more than what is there."""
    bus.write_checkpoint("coffee", 2, b'"old"')
    bus.write_checkpoint("coffee", 3, b'"new"')
    bus.write_manifest(3)
    file = bus.path / "checkpoints" / "coffee.json"
    file.write_bytes(damage(file.read_bytes()))
    assert held(bus) == {"coffee": (2, b'"old"')}
    assert bus.bad_checkpoints == 1
    assert bus.manifest_seq == 2


def test_a_lost_checkpoint_that_the_manifest_vouches_for_means_folding_from_the_start(bus):
    """Else a project would be taken for one that never ran."""
    bus.write_checkpoint("coffee", 3, b"{}")
    bus.write_checkpoint("tea", 3, b"{}")
    bus.write_manifest(3)
    bus.close()
    (bus.path / "checkpoints" / "coffee.json").unlink()
    again = open_bus(bus.path)
    assert again.manifest_seq == 0
    assert held(again) == {"tea": (3, b"{}")}
    again.close()


def test_a_damaged_checkpoint_does_not_push_out_the_good_one_before_it(bus):
    """Writing again keeps the good `.prev`."""
    bus.write_checkpoint("coffee", 1, b'"one"')
    bus.write_checkpoint("coffee", 2, b'"two"')
    file = bus.path / "checkpoints" / "coffee.json"
    file.write_bytes(b"garbage")
    bus.write_checkpoint("coffee", 3, b'"three"')
    assert decode((bus.path / "checkpoints" / "coffee.json.prev").read_bytes()).payload == b'"one"'
    assert held(bus) == {"coffee": (3, b'"three"')}


def test_a_checkpoint_of_another_log_is_passed_over(bus, tmp_path):
    """Its crc is not that of our record: mixed backups give no mixed state."""
    other = open_bus(tmp_path / "other")
    commit_notes(other, "note.x", "note.y")
    other.write_checkpoint("coffee", 2, b'"foreign"')
    other.close()
    foreign = (other.path / "checkpoints" / "coffee.json").read_bytes()
    (bus.path / "checkpoints" / "coffee.json").write_bytes(foreign)
    assert held(bus) == {}
    assert bus.bad_checkpoints == 1


def test_a_checkpoint_cannot_be_ahead_of_the_log(bus):
    """Staged is not durable."""
    bus.stage({"type": "note.d"})
    with pytest.raises(BusError, match="a checkpoint at 4 would be ahead of the log, which is durable up to 3"):
        bus.write_checkpoint("coffee", 4, b"{}")
    with pytest.raises(BusError, match="ahead of the log"):
        bus.write_manifest(4)


def test_what_is_known_of_projects_at_rest_is_no_state_and_nobody_vouches_for_it(bus):
    """It comes back as of its seq, and whoever takes it away takes nothing else."""
    bus.write_checkpoint("coffee", 3, b"{}")
    bus.write_rest(2, b"old")
    bus.write_rest(3, b"known")
    bus.write_manifest(3)
    assert held(bus) == {"coffee": (3, b"{}")}
    reader = BusReader(bus.path, limits=Limits())
    assert reader.rest() == Checkpoint(".rest", 3, bus.read(3)["crc"], b"known")
    (bus.path / "checkpoints" / ".rest").unlink()
    assert reader.rest() is None
    assert reader.manifest_seq == 3
    with pytest.raises(BusError, match="ahead of the log"):
        bus.write_rest(4, b"")


def test_a_name_cannot_leave_the_folder(bus):
    """Whatever stands in it."""
    bus.write_checkpoint("../../x", 1, b"{}")
    assert held(bus) == {"../../x": (1, b"{}")}
    assert not (bus.path.parent / "x.json").exists()


def test_one_checkpoint_says_from_where_its_project_is_to_be_folded(bus):
    """The manifest may reach further than it, and vouches for one that is not there; not for one that is damaged."""
    bus.write_checkpoint("coffee", 1, b'"one"')
    bus.write_manifest(2)
    assert bus.checkpoint("coffee") == (decode((bus.path / "checkpoints" / "coffee.json").read_bytes()), 2)
    assert bus.checkpoint("tea") == (None, 2)
    bus.write_checkpoint("coffee", 3, b'"three"')
    assert bus.checkpoint("coffee")[1] == 3
    file = bus.path / "checkpoints" / "coffee.json"
    file.write_bytes(b"garbage")
    found, after = bus.checkpoint("coffee")
    assert (found.payload, after) == (b'"one"', 1)
    file.with_name("coffee.json.prev").unlink()
    assert bus.checkpoint("coffee") == (None, 0)


def test_reading_many_checkpoints_lists_the_segments_once(bus, monkeypatch):
    """By the daemon and by a reader; a record that came after the listing is found all the same."""
    for n in range(40):
        bus.write_checkpoint(f"p{n}", 1 + n % 2, b"{}")
    listed = []
    real = segment.firsts
    monkeypatch.setattr(segment, "firsts", lambda disk, events: listed.append(1) or real(disk, events))
    assert len(held(bus)) == 40
    assert len(listed) == 1
    reader = BusReader(bus.path, limits=Limits())
    listed.clear()
    assert len(held(reader)) == 40
    assert len(listed) == 2  # and once for where the log ends
    found = reader.checkpoints()
    next(found)
    commit_notes(bus, "note.d")
    bus.write_checkpoint("p9", 4, b"{}")
    assert max(one.seq for one in found) == 4


def test_every_truncation_and_every_flipped_bit_of_a_checkpoint_is_seen():
    """None of them decodes; nor does the file with bytes after it."""
    whole = encode(Checkpoint("coffee", 12, "89abcdef", b'{"steps":[1,2,3]}\n'))
    assert decode(whole) == Checkpoint("coffee", 12, "89abcdef", b'{"steps":[1,2,3]}\n')
    assert [n for n in range(len(whole)) if decode(whole[:n])] == []
    for bit in range(len(whole) * 8):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        assert decode(bytes(flipped)) is None
    assert decode(whole + b"\n") is None


def test_a_writer_waits_for_a_reader_and_the_reader_sees_old_or_new(bus):
    """LOCK_EX against LOCK_SH on `.lock`, which is never renamed."""
    bus.write_checkpoint("coffee", 1, b'"old"')
    fd = os.open(bus.path / "checkpoints" / ".lock", os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_SH)
    done = threading.Event()

    def write():
        bus.write_checkpoint("coffee", 2, b'"new"')
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    fresh = bus.path / "checkpoints" / "coffee.json.tmp"
    while not fresh.exists():
        assert not done.is_set()
    assert decode((bus.path / "checkpoints" / "coffee.json").read_bytes()).payload == b'"old"'
    os.close(fd)
    writer.join()
    assert held(bus) == {"coffee": (2, b'"new"')}


def test_a_reader_that_never_goes_away_does_not_stop_the_writer(bus):
    """After a second the writer goes on: each file is checked as a whole anyway."""
    bus.write_checkpoint("coffee", 1, b'"old"')
    fd = os.open(bus.path / "checkpoints" / ".lock", os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_SH)
    bus.write_checkpoint("coffee", 2, b'"new"')
    os.close(fd)
    assert held(bus) == {"coffee": (2, b'"new"')}
