"""Damage is named exactly, its loss must be accepted exactly, and everything else is used again."""

import shutil

import pytest

from glink.bus import fsck, marks, segment
from glink.bus.backup import backup, restore
from glink.bus.fsio import Disk
from glink.bus.reader import BusReader
from glink.bus.repair import repair
from glink.clock import SystemClock
from glink.errors import BusCorrupt, UsageError
from glink.limits import Limits
from tests.unit.bus.buses import commit_notes, notes, open_bus

LIMITS = Limits(segment_bytes=2 << 10, reserve_bytes=0)


@pytest.fixture
def path(tmp_path):
    """Thirty-six events in batches of one over several segments; an unclean stop."""
    bus = open_bus(tmp_path / "bus", limits=LIMITS)
    for n in range(36):
        bus.stage({"type": "note.a", "project": f"p{n % 2}", "data": {"n": n}})
        bus.commit()
    bus.close(clean=False)
    return tmp_path / "bus"


def check(path):
    return fsck.check(Disk(), path, LIMITS)


def firsts(path):
    return segment.firsts(Disk(), path / "events")


def file_of(path, first):
    return path / "events" / segment.name_of(first)


def flip(file, old, new):
    data = file.read_bytes()
    assert data.count(old) == 1
    file.write_bytes(data.replace(old, new))


def repaired(path, *accepted):
    return repair(Disk(), path, LIMITS, list(accepted), clock=SystemClock())


def mended(path, *accepted):
    """Repairs, opens, says one thing more; returns the seqs that are there but for those that tell of the loss."""
    gone = repaired(path, *accepted)
    bus = open_bus(path, limits=LIMITS)
    found = list(bus.replay(0))
    gaps = [record["data"] for record in found if record["type"] == "log.gap"]
    assert [(gap["from"], gap["to"]) for gap in gaps] == sorted(accepted)
    seqs = [record["seq"] for record in found if record["type"] != "log.gap"]
    one = [record["seq"] for record in bus.replay(0, project="p1")]
    assert one == [seq for seq in seqs if seq % 2 == 0]
    told = [record for _, records in bus.by_project(0) for record in records if record["type"] != "log.gap"]
    assert sorted(record["seq"] for record in told) == seqs
    for seq in seqs:
        assert bus.read(seq)["seq"] == seq
    after = bus.durable_seq
    commit_notes(bus, "note.after")
    bus.close()
    assert notes(BusReader(path, limits=LIMITS).replay(after)) == [(after + 1, "note.after")]
    assert check(path).sound
    assert gone == sorted(accepted)
    return seqs


def test_a_sound_bus_is_called_sound(path):
    """With what was looked at. A torn tail is no damage."""
    bus = open_bus(path, limits=LIMITS)
    bus.blobs.put(b"body")
    bus.write_checkpoint("p0", 36, b"{}")
    bus.write_manifest(36)
    bus.close(clean=False)
    with file_of(path, firsts(path)[-1]).open("ab") as file:
        file.write(b'{"seq":')
    report = check(path)
    assert report.sound
    assert (report.records, report.blobs, report.checkpoints, report.torn_bytes) == (36, 1, 2, 7)
    assert report.segments == len(firsts(path)) == 3
    assert report.others == []


def test_damage_in_a_sealed_segment(path):
    """A flipped bit: that record is lost, those after it in the same segment are not."""
    first = firsts(path)[1]
    lost = first + 3
    at = file_of(path, first).read_bytes().index(b'{"seq":%d,' % lost)
    flip(file_of(path, first), b'{"n":%d}' % (lost - 1), b'{"N":%d}' % (lost - 1))
    report = check(path)
    assert [str(one) for one in report.damages] == [
        f"{file_of(path, first)}: damaged at byte {at}; records {lost}-{lost}, or some of them, are lost"
    ]
    before = {file: file.read_bytes() for file in (path / "events").iterdir()}
    with pytest.raises(UsageError, match=f"glink repair --accept-loss {lost}-{lost}"):
        repaired(path, (lost, lost + 1))
    assert {file: file.read_bytes() for file in (path / "events").iterdir()} == before
    assert mended(path, (lost, lost)) == [seq for seq in range(1, 37) if seq != lost]
    assert (path / "quarantine" / f"{segment.name_of(first)}.damaged").read_bytes() == before[file_of(path, first)]


def test_damage_in_the_last_segment(path):
    """It is closed as damaged with all that is whole in it, and writing goes on in a new one."""
    first = firsts(path)[-1]
    assert first < 35
    flip(file_of(path, first), b'{"n":%d}' % (first - 1), b'{"N":%d}' % (first - 1))
    assert mended(path, (first, first)) == [seq for seq in range(1, 37) if seq != first]
    assert firsts(path)[-1] == 37
    assert [record["seq"] for record in BusReader(path, limits=LIMITS).replay(36)] == [37, 38]


@pytest.mark.parametrize("which", [0, 1, -1])
def test_a_damaged_header(path, which):
    """Under it records can be checked only when the next segment tells the id; without one they are all lost."""
    first = firsts(path)[which]
    last = (*firsts(path), 37)[firsts(path).index(first) + 1] - 1
    flip(file_of(path, first), b'"glink":"segment"', b'"glink":"sEgment"')
    kept = [] if which == -1 else range(first, last + 1)
    assert check(path).damages[0].lost == (first, last)
    seqs = mended(path, (first, last))
    assert seqs == [seq for seq in range(1, 37) if not first <= seq <= last or seq in kept]


@pytest.mark.parametrize("which", [0, 1])
def test_a_segment_that_is_gone(path, which):
    """The ones on both sides say what was in it."""
    first, following = firsts(path)[which : which + 2]
    file_of(path, first).unlink()
    assert check(path).damages[0].what == "the file is not there"
    seqs = mended(path, (first, following - 1))
    assert seqs == [seq for seq in range(1, 37) if not first <= seq < following]


def test_a_tail_that_was_known_to_be_durable(path):
    """The manifest names 36, the file ends before: what is lost is not given out again."""
    bus = open_bus(path, limits=LIMITS)
    bus.write_manifest(36)
    bus.close(clean=False)
    file = file_of(path, firsts(path)[-1])
    file.write_bytes(file.read_bytes()[:-10])
    assert mended(path, (36, 36)) == list(range(1, 36))
    assert notes(BusReader(path, limits=LIMITS).replay(35)) == [(37, "log.gap"), (38, "note.after")]


def test_a_damaged_seal_costs_no_event(path):
    """And needs no acceptance."""
    first = firsts(path)[1]
    flip(file_of(path, first), b'"glink":"seal"', b'"glink":"sEal"')
    assert [one.lost for one in check(path).damages] == [None]
    assert mended(path) == list(range(1, 37))


def test_a_flipped_newline_costs_no_event(path):
    """Both records around it are found by their bytes."""
    first = firsts(path)[1]
    file = file_of(path, first)
    lines = file.read_bytes().split(b"\n")
    file.write_bytes(b"\n".join(lines[:2]) + b"\x0b" + b"\n".join(lines[2:]))
    assert [one.lost for one in check(path).damages] == [None]
    assert mended(path) == list(range(1, 37))


def test_several_damages_are_accepted_together(path):
    """All or none."""
    one, two = firsts(path)[0], firsts(path)[2]
    for first in (one, two):
        flip(file_of(path, first), b'{"n":%d}' % first, b'{"N":%d}' % first)
    with pytest.raises(UsageError):
        repaired(path, (one + 1, one + 1))
    assert mended(path, (one + 1, one + 1), (two + 1, two + 1))


def test_a_segment_of_another_bus_is_damage(path, tmp_path):
    """A mixed backup: it has the right name and is not the one that the next one follows."""
    other = open_bus(tmp_path / "other", limits=LIMITS)
    for n in range(36):
        other.stage({"type": "note.a", "project": f"p{n % 2}", "data": {"n": n}})
        other.commit()
    other.close(clean=False)
    first = firsts(path)[1]
    shutil.copy(file_of(tmp_path / "other", first), file_of(path, first))
    found = check(path).damages
    assert found[0].what == "the header is damaged, or another bus's"
    assert mended(path, found[0].lost)


def test_a_repair_that_was_stopped_is_named_and_finished(path, tmp_path):
    """By whoever looks, opens or copies the bus; a mark that cannot be read is named as well."""
    first = firsts(path)[1]
    flip(file_of(path, first), b'{"n":%d}' % first, b'{"N":%d}' % first)
    marks.write_repair(Disk(), path, [(first + 1, first + 1)])
    for refused in (
        lambda: open_bus(path, limits=LIMITS),
        lambda: backup(Disk(), path, tmp_path / "copy", LIMITS),
        lambda: restore(Disk(), path, tmp_path / "copy", tmp_path / "attempts", LIMITS),
    ):
        with pytest.raises(BusCorrupt, match="`glink repair`"):
            refused()
    assert check(path).unfinished
    (path / "repair").write_bytes(b"[]")
    with pytest.raises(BusCorrupt, match="repair: damaged; remove it and repair anew"):
        repaired(path)
    marks.write_repair(Disk(), path, [(first + 1, first + 1)])
    assert repaired(path) == [(first + 1, first + 1)]
    assert check(path).sound


def test_a_sound_bus_is_left_alone(path):
    """There is nothing to repair."""
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    assert repaired(path) == []
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


def test_bad_copies_and_bodies_are_named(path):
    """A checkpoint and an index cost time only; a body that is damaged makes a bus unsound."""
    bus = open_bus(path, limits=LIMITS)
    digest = bus.blobs.put(b"body")
    bus.write_checkpoint("p0", 36, b"{}")
    bus.close()
    (path / "checkpoints" / "p0.json").write_bytes(b"nonsense")
    next((path / "events").glob("*.idx")).write_bytes(b"nonsense")
    assert check(path).sound
    assert len(check(path).others) == 2
    (path / "blobs" / "sha256" / digest[:2] / digest[2:]).write_bytes(b"b0dy")
    assert not check(path).sound
    assert check(path).bad_blobs == [digest]


def test_checking_changes_nothing(path):
    """Not a byte, whatever is wrong."""
    flip(file_of(path, firsts(path)[1]), b'"glink":"seal"', b'"glink":"sEal"')
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    check(path)
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before
