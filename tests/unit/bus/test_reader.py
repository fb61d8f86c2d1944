"""What other processes see: nothing that was not acknowledged, nothing twice, nothing skipped."""

import json
import threading

import pytest

from glink.bus import record
from glink.bus.reader import BusReader
from glink.clock import wait_for
from glink.errors import BusCorrupt, BusFormat, BusTrimmed, NoState
from glink.jsontext import dumps
from glink.limits import Limits
from tests.unit.bus.buses import FIRST, commit_notes, notes, open_bus, seal_and_start_next


@pytest.fixture
def path(tmp_path):
    return tmp_path / "bus"


def reader_of(path):
    return BusReader(path, limits=Limits())


def test_where_nothing_ran_there_is_no_state(path):
    """The error says how to start."""
    with pytest.raises(NoState, match="nothing has run there yet; start it with `glink up`"):
        reader_of(path)
    assert not path.exists()


def test_a_newer_bus_is_refused(path):
    """As the daemon does."""
    open_bus(path).close()
    (path / "FORMAT").write_text('{"format":3}')
    with pytest.raises(BusFormat):
        reader_of(path)


def test_a_reader_beside_a_daemon_stops_at_what_is_durable(path):
    """Bytes after the last sync may be in the file and are not shown."""
    bus = open_bus(path)
    reader = reader_of(path)
    assert notes(reader.replay(0)) == []
    commit_notes(bus, "note.a", "note.b")
    commit_notes(bus, "note.c")
    *_, header, last = (json.loads(line) for line in (path / "events" / FIRST).read_bytes().splitlines()[::3])
    unsynced = {**{key: last[key] for key in last if key not in ("p", "crc")}, "seq": 4, "b": 4}
    with (path / "events" / FIRST).open("ab") as file:
        file.write(record.frame(dumps(unsynced), last["crc"].encode(), header["id"])[0])
    assert notes(reader.replay(0)) == [(1, "note.a"), (2, "note.b"), (3, "note.c")]
    assert notes(reader.replay(2)) == [(3, "note.c")]
    assert reader.read(2)["type"] == "note.b"
    assert reader.read(4) is None
    bus.close(clean=False)
    assert notes(reader.replay(2)) == [(3, "note.c"), (4, "note.c")]  # as the next opening will keep it


def test_a_reader_without_a_daemon_leaves_a_torn_tail_where_it_is(path):
    """The tail rule is applied in memory; not a byte is changed."""
    bus = open_bus(path)
    commit_notes(bus, "note.a", "note.b")
    bus.close(clean=False)
    with (path / "events" / FIRST).open("ab") as file:
        file.write(b'{"seq":3,"b":3' + b"\0" * 100_000)
    before = (path / "events" / FIRST).read_bytes()
    reader = reader_of(path)
    assert notes(reader.replay(0)) == [(1, "note.a"), (2, "note.b")]
    assert notes(reader.replay(2)) == []
    assert (path / "events" / FIRST).read_bytes() == before


def test_damage_is_an_error_for_a_reader_too(path):
    """Before a later whole batch, with and without a daemon."""
    bus = open_bus(path)
    commit_notes(bus, "note.a", "note.b")
    commit_notes(bus, "note.c")
    data = (path / "events" / FIRST).read_bytes()
    (path / "events" / FIRST).write_bytes(data.replace(b"note.b", b"nope.b"))
    with pytest.raises(BusCorrupt, match="events 2-2 cannot be read"):
        list(reader_of(path).replay(0))
    bus.close(clean=False)
    with pytest.raises(BusCorrupt, match="events 2-2 cannot be read"):
        list(reader_of(path).replay(0))


def test_reading_from_the_middle_of_a_long_log(path):
    """Equals the end of reading it all, wherever it starts; over segments too."""
    bus = open_bus(path)
    for n in range(100):
        bus.stage({"type": "note.a", "data": {"text": "x" * (n * 97 % 9000)}})
    bus.commit()
    bus.close()
    seal_and_start_next(path)
    bus = open_bus(path)
    for n in range(60):
        bus.stage({"type": "note.b", "data": {"text": "x" * (n * 97 % 9000)}})
    bus.commit()
    reader = reader_of(path)
    whole = list(reader.replay(0))
    assert len(whole) == 160
    for after in range(0, 161, 7):
        assert list(reader.replay(after)) == whole[after:] == list(bus.replay(after))
    bus.close()
    for after in range(0, 161, 7):
        assert list(reader.replay(after)) == whole[after:]


def test_a_reader_sees_checkpoints_manifest_and_blobs(path):
    """The same as the daemon."""
    bus = open_bus(path)
    commit_notes(bus, "note.a")
    bus.write_checkpoint("coffee", 1, b"{}")
    bus.write_manifest(1)
    digest = bus.blobs.put(b"body")
    reader = reader_of(path)
    assert list(reader.checkpoints()) == list(bus.checkpoints())
    assert reader.manifest_seq == 1
    assert reader.blobs.get(digest) == b"body"
    bus.close()


def test_following_sees_each_record_once_over_restarts(path):
    """Clean stops, unclean ones and a torn tail between."""
    open_bus(path).close()
    seen = []
    enough = threading.Event()

    def follow():
        for found in reader_of(path).follow(0, stop=enough.is_set, every=0.001):
            seen.append(found["seq"])
            if len(seen) == 40:
                enough.set()

    follower = threading.Thread(target=follow)
    follower.start()
    for n in range(10):
        bus = open_bus(path)
        commit_notes(bus, "note.a", "note.b")
        commit_notes(bus, "note.c", "note.d")
        bus.close(clean=bool(n % 2))
        if not n % 3:
            with (path / "events" / FIRST).open("ab") as file:
                file.write(b'{"seq":')
            (path / "CLEAN").unlink(missing_ok=True)
    follower.join(timeout=20)
    enough.set()
    assert seen == list(range(1, 41))


def test_following_sees_each_record_once_over_rolls_and_trims(path):
    """Beside a daemon that seals a segment every few records and takes away what is read."""
    limits = Limits(segment_bytes=1 << 10, reserve_bytes=0)
    bus = open_bus(path, limits=limits)
    commit_notes(bus, "note.a")
    seen, enough = [], threading.Event()
    note = seen.append

    def follow():
        for found in BusReader(path, limits=limits).follow(0, stop=enough.is_set, every=0.001):
            note(found["seq"])

    follower = threading.Thread(target=follow)
    follower.start()
    trimmed = 0
    for _ in range(60):
        commit_notes(bus, "note.a", "note.b")
        spans = [span for span in bus.trimmable("9999") if seen and span.last < seen[-1]]
        if spans and not bus.is_read(spans[-1]):
            bus.stage({"type": "log.trimmed", "data": {"through": spans[-1].last}})
            bus.commit()
            bus.trim(spans[-1].last)
            trimmed += 1
        assert wait_for(lambda: bool(seen) and seen[-1] == bus.durable_seq, seconds=20, every=0.001)
    enough.set()
    follower.join(timeout=20)
    assert trimmed > 5
    assert seen == list(range(1, bus.durable_seq + 1))
    bus.close()


def test_a_follower_that_was_left_behind_is_told(path):
    """It does not go on as if there had been nothing in between."""
    limits = Limits(segment_bytes=1 << 10, reserve_bytes=0)
    bus = open_bus(path, limits=limits)
    for _ in range(30):
        commit_notes(bus, "note.a", "note.b")
    through = bus.trimmable("9999")[0].last
    bus.stage({"type": "log.trimmed", "data": {"through": through}})
    bus.commit()
    bus.trim(through)
    reader = BusReader(path, limits=limits)
    with pytest.raises(BusTrimmed, match=f"records 2-{through} were trimmed before they were read"):
        next(reader.follow(1, stop=lambda: False))
    assert next(reader.follow(0, stop=lambda: False))["seq"] == reader.first_seq == through + 1
    assert reader.read(1) is None
    assert bus.read(1) is None
    bus.close()
