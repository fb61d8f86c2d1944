"""What an opening makes of what the last stop left behind."""

import pytest

from glink.bus import segment
from glink.bus.fsio import Disk
from glink.bus.recovery import recover
from glink.errors import BusCorrupt, BusFormat
from glink.limits import Limits
from tests.unit.bus.buses import FIRST, commit_notes, notes, open_bus, seal, seal_and_start_next


def refused(path):
    """What recovery says of a log that it cannot go on with; how it is opened all the same: `test_damaged`."""
    with pytest.raises(BusCorrupt) as caught:
        recover(Disk(), path, time="2026-11-24T00:00:00.000000Z", limits=Limits())
    return str(caught.value)


@pytest.fixture
def path(tmp_path):
    bus = open_bus(tmp_path / "bus")
    commit_notes(bus, "note.a", "note.b")
    commit_notes(bus, "note.c", "note.d")
    bus.close(clean=False)
    return tmp_path / "bus"


def log_of(path):
    return path / "events" / FIRST


def reopened(path):
    bus = open_bus(path)
    found = notes(bus.replay(0))
    bus.close()
    return found


WHOLE = [(1, "note.a"), (2, "note.b"), (3, "note.c"), (4, "note.d")]


@pytest.mark.parametrize("tail", [b"\0" * 5000, b'{"seq":5,"b":5,"e":1,"ti', b"\n", b"\xff" * 200_000])
def test_a_torn_tail_is_set_aside(path, tail):
    """NUL bytes, half a line, garbage: moved to quarantine byte for byte; writing goes on after the last whole record."""
    end = log_of(path).stat().st_size
    with log_of(path).open("ab") as file:
        file.write(tail)
    bus = open_bus(path)
    commit_notes(bus, "note.e")
    bus.close()
    assert reopened(path) == [*WHOLE, (5, "note.e")]
    assert (path / "quarantine" / f"{FIRST}.{end}.torn").read_bytes() == tail


def test_the_valid_part_of_a_torn_batch_stays(path):
    """The batch of 3 and 4 was cut inside 4: 3 stays."""
    data = log_of(path).read_bytes()
    log_of(path).write_bytes(data[:-5])
    assert reopened(path) == WHOLE[:3]


def test_a_later_record_of_the_same_batch_does_not_make_a_torn_one_corrupt(path):
    """Sectors reach the disk in any order: 3 is zeroed and 4 is whole, and both belong to one batch."""
    lines = log_of(path).read_bytes().split(b"\n")
    lines[3] = b"\0" * len(lines[3])
    log_of(path).write_bytes(b"\n".join(lines))
    assert reopened(path) == WHOLE[:2]


@pytest.mark.parametrize("newline", [True, False])
def test_damage_before_a_whole_later_batch_is_corrupt(path, newline):
    """Whether a byte of record 2 or its newline was flipped. Nothing is changed on the disk."""
    lines = log_of(path).read_bytes().split(b"\n")
    at = len(b"\n".join(lines[:3])) - (0 if newline else 5)
    data = bytearray(log_of(path).read_bytes())
    data[at] ^= 1
    log_of(path).write_bytes(data)
    said = refused(path)
    place = len(b"\n".join(lines[:2])) + 1
    assert said == (
        f"{log_of(path)}: damaged at byte {place}: record 2 is due there and the later batch 3 is whole, "
        "so records 2-2 or some of them are lost"
    )
    assert log_of(path).read_bytes() == data
    assert list((path / "quarantine").iterdir()) == []


def test_a_log_that_ends_before_the_clean_mark_is_corrupt(path):
    """CLEAN is the last thing written, so what it names was durable."""
    open_bus(path).close()
    data = log_of(path).read_bytes()
    log_of(path).write_bytes(b"\n".join(data.split(b"\n")[:3]) + b"\n")
    assert "records 3-4 were durable and are not readable" in refused(path)


def test_a_log_that_ends_before_the_manifest_is_corrupt(path):
    """Also after an unclean stop."""
    bus = open_bus(path)
    bus.write_manifest(4)
    bus.close(clean=False)
    data = log_of(path).read_bytes()
    log_of(path).write_bytes(data[:-3])
    assert "records 4-4 were durable and are not readable" in refused(path)


def test_a_log_that_is_gone_is_corrupt(path):
    """A new one must not begin at 1 again."""
    open_bus(path).close()
    log_of(path).unlink()
    assert "no segment is there, and records 1-4 are due" in refused(path)


def test_after_an_unclean_stop_the_last_segment_is_a_new_file(path):
    """The page cache may hold what the disk does not, so what is shown was written again; a clean stop saves that."""
    before = log_of(path).stat().st_ino
    keep = log_of(path).open("rb")  # so that its inode cannot be given out again
    open_bus(path).close()
    copied = log_of(path).stat().st_ino
    open_bus(path).close()
    keep.close()
    assert copied != before
    assert log_of(path).stat().st_ino == copied


def test_what_stands_after_a_clean_stop_is_set_aside_as_well(path):
    """The mark matches, and still nothing is written behind bytes that nobody can read."""
    open_bus(path).close()
    end = log_of(path).stat().st_size
    with log_of(path).open("ab") as file:
        file.write(b"junk")
    bus = open_bus(path)
    assert not bus.clean
    commit_notes(bus, "note.e")
    bus.close()
    assert reopened(path) == [*WHOLE, (5, "note.e")]
    assert (path / "quarantine" / f"{FIRST}.{end}.torn").read_bytes() == b"junk"


def test_a_clean_mark_of_another_log_is_no_clean_stop(path):
    """The crc has to match, not only the seq."""
    (path / "CLEAN").write_text('{"seq":4,"crc":"00000000"}\n')
    bus = open_bus(path)
    assert not bus.clean
    bus.close()


def test_what_was_half_made_is_swept(path):
    """`.new` and `.tmp` files in every folder of the bus."""
    litter = [path / "epoch.1.tmp", path / "events" / "00000000000000000005.jsonl.new"]
    litter += [path / "checkpoints" / "a.json.tmp", path / "blobs" / "sha256" / "0123.tmp"]
    for file in litter:
        file.write_bytes(b"half")
    assert reopened(path) == WHOLE
    assert [file for file in litter if file.exists()] == []


def test_the_epoch_grows_even_when_its_file_is_lost(path):
    """Records carry the epoch, too."""
    for _ in range(3):
        bus = open_bus(path)
        commit_notes(bus, "note.x")
        bus.close()
    assert bus.epoch == 4
    (path / "epoch").unlink()
    bus = open_bus(path)
    bus.close()
    assert bus.epoch == 5


def test_a_lost_format_file_is_written_again(path):
    """The segments say their format as well."""
    (path / "FORMAT").unlink()
    assert reopened(path) == WHOLE
    assert (path / "FORMAT").read_text() == '{"glink":"bus","format":1}\n'


def test_a_segment_of_a_newer_format_is_refused(path):
    """Also without the FORMAT file, which is not written then."""
    (path / "FORMAT").unlink()
    line = segment.header_line(segment_id=7, first=1, epoch=1, time="", previous=(0, segment.NO_CRC))
    newer = segment.record.frame_alone(line[:-19].replace(b'"format":1', b'"format":2') + b"}")[0]
    log_of(path).write_bytes(newer)
    with pytest.raises(BusFormat, match="format 2"):
        open_bus(path)
    assert not (path / "FORMAT").exists()


def test_sealed_segments_are_read_in_one_order_with_the_last_one(path):
    """Replay, read and writing go on over the border."""
    open_bus(path).close()
    seal_and_start_next(path)
    bus = open_bus(path)
    commit_notes(bus, "note.e")
    bus.close(clean=False)
    bus = open_bus(path)
    assert notes(bus.replay(0)) == [*WHOLE, (5, "note.e")]
    assert notes(bus.replay(3)) == [(4, "note.d"), (5, "note.e")]
    assert notes(bus.replay(4)) == [(5, "note.e")]
    assert [bus.read(seq)["type"] for seq in (1, 4, 5)] == ["note.a", "note.d", "note.e"]
    bus.close()


def test_a_stop_between_the_seal_and_the_next_segment_is_mended(path):
    """The next segment is begun; nothing is ever appended after a seal."""
    seal(path, 1)
    bus = open_bus(path)
    commit_notes(bus, "note.e")
    bus.close(clean=False)
    assert reopened(path) == [*WHOLE, (5, "note.e")]
    assert sorted(file.name for file in (path / "events").iterdir()) == [FIRST, segment.name_of(5)]


def test_a_half_written_seal_is_a_torn_tail(path):
    """The segment goes on."""
    seal(path, 1)
    log_of(path).write_bytes(log_of(path).read_bytes()[:-9])
    bus = open_bus(path)
    commit_notes(bus, "note.e")
    bus.close(clean=False)
    assert reopened(path) == [*WHOLE, (5, "note.e")]


def test_a_missing_segment_is_corrupt(path):
    """In the middle and at the beginning."""
    open_bus(path).close()
    seal_and_start_next(path)
    bus = open_bus(path)
    commit_notes(bus, "note.e")
    bus.close()
    log_of(path).unlink()
    assert "does not follow the segment before it: record 1 is due" in refused(path)


def test_a_segment_of_another_bus_is_corrupt(path, tmp_path):
    """The chain of ids and crcs shows it though the names and numbers fit."""
    other = tmp_path / "other"
    bus = open_bus(other)
    commit_notes(bus, "note.a", "note.b")
    commit_notes(bus, "note.c", "note.d")
    bus.close()
    for each in (path, other):
        open_bus(each).close()
        seal_and_start_next(each)
    log_of(path).write_bytes(log_of(other).read_bytes())
    assert "does not follow the segment before it" in refused(path)


def test_a_segment_without_its_seal_is_corrupt_when_a_later_one_is_there(path):
    """It cannot be the last one that was written to."""
    open_bus(path).close()
    seal_and_start_next(path)
    log_of(path).write_bytes(log_of(path).read_bytes()[:-1])
    assert "the seal is missing or damaged" in refused(path)


def test_a_flipped_bit_in_a_sealed_segment_is_seen_when_it_is_read(path):
    """Opening trusts the seal, reading does not."""
    open_bus(path).close()
    seal_and_start_next(path)
    data = bytearray(log_of(path).read_bytes())
    data[400] ^= 4
    log_of(path).write_bytes(data)
    bus = open_bus(path)
    with pytest.raises(BusCorrupt, match="events 3-3 cannot be read"):
        list(bus.replay(0))
    bus.close()
