"""A secret that reached the bus is taken out of it, and nothing else changes."""

from concurrent.futures import ThreadPoolExecutor, wait
from copy import deepcopy
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from glink.bus.fsio import Disk
from glink.bus.reader import BusReader
from glink.bus.redact import redact
from glink.bus.repair import repair
from glink.clock import SystemClock
from glink.errors import UsageError
from glink.jsontext import dumps, loads
from glink.limits import Limits
from glink.testing.simulated_disk import Crashed, SimulatedDisk
from tests.unit.bus.buses import open_bus

SECRET = 'hunter2"secret'
LIMITS = Limits(segment_bytes=2 << 10, reserve_bytes=0)


def written(path: Path, disk: Disk):
    """A bus with the secret in records and, three levels deep, in bodies; returns what should stand there afterwards."""
    bus = open_bus(path, limits=LIMITS, disk=disk)
    deep = bus.blobs.put(f"the key is {SECRET}".encode())
    upper = bus.blobs.put(dumps({"file": deep}))
    top = bus.blobs.put(dumps([{"of": upper}]))
    for n in range(20):
        bus.stage({"type": "note.a", "project": "p", "data": {"n": n, "text": SECRET if n in (7, 15) else "fine"}})
        bus.commit()
    bus.stage({"type": "note.b", "project": "q", "data": {"blob": top}})
    bus.commit()
    bus.write_checkpoint("p", 21, dumps({"text": SECRET}))
    bus.write_manifest(21)
    bus.close()


def everywhere(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.rglob("*") if file.is_file())


def prove_redacted(bus) -> None:
    records = list(bus.replay(0))
    assert [one["data"].get("text") for one in records] == ["***" if n in (7, 15) else "fine" for n in range(20)] + [
        None
    ]
    assert [one["seq"] for one in records] == list(range(1, 22))
    assert len({one["time"] for one in records}) > 10
    top = bus.blobs.get(records[-1]["data"]["blob"])
    (inner,) = loads(top)
    upper = loads(bus.blobs.get(inner["of"]))
    assert bus.blobs.get(upper["file"]) == b"the key is ***"


def test_it_is_gone_from_records_bodies_and_copies(tmp_path):
    """And the bus is whole: every crc, every link, every name of a body."""
    path = tmp_path / "bus"
    written(path, Disk())
    assert SECRET.encode() in everywhere(path)
    bus = open_bus(path, limits=LIMITS)
    done = redact(Disk(), path, [SECRET], LIMITS)
    bus.close(clean=False)
    assert (done.records, done.blobs) == (3, 3)
    assert done.segments > 1
    assert b"hunter2" not in everywhere(path)
    again = open_bus(path, limits=LIMITS)
    prove_redacted(again)
    again.close()


def test_a_bus_without_it_is_left_alone(tmp_path):
    """Not a byte is written."""
    path = tmp_path / "bus"
    written(path, Disk())
    before = everywhere(path / "events")
    bus = open_bus(path, limits=LIMITS)
    assert redact(Disk(), path, ["not there at all"], LIMITS).segments == 0
    bus.close(clean=False)
    assert everywhere(path / "events") == before
    with pytest.raises(UsageError, match="less than 8 characters"):
        redact(Disk(), path, ["short"], LIMITS)


class WatchedDisk(Disk):
    """Begins another reader of everything after each change, which may go on beside the next changes."""

    def __init__(self, path):
        self._path, self.pool, self.reading = path, ThreadPoolExecutor(100), []

    def rename(self, source, target):
        super().rename(source, target)
        self._read()

    def unlink(self, path):
        super().unlink(path)
        self._read()

    def fsync_dir(self, path):
        super().fsync_dir(path)
        self._read()

    def _read(self):
        for project in (None, "p"):
            reader = BusReader(self._path, limits=LIMITS)
            self.reading.append((project, self.pool.submit(lambda reader=reader, one=project: seqs(reader, one))))
            wait([self.reading[-1][1]], timeout=0.01)


def seqs(reader, project):
    return [one["seq"] for one in reader.replay(0, project=project)]


def folded(groups):
    """The seqs that a fold takes, project by project: it passes over what it has."""
    taken = {}
    for project, records in groups:
        found = taken.setdefault(project, [])
        found += [one["seq"] for one in records if not found or one["seq"] > found[-1]]
    return sorted(seq for found in taken.values() for seq in found)


def test_readers_beside_it_miss_nothing_and_see_nothing_twice(tmp_path):
    """Whenever they begin, and however far they had come."""
    path = tmp_path / "bus"
    written(path, Disk())
    bus = open_bus(path, limits=LIMITS)
    slow = []
    for count in range(22):
        reader = BusReader(path, limits=LIMITS)
        assert len(list(reader.replay(0, project="p"))) == 20  # it has seen where everything stands
        for project in (None, "p"):
            going_on = reader.replay(0, project=project)
            slow.append((project, [next(going_on) for _ in range(min(count, 20))], going_on))
    folding = []
    for count in range(5):
        groups = BusReader(path, limits=LIMITS).by_project(0)
        folding.append((list(islice(groups, count)), groups))
    disk = WatchedDisk(path)
    assert redact(disk, path, [SECRET], LIMITS).segments > 1
    bus.close(clean=False)
    for project, future in disk.reading:
        assert future.result() == list(range(1, 22 if project is None else 21))
    assert len(disk.reading) > 20
    for before, going_on in folding:
        assert folded([*before, *going_on]) == list(range(1, 22))
    for project, before, going_on in slow:
        found = [one["seq"] for one in [*before, *going_on]]
        assert found == list(range(1, 22 if project is None else 21))
    disk.pool.shutdown()


def test_a_crash_leaves_it_undone_or_the_next_opening_finishes_it():
    """After any call, with any survivor: all of it or nothing. A repair takes it for no damage."""
    path, first, outcomes = Path("/bus"), SimulatedDisk(), set()
    written(path, first)
    calls = 0
    while True:
        calls += 7
        disk = deepcopy(first)
        bus = open_bus(path, limits=LIMITS, disk=disk)
        disk.crash_after(calls)
        try:
            redact(disk, path, [SECRET], LIMITS)
        except Crashed:
            after = disk.power_cut(Random(calls))
            if calls % 2:
                assert repair(after, path, LIMITS, [], clock=SystemClock()) == []
            bus = open_bus(path, limits=LIMITS, disk=after)
            texts = [one["data"].get("text") for one in bus.replay(0)]
            outcomes.add(texts.count(SECRET))
            if not texts.count(SECRET):
                prove_redacted(bus)
            bus.close()
        else:
            break
    assert outcomes == {0, 2}
    assert bus is not None
