"""The face of the bus: what is staged, what is durable, what survives a stop."""

import json
import stat
from pathlib import Path
from zlib import crc32

import pytest

from glink.bus.fsio import Disk
from glink.errors import BusError, BusFormat
from glink.limits import Limits
from glink.state import Run
from tests.unit.bus.buses import FIRST, commit_notes, notes, open_bus


@pytest.fixture
def path(tmp_path):
    return tmp_path / "somewhere" / "bus"


def test_what_was_committed_is_there_after_a_stop(path):
    """Records come back in order with the seqs, batch and epoch that `stage` returned."""
    bus = open_bus(path)
    staged = [bus.stage({"type": "note.a", "project": "coffee", "data": {"n": n}}) for n in range(3)]
    bus.commit()
    bus.close()

    again = open_bus(path)
    found = list(again.replay(0))
    again.close()
    assert [{k: v for k, v in record.items() if k not in ("p", "crc")} for record in found] == staged
    assert [(record["seq"], record["b"], record["e"]) for record in found] == [(1, 1, 1), (2, 1, 1), (3, 1, 1)]
    assert (again.clean, again.epoch, again.durable_seq) == (True, 2, 3)


def test_what_was_staged_but_not_committed_is_nowhere(path):
    """Neither a reader of the same bus nor the next opening sees it."""
    bus = open_bus(path)
    commit_notes(bus, "note.a")
    bus.stage({"type": "note.b"})
    assert notes(bus.replay(0)) == [(1, "note.a")]
    assert bus.read(2) is None
    bus.close()
    again = open_bus(path)
    assert notes(again.replay(0)) == [(1, "note.a")]
    again.close()


def test_a_rolled_back_batch_gives_its_seqs_back(path):
    """The next record follows the last durable one, in number and in crc."""
    bus = open_bus(path)
    commit_notes(bus, "note.a")
    bus.stage({"type": "note.b"})
    bus.stage({"type": "note.c"})
    bus.rollback()
    assert bus.staged_bytes == 0
    assert bus.stage({"type": "note.d"})["seq"] == 2
    bus.commit()
    bus.close(clean=False)
    again = open_bus(path)
    assert notes(again.replay(0)) == [(1, "note.a"), (2, "note.d")]
    again.close()


def test_a_record_is_a_line_of_json_with_its_keys_in_order(path):
    """The last 19 bytes are the crc of all before them, seeded with the segment's id; `p` is the crc of the line before."""
    bus = open_bus(path)
    bus.stage({"type": "step.succeeded", "project": "ä", "run": 1, "data": {"text": "line\nline"}})
    commit_notes(bus, "note.a")
    bus.close()
    lines = (path / "events" / FIRST).read_bytes().split(b"\n")
    header, first, second = (json.loads(line) for line in lines[:3])
    assert lines[3] == b""
    assert list(first) == ["seq", "b", "e", "time", "type", "project", "run", "data", "p", "crc"]
    assert lines[1][-18:] == b',"crc":"%08x"}' % crc32(lines[1][:-18], header["id"])
    assert first["p"] == header["crc"]
    assert second["p"] == first["crc"]


def test_opening_appends_nothing(path):
    """A settled bus costs no byte of log, however often it is opened."""
    open_bus(path).close()
    before = (path / "events" / FIRST).read_bytes()
    for _ in range(2):
        open_bus(path).close()
    assert (path / "events" / FIRST).read_bytes() == before


def test_the_clean_mark_goes_before_the_first_append(path):
    """CLEAN stands while nothing was written since the clean stop, and not a moment longer."""
    open_bus(path).close()
    bus = open_bus(path)
    assert (path / "CLEAN").exists()
    commit_notes(bus, "note.a")
    assert not (path / "CLEAN").exists()
    bus.close()
    assert json.loads((path / "CLEAN").read_bytes())["seq"] == 1


def test_an_unclean_stop_is_noticed(path):
    """The next opening says so, and the one after its clean stop does not."""
    bus = open_bus(path)
    commit_notes(bus, "note.a")
    bus.close(clean=False)
    after = open_bus(path)
    assert not after.clean
    after.close()
    later = open_bus(path)
    assert later.clean
    later.close()


def test_everything_is_for_the_owner_alone(path):
    """Directories are 0700 and files 0600, and git is told to look away."""
    bus = open_bus(path)
    commit_notes(bus, "note.a")
    bus.blobs.put(b"x")
    bus.write_checkpoint("coffee", 1, b"{}")
    bus.announce(url="http://127.0.0.1:1")
    bus.close()
    for entry in (path, *path.rglob("*")):
        assert stat.S_IMODE(entry.stat().st_mode) == (0o700 if entry.is_dir() else 0o600), entry
    assert (path / ".gitignore").read_text() == "*\n"


def test_the_secret_is_made_once(path):
    """32 random bytes that stay the same."""
    bus = open_bus(path)
    bus.close()
    again = open_bus(path)
    again.close()
    assert len(bus.secret) == 32
    assert bus.secret == again.secret


@pytest.mark.parametrize("key", ["seq", "b", "e", "time", "p", "crc"])
def test_an_event_cannot_bring_the_keys_that_the_bus_writes(path, key):
    """The error names them, and the batch goes on without the event."""
    bus = open_bus(path)
    with pytest.raises(BusError, match="the bus numbers it"):
        bus.stage({"type": "note.a", key: 9})
    commit_notes(bus, "note.b")
    assert notes(bus.replay(0)) == [(1, "note.b")]
    bus.close()


def deep(levels):
    value = 0
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"text": "x" * 65536}, "put the body into a blob"),
        ({"deep": deep(31)}, "nested deeper than 32 levels"),
        ({"deep": deep(5000)}, "cannot be written as JSON"),
        ({"number": 1 << 70}, "cannot be written as JSON"),
        ({"thing": object()}, "cannot be written as JSON"),
        ({"thing": Run(1, "")}, "cannot be written as JSON"),  # who folds the record would find no mapping in it
        ({1: "key"}, "cannot be written as JSON"),
    ],
)
def test_what_cannot_be_a_record_is_refused_and_nothing_is_staged(path, data, text):
    """Too long, too deep, no JSON: a typed error, and the next event gets the seq."""
    bus = open_bus(path)
    with pytest.raises(BusError, match=text):
        bus.stage({"type": "note.a", "data": data})
    assert bus.staged_bytes == 0
    assert bus.stage({"type": "note.b"})["seq"] == 1
    bus.close()


def test_the_limits_are_met_exactly(path):
    """A record of 64 KiB and one of 32 levels are taken."""
    bus = open_bus(path)
    bus.stage({"type": "note.a", "data": {"deep": deep(30)}})
    bus.commit()
    bare = (path / "events" / FIRST).read_bytes().split(b"\n")[1]
    room = 65536 - len(bare) - 1 + len(b'"deep":' + b"[" * 30 + b"0" + b"]" * 30) - len(b'"text":""')
    bus.stage({"type": "note.a", "data": {"text": "x" * room}})
    bus.rollback()
    with pytest.raises(BusError):
        bus.stage({"type": "note.a", "data": {"text": "x" * (room + 1)}})
    bus.close()


def test_a_full_batch_takes_no_more(path):
    """What is staged stays and can be committed."""
    bus = open_bus(path, limits=Limits(batch_bytes=400))
    bus.stage({"type": "note.a"})
    with pytest.raises(BusError, match="a batch holds at most 400 bytes"):
        bus.stage({"type": "note.b", "data": {"text": "x" * 300}})
    bus.commit()
    assert notes(bus.replay(0)) == [(1, "note.a")]
    bus.close()


def test_lone_surrogates_are_replaced_at_the_door(path):
    """In values and keys; what is folded equals what is stored."""
    bus = open_bus(path)
    staged = bus.stage({"type": "note.a", "data": {"k\udc80": ["a\ud800b", "\ud83d\ude00"]}})
    bus.commit()
    assert staged["data"] == {"k\ufffd": ["a\ufffdb", "😀"]}
    assert bus.read(1)["data"] == staged["data"]
    bus.close()


SECRET = 'tok"en\\ä-123'


def test_secrets_are_masked_wherever_they_stand_in_a_record(path):
    """As they are, as JSON writes them, as JSON inside JSON; in keys too. What is folded equals what is stored."""
    bus = open_bus(path, secrets=[SECRET, "short"])
    inner = json.dumps({"key": SECRET}, ensure_ascii=False)
    data = {"text": f"a {SECRET} b", "output": {SECRET: [inner, 12345678]}, "short": "short"}
    staged = bus.stage({"type": "note.a", "data": data})
    bus.commit()
    assert staged["data"] == {"text": "a *** b", "output": {"***": ['{"key": "***"}', 12345678]}, "short": "short"}
    assert bus.read(1)["data"] == staged["data"]
    bus.close(clean=False)
    open_bus(path).close()
    assert b"en\\\\" not in (path / "events" / FIRST).read_bytes()


def test_a_secret_is_found_inside_json_text_alone(path):
    """Escaped twice over in the record's bytes, and nowhere else in them."""
    bus = open_bus(path, secrets=[SECRET])
    staged = bus.stage({"type": "note.a", "data": {"stdout": json.dumps([SECRET], ensure_ascii=False)}})
    assert staged["data"] == {"stdout": '["***"]'}
    bus.close()


def test_a_secret_that_looks_like_the_engines_words_breaks_no_record(path):
    """Ids, types and the names of facts stay, so the record can be folded."""
    bus = open_bus(path, secrets=["instance", "12345678", "step.failed", "revision"])
    staged = bus.stage({"type": "step.failed", "instance": "instance", "data": {"revision": 12345678, "x": "instance"}})
    bus.commit()
    assert staged["data"] == {"revision": 12345678, "x": "***"}
    assert bus.read(1)["instance"] == "instance"
    bus.close()


def test_every_record_can_be_read_by_its_seq(path):
    """Also in a log of many blocks with long and short records; what is not there is None."""
    bus = open_bus(path)
    for n in range(300):
        bus.stage({"type": "note.a", "data": {"n": n, "text": "x" * (n * 37 % 4000 if n % 50 else 60000)}})
    bus.commit()
    assert [bus.read(seq)["data"]["n"] for seq in range(1, 301)] == list(range(300))
    assert bus.read(0) is None
    assert bus.read(301) is None
    assert [record["seq"] for record in bus.replay(290)] == list(range(291, 301))
    assert list(bus.replay(300)) == []
    bus.close()


def test_a_newer_format_is_refused_and_nothing_is_rewritten(path):
    """The error names the file; every byte stays."""
    open_bus(path).close()
    (path / "FORMAT").write_text('{"glink":"bus","format":2}\n')
    before = {entry: entry.read_bytes() for entry in path.rglob("*") if entry.is_file()}
    with pytest.raises(BusFormat) as caught:
        open_bus(path)
    expected = f"{path}/FORMAT: format 2, and this version of Glink knows 1; use the version that wrote it"
    assert str(caught.value) == expected
    assert {entry: entry.read_bytes() for entry in path.rglob("*") if entry.is_file()} == before


def test_a_path_that_cannot_be_a_bus_is_a_bus_error(tmp_path):
    """A file in the way is named, with the system's number."""
    (tmp_path / "bus").write_text("not a folder")
    with pytest.raises(BusError, match="cannot be opened") as caught:
        open_bus(tmp_path / "bus")
    assert caught.value.errno


def test_without_sync_no_commit_waits_for_the_disk(path):
    """`sync=False` leaves out exactly the sync of the commit."""

    class Counting(Disk):
        synced = 0

        def fdatasync(self, fd):
            self.synced += 1
            super().fdatasync(fd)

    counts = []
    for sync in (True, False):
        disk = Counting()
        bus = open_bus(path, disk=disk, sync=sync)
        commit_notes(bus, "note.a")
        commit_notes(bus, "note.b")
        counts.append(disk.synced)
        bus.close(clean=False)
    assert counts == [2, 0]


def test_a_network_file_system_is_refused_unless_it_is_wanted(path):
    """Its locks and syncs may not do what they say; the error says what to write instead."""

    class Remote(Disk):
        def file_system(self, path):
            return "nfs4"

    with pytest.raises(BusError, match=r"network file system \(nfs4\).*bus: \{network: true\}"):
        open_bus(path, disk=Remote())
    open_bus(path, disk=Remote(), network=True).close()


def test_the_kernel_tells_the_file_system_of_a_path(tmp_path):
    """By the device, so that mounts, binds and links do not fool it."""
    assert Disk().file_system(Path("/proc")) == "proc"
    assert Disk().file_system(tmp_path) not in {"", "proc"}
