"""A copy made beside a daemon is a whole bus, and comes back as one."""

import shutil

import pytest

from glink.bus import backup as copying
from glink.bus import segment
from glink.bus.backup import backup, restore
from glink.bus.fsio import Disk
from glink.errors import BusCorrupt, BusHeld, NoState, UsageError
from glink.limits import Limits
from tests.unit.bus.buses import commit_notes, notes, open_bus

LIMITS = Limits(segment_bytes=2 << 10, reserve_bytes=0)


@pytest.fixture
def bus(tmp_path):
    bus = open_bus(tmp_path / "bus", limits=LIMITS)
    for n in range(30):
        digest = bus.blobs.put(b"body %d" % n)
        bus.stage({"type": "note.a", "project": "p", "data": {"blob": digest}})
        bus.commit()
    bus.write_checkpoint("p", 30, b"{}")
    bus.write_manifest(30)
    yield bus
    bus.close()


def test_a_backup_beside_a_daemon_is_a_bus(bus, tmp_path):
    """With everything that was durable, its bodies and its secret; also when the daemon goes on meanwhile."""
    copied = backup(Disk(), bus.path, tmp_path / "copy", LIMITS)
    commit_notes(bus, "note.later")
    assert copied.report.records == 30
    assert copied.report.blobs == 30
    other = open_bus(tmp_path / "copy", limits=LIMITS)
    assert list(other.replay(0)) == list(bus.replay(0))[:30]
    assert other.manifest_seq == 30
    assert other.secret == bus.secret
    for record in other.replay(0):
        assert other.blobs.get(record["data"]["blob"])
    other.close()


def test_bytes_behind_what_is_durable_are_left_out(bus, tmp_path):
    """They may never have been."""
    name = segment.name_of(segment.firsts(Disk(), bus.path / "events")[-1])
    with (bus.path / "events" / name).open("ab") as file:
        file.write(b'{"seq":31,"b":31')
    backup(Disk(), bus.path, tmp_path / "copy", LIMITS)
    assert not (tmp_path / "copy" / "events" / name).read_bytes().endswith(b"31")


def test_a_backup_that_was_interrupted_is_no_bus(bus, tmp_path, monkeypatch):
    """FORMAT comes last."""

    def fail(*args):
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(copying, "_rest", fail)
    with pytest.raises(Exception, match="cannot be copied"):
        backup(Disk(), bus.path, tmp_path / "copy", LIMITS)
    with pytest.raises(NoState):
        restore(Disk(), tmp_path / "copy", tmp_path / "new", tmp_path / "attempts", LIMITS)


def test_nothing_is_written_over(bus, tmp_path):
    """Neither by a backup nor by a restore, and never under a daemon."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        backup(Disk(), bus.path, tmp_path / "full", LIMITS)
    backup(Disk(), bus.path, tmp_path / "copy", LIMITS)
    with pytest.raises(BusHeld):
        restore(Disk(), tmp_path / "copy", bus.path, tmp_path / "attempts", LIMITS)
    with pytest.raises(UsageError, match="not empty"):
        restore(Disk(), tmp_path / "copy", tmp_path / "full", tmp_path / "attempts", LIMITS)


def test_a_restored_bus_goes_on_where_the_backup_was(bus, tmp_path):
    """Folders of attempts since then are set aside: their numbers are given out again."""
    backup(Disk(), bus.path, tmp_path / "copy", LIMITS)
    (tmp_path / "work" / "attempts" / "31").mkdir(parents=True)
    for n in (1, 2):
        restore(Disk(), tmp_path / "copy", tmp_path / f"new{n}", tmp_path / "work" / "attempts", LIMITS)
        other = open_bus(tmp_path / f"new{n}", limits=LIMITS)
        commit_notes(other, "note.z")
        assert notes(other.replay(29)) == [(30, "note.a"), (31, "note.z")]
        other.close()
        (tmp_path / "work" / "attempts").mkdir()
    assert (tmp_path / "work" / "attempts.before-restore.1" / "31").is_dir()
    assert (tmp_path / "work" / "attempts.before-restore.2").is_dir()


def test_a_damaged_backup_is_not_restored(bus, tmp_path):
    """A flipped bit in a record or a body."""
    backup(Disk(), bus.path, tmp_path / "copy", LIMITS)
    shutil.copytree(tmp_path / "copy", tmp_path / "copy2")
    log = tmp_path / "copy" / "events" / segment.name_of(1)
    log.write_bytes(log.read_bytes().replace(b'"seq":2,', b'"seq":3,', 1))
    blob = next(file for file in (tmp_path / "copy2" / "blobs").rglob("*") if file.is_file())
    blob.write_bytes(b"x")
    for copy in ("copy", "copy2"):
        with pytest.raises(BusCorrupt, match="the backup is damaged"):
            restore(Disk(), tmp_path / copy, tmp_path / "new", tmp_path / "attempts", LIMITS)
        assert not (tmp_path / "new").exists()


def test_a_live_copy_made_while_segments_are_trimmed_is_whole(bus, tmp_path):
    """The copy pins the oldest segment until it has them all."""
    pinned = []

    class Looking(Disk):
        def listdir(self, path):
            if path.name == "checkpoints":
                spans = bus.trimmable("9999")
                pinned.append(bus.is_read(spans[0]))
            return super().listdir(path)

    backup(Looking(), bus.path, tmp_path / "copy", LIMITS)
    assert pinned[0]
    assert not bus.is_read(bus.trimmable("9999")[0])
