"""A segment ends when it is full or a day is over; the next one follows it, whatever the disk says meanwhile."""

import errno
import threading
from itertools import islice

import pytest

from glink.bus import history, index, segment
from glink.bus.fsio import Disk
from glink.bus.reader import BusReader
from glink.errors import BusCorrupt, BusError
from glink.limits import Limits
from tests.unit.bus.buses import UnsyncedDisk, commit_notes, notes, open_bus

SMALL = Limits(segment_bytes=4 << 10)
DAY = 86_400.0


class Time:
    at = 1_800_000_000.0

    def now(self):
        return self.at


@pytest.fixture
def path(tmp_path):
    return tmp_path / "bus"


def segments(path):
    return segment.firsts(Disk(), path / "events")


def say(bus, project, text="x"):
    bus.stage({"type": "note.a", "project": project, "data": {"text": text}})
    bus.commit()


def test_a_full_segment_is_sealed_and_the_next_one_follows_it(path):
    """No segment is longer than the limit and its seal; the chain is whole, and all is read again."""
    bus = open_bus(path, limits=SMALL)
    for _ in range(100):
        commit_notes(bus, "note.a", "note.b")
    bus.close(clean=False)
    assert len(segments(path)) > 5
    for first in segments(path):
        assert (path / "events" / segment.name_of(first)).stat().st_size < (4 << 10) + 400
    again = open_bus(path, limits=SMALL)
    assert [seq for seq, _ in notes(again.replay(0))] == list(range(1, 201))
    assert [seq for seq, _ in notes(again.replay(150))] == list(range(151, 201))
    again.close()


def test_a_batch_never_spans_two_segments(path):
    """However long it is, it begins a new one."""
    bus = open_bus(path, limits=SMALL)
    commit_notes(bus, *["note.a"] * 3)
    commit_notes(bus, *["note.b"] * 200)
    commit_notes(bus, "note.c")
    assert segments(path) == [1, 4, 204]
    bus.close()


def test_the_first_append_of_a_later_day_rolls(path):
    """Of a later one only: a clock that went back rolls nothing, and neither does a day without events."""
    time = Time()
    bus = open_bus(path, clock=time)
    commit_notes(bus, "note.a")
    time.at -= 3 * DAY
    commit_notes(bus, "note.b")
    time.at += 4 * DAY
    commit_notes(bus, "note.c")
    time.at += DAY / 4
    commit_notes(bus, "note.d")
    assert segments(path) == [1, 3]
    bus.close()
    time.at += DAY
    bus = open_bus(path, clock=time)
    assert segments(path) == [1, 3]
    commit_notes(bus, "note.e")
    assert segments(path) == [1, 3, 5]
    bus.close()


def test_a_checkpoint_right_after_a_roll_belongs_to_the_log(path):
    """It holds the crc of its record, not of the new segment's header."""
    bus = open_bus(path, limits=SMALL)
    commit_notes(bus, *["note.a"] * 20)
    commit_notes(bus, *["note.a"] * 20)
    last = bus.durable_seq
    bus.close()
    (path / "events" / "x.jsonl.new").write_bytes(b"")
    bus = open_bus(path, limits=SMALL)
    bus.write_checkpoint("p", last, b"{}")
    bus.write_manifest(last)
    commit_notes(bus, *["note.a"] * 20)
    assert [one.seq for one in bus.checkpoints()] == [last]
    assert bus.manifest_seq == last
    bus.close()


ROLLING = ["pwrite", "open", "write", "rename", "fsync"]


class Refusing(Disk):
    """Refuses calls of the kind `refuse`."""

    refuse = ""


def _refusing(kind):
    def call(self, *args):
        if self.refuse == kind:
            raise OSError(errno.ENOSPC, "no space left")
        return getattr(Disk, kind)(self, *args)

    return call


for _kind in ROLLING:
    setattr(Refusing, _kind, _refusing(_kind))


@pytest.mark.parametrize("kind", ROLLING)
def test_a_roll_that_the_disk_refuses_is_tried_again(path, kind):
    """The batch fails, nothing is lost, and the next one rolls; a new file that could not be synced is made anew."""

    disk = Refusing()
    bus = open_bus(path, limits=SMALL, disk=disk)
    while (path / "events" / segment.name_of(1)).stat().st_size < (4 << 10) - 300:
        commit_notes(bus, "note.a")
    before = bus.durable_seq
    disk.refuse = kind
    with pytest.raises(BusError) as caught:
        commit_notes(bus, "note.b", "note.b", "note.b")
    disk.refuse = ""
    assert (caught.value.errno, caught.value.poisoned) == (errno.ENOSPC, False)
    assert bus.durable_seq == before
    commit_notes(bus, *["note.c"] * 3)
    assert segments(path) == [1, before + 1]
    bus.close(clean=False)
    again = open_bus(path)
    assert notes(again.replay(before - 1)) == [(before, "note.a"), *((before + n, "note.c") for n in (1, 2, 3))]
    again.close()


def test_one_projects_records_are_found_by_the_index(path):
    """Over sealed segments and the open one, from any seq on; the same for the daemon and for a reader beside it."""
    bus = open_bus(path, limits=SMALL)
    for n in range(120):
        say(bus, f"p{n % 7}", "y" * (n * 53 % 900))
    commit_notes(bus, "note.world")
    reader = BusReader(path, limits=SMALL)
    whole = list(bus.replay(0))
    for after in (0, 1, 33, 119, 121):
        for name in ("p0", "p3", "no-such"):
            expected = [found for found in whole if found.get("project") == name and found["seq"] > after]
            assert list(bus.replay(after, project=name)) == expected
            assert list(reader.replay(after, project=name)) == expected
    bus.close()
    assert list(reader.replay(0, project="p3")) == [found for found in whole if found.get("project") == "p3"]


def in_order_of_projects(records, after):
    """What `by_project` has to give for these records, put together again."""
    found = {}
    for record in records:
        if record["seq"] > after:
            found.setdefault(record.get("project", ""), []).append(record)
    return found


def together(groups):
    found = {}
    for project, records in groups:
        assert records
        found.setdefault(project, []).extend(records)
    return found


@pytest.mark.parametrize("harm", ["none", "no index", "an index of fewer records", "a damaged shelf"])
def test_all_records_are_given_project_by_project(path, harm):
    """Each once and in the order of its project, from any seq on; the same for the daemon and for a reader beside it."""
    bus = open_bus(path, limits=SMALL)
    for n in range(120):
        say(bus, f"p{n % 7}", "y" * (n * 53 % 900))
        if n % 11 == 0:
            commit_notes(bus, "note.world")
    file = min((path / "events").glob("*.idx"))
    if harm == "no index":
        file.unlink()
    elif harm == "a damaged shelf":
        data = file.read_bytes()
        file.write_bytes(data[:-1] + bytes([data[-1] ^ 4]))
    elif harm == "an index of fewer records":
        fewer = index.Index(1)
        fewer.add("p0", 300)
        header = segment.open_segment(Disk(), path / "events", 1)[1]
        file.write_bytes(fewer.encode(header.id, (path / "events" / segment.name_of(1)).stat().st_size))
    whole = list(bus.replay(0))
    for reader in (BusReader(path, limits=SMALL), bus):
        for after in (0, 1, 33, 119, bus.durable_seq):
            assert together(reader.by_project(after)) == in_order_of_projects(whole, after)
    bus.close()


def test_a_damaged_segment_is_not_given_project_by_project(path):
    """Nothing of it is."""
    bus = open_bus(path, limits=SMALL)
    for n in range(60):
        say(bus, f"p{n % 3}", "y" * 300)
    file = path / "events" / segment.name_of(1)
    data = file.read_bytes()
    file.write_bytes(data[:2000] + bytes([data[2000] ^ 1]) + data[2001:])
    with pytest.raises(BusCorrupt, match="damaged: records 1-"):
        next(bus.by_project(0))
    bus.close()


def test_damage_in_a_sealed_segment_is_never_shown(path):
    """Wherever it is, before a page, in it or after it: what is given is whole, up to the very record that is lost."""
    limits = Limits(segment_bytes=1 << 20)
    bus = open_bus(path, limits=limits)
    for _ in range(30):
        for n in range(100):
            bus.stage({"type": "note.a", "project": f"p{n % 3}", "data": {"text": "y" * 300}})
        bus.commit()
    whole = list(bus.replay(0))
    file = path / "events" / segment.name_of(1)
    data = file.read_bytes()
    for at in (1_000, 200_000, 900_000):
        file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        found = []
        lost = data.count(b"\n", 0, at)
        with pytest.raises(BusCorrupt, match=f"events {lost}-{lost} cannot be read"):
            for record in BusReader(path, limits=limits).replay(0):
                found.append(record)  # noqa: PERF402
        assert found == whole[: lost - 1]
    bus.close()


class Counting(UnsyncedDisk):
    """Counts the bytes that are read and notes the longest read; gives at most `most` at once."""

    bytes = longest = 0
    most = 1 << 30

    def pread(self, fd, size, offset):
        data = super().pread(fd, min(size, self.most), offset)
        self.bytes += len(data)
        self.longest = max(self.longest, len(data))
        return data


def long_bus(path, disk):
    """6,000 records in two segments, the first of them sealed."""
    bus = open_bus(path, limits=Limits(segment_bytes=4 << 20), disk=disk)
    for _ in range(60):
        for n in range(100):
            bus.stage({"type": "note.a", "project": f"p{n % 3}", "data": {"text": "y" * 900}})
        bus.commit()
    disk.bytes = disk.longest = 0
    return bus


@pytest.mark.parametrize("after", [0, 60, 2_037])
def test_a_page_of_a_sealed_segment_is_given_before_all_of_it_is_read(path, after):
    """Whoever wants a page is not kept waiting for a check of the whole segment."""
    disk = Counting()
    bus = long_bus(path, disk)
    records = islice(bus.replay(after), 1_000)
    assert next(records)["seq"] == after + 1
    assert disk.bytes < 400_000
    assert [record["seq"] for record in records] == list(range(after + 2, after + 1_001))
    assert disk.bytes < 1_500_000
    bus.close()


def test_a_segment_too_long_for_memory_is_read_in_pieces(path, monkeypatch):
    """Project by project as well."""
    disk = Counting()
    bus = long_bus(path, disk)
    whole = together(bus.by_project(0))
    assert disk.longest > 2_000_000
    monkeypatch.setattr(history, "_LARGEST_WHOLE", 2_000_000)
    disk.longest = 0
    assert together(bus.by_project(0)) == whole
    assert disk.longest <= 1 << 20
    bus.close()


def test_a_disk_that_gives_less_than_it_was_asked_for_is_asked_again(path):
    """It is no damage."""
    disk = Counting()
    bus = long_bus(path, disk)
    whole = together(bus.by_project(0))
    disk.most = 1 << 20
    assert together(bus.by_project(0)) == whole
    bus.close()


def test_reading_one_project_reads_little_of_the_rest(path):
    """The sealed segments are not read through, only their indexes and the records that are wanted."""
    disk = Counting()
    limits = Limits(segment_bytes=1 << 20)
    bus = open_bus(path, limits=limits, disk=disk)
    for _ in range(40):
        for n in range(40):
            bus.stage({"type": "note.a", "project": f"p{n}", "data": {"text": "z" * 2000}})
        bus.commit()
    disk.bytes = 0
    assert len(list(bus.replay(0, project="p7"))) == 40
    size = sum(file.stat().st_size for file in (path / "events").glob("*.jsonl"))
    assert disk.bytes < size / 10
    bus.close()


def test_segments_of_one_id_are_not_taken_for_each_other(path):
    """Ids are 32 random bits: among many segments two may be the same."""

    class OneId(Disk):
        def entropy(self, size):
            return bytes(size)

    bus = open_bus(path, limits=SMALL, disk=OneId())
    for n in range(60):
        say(bus, f"p{n % 3}", "y" * 300)
    assert len(segments(path)) > 2
    assert list(bus.replay(0, project="p1")) == [one for one in bus.replay(0) if one.get("project") == "p1"]
    bus.close()


@pytest.mark.parametrize("harm", ["missing", "flipped", "flipped at its end", "cut", "empty", "of another segment"])
def test_an_index_that_is_not_whole_is_made_again(path, harm):
    """It is no truth: what it says is derived from the segment."""
    bus = open_bus(path, limits=SMALL)
    for n in range(60):
        say(bus, f"p{n % 3}", "y" * 300)
    whole = list(bus.replay(0, project="p1"))
    bus.close()
    files = sorted((path / "events").glob("*.idx"))
    data = files[0].read_bytes()
    if harm == "missing":
        files[0].unlink()
    else:
        other = {
            "cut": data[:-1],
            "empty": b"",
            "of another segment": files[1].read_bytes(),
            "flipped at its end": data[:-1] + bytes([data[-1] ^ 4]),
        }
        files[0].write_bytes(other.get(harm, data[:20] + bytes([data[20] ^ 4]) + data[21:]))
    assert list(BusReader(path, limits=SMALL).replay(0, project="p1")) == whole
    again = open_bus(path, limits=SMALL)
    assert list(again.replay(0, project="p1")) == whole
    again.close()
    assert files[0].read_bytes() == data


def found_in(stored, project):
    """The offsets of a project; None where the index, or the part of it that is asked for, counts as missing."""
    try:
        return None if stored is None else stored.of(project).tolist()
    except index.Broken:
        return None


def test_every_flipped_bit_of_an_index_is_seen(tmp_path):
    """And every truncation: what is given is what was put in, or nothing is. Also where it has several shelves."""
    made = index.Index(5)
    for n in range(40):
        made.add(f"p{n % 20}", n * 300)
    data = made.encode(77, 12_300)
    file = tmp_path / "1.jsonl"

    def seen(content):
        index.path_of(file).write_bytes(content)
        stored = index.load(Disk(), file, 77, 12_300)
        return [found_in(stored, project) for project in ("p1", "p2", "p19")], index.is_whole(Disk(), file, 77, 12_300)

    whole = [made.of(project).tolist() for project in ("p1", "p2", "p19")]
    assert seen(data) == (whole, True)
    assert index.load(Disk(), file, 77, 12_300).count == 40
    assert dict(index.load(Disk(), file, 77, 12_300).all()) == dict(made.all())
    for bit in range(len(data) * 8):
        harmed = bytearray(data)
        harmed[bit // 8] ^= 1 << bit % 8
        found, sound = seen(bytes(harmed))
        assert not sound
        assert all(one in (None, due) for one, due in zip(found, whole, strict=True))
    for size in range(len(data)):
        found, sound = seen(data[:size])
        assert not sound
        assert all(one in (None, due) for one, due in zip(found, whole, strict=True))
    assert index.load(Disk(), file, 78, 12_300) is None
    assert index.load(Disk(), file, 77, 12_301) is None


@pytest.mark.parametrize("name", ["a/b", 'q"uo', "ä@k", "tab\t", ""])
def test_the_project_of_a_line_is_read_as_it_was_written(path, name):
    """Whatever JSON makes of its characters, and whatever the data looks like."""
    bus = open_bus(path)
    body = {"type": "note.a", "data": {"project": "other", "x": '","project":"third"'}}
    bus.stage({**body, "project": name} if name else body)
    bus.commit()
    line = (path / "events" / segment.name_of(1)).read_bytes().split(b"\n")[1]
    assert index.project_of(line) == name
    bus.close()


def test_the_first_seq_is_known(path):
    """Also before anything was said."""
    bus = open_bus(path)
    assert bus.first_seq == 1
    commit_notes(bus, "note.a")
    assert (bus.first_seq, BusReader(path, limits=Limits()).first_seq) == (1, 1)
    bus.close()


def test_other_threads_read_while_the_log_is_written_and_rolls(path):
    """Each reading is a whole beginning of what there is: nothing is skipped, also when a segment is sealed meanwhile."""
    bus = open_bus(path, limits=SMALL, disk=UnsyncedDisk())
    say(bus, "p1", "0")
    done, readings, troubles = threading.Event(), [], []

    def read(project):
        try:
            while not done.is_set():
                before = bus.durable_seq
                found = [one["data"]["text"] for one in bus.replay(0, project=project) if one["project"] == "p1"]
                assert found == [str(n) for n in range(len(found))]
                assert len(found) >= (before + 1) // 2
                readings.append(len(found))
        except BaseException as error:
            troubles.append(error)
            raise

    threads = [threading.Thread(target=read, args=(project,)) for project in ("p1", None)]
    for thread in threads:
        thread.start()
    for n in range(1, 300):
        say(bus, "p2")
        say(bus, "p1", str(n))
    done.set()
    for thread in threads:
        thread.join()
    assert troubles == []
    assert len(set(readings)) > 1
    assert len(segments(path)) > 10
    bus.close()
