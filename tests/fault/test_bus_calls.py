"""Every call to the disk fails once, or from then on, for every position: nothing that was acknowledged is lost."""

import contextlib
import errno
import fcntl
import os
import shutil

import pytest

from glink.bus.fsio import Disk
from glink.errors import BusError
from tests.unit.bus.buses import UnsyncedDisk, commit_notes, notes, open_bus

FALLIBLE = (
    *("open", "read", "pread", "write", "pwrite", "fdatasync", "fsync", "fsync_dir", "truncate"),
    *("listdir", "mkdir", "rename", "link", "unlink", "stat", "fstat"),
)


class FaultyDisk(UnsyncedDisk):
    """Fails the n-th call of the named kinds, and with `lasting` every one after it."""

    def __init__(self, kinds, position, number, *, lasting):
        self._kinds = kinds
        self._position = position
        self._number = number
        self._lasting = lasting
        self.calls = 0

    def fail(self, kind):
        if kind not in self._kinds:
            return
        self.calls += 1
        if self.calls == self._position or (self._lasting and self.calls > self._position):
            raise OSError(self._number, os.strerror(self._number), kind)


def _faulty(kind):
    real = getattr(UnsyncedDisk, kind)

    def call(self, *args):
        self.fail(kind)
        return real(self, *args)

    return call


for _kind in FALLIBLE:
    setattr(FaultyDisk, _kind, _faulty(_kind))


class ShortDisk(Disk):
    """Takes at most seven bytes at a time."""

    def write(self, fd, data):
        return super().write(fd, data[:7])

    def pwrite(self, fd, data, offset):
        return super().pwrite(fd, data[:7], offset)


def day(path, disk):
    """What a daemon does with a bus, going on after each error. Returns what was acknowledged: notes and blobs."""
    said, stored = [], []
    try:
        bus = open_bus(path, disk=disk)
    except BusError:
        return said, stored
    for n in range(2):
        try:
            staged = [(bus.stage({"type": f"note.{n}{part}"})["seq"], f"note.{n}{part}") for part in "ab"]
            bus.commit()
            said += staged
            stored.append(bus.blobs.put(b"blob %d" % n))
            bus.write_checkpoint("coffee", bus.durable_seq, b"[%d]" % n)
            bus.write_manifest(bus.durable_seq)
        except BusError:
            continue
    with contextlib.suppress(BusError):
        bus.close()
    return said, stored


def prove(path, said, stored):
    """On a disk without faults: what was acknowledged is there, what is there is one unbroken order, work goes on."""
    bus = open_bus(path, disk=UnsyncedDisk())
    found = notes(bus.replay(0))
    assert [seq for seq, _ in found] == list(range(1, len(found) + 1))
    assert [note for note in found if note in said] == said
    for digest in stored:
        assert bus.blobs.get(digest)
    for checkpoint in bus.checkpoints():
        assert checkpoint.crc == bus.read(checkpoint.seq)["crc"]
    assert bus.manifest_seq <= bus.durable_seq
    commit_notes(bus, "note.after")
    bus.close()
    again = open_bus(path, disk=UnsyncedDisk())
    assert again.clean
    assert notes(again.replay(0)) == [*found, (len(found) + 1, "note.after")]
    again.close()


@pytest.mark.parametrize(("number", "lasting"), [(errno.EIO, False), (errno.ENOSPC, True)])
def test_any_call_may_fail(tmp_path, number, lasting):
    """All calls of a day, one after the other, until a day passes without meeting the fault."""
    position = 0
    while True:
        position += 1
        path = tmp_path / str(position) / "bus"
        disk = FaultyDisk(FALLIBLE, position, number, lasting=lasting)
        prove(path, *day(path, disk))
        if disk.calls < position:
            break
    assert position > 100


def test_any_call_of_the_second_day_may_fail(tmp_path):
    """After an unclean stop with a torn tail, so that recovery's own calls fail, too."""
    said, stored = day(tmp_path / "first", UnsyncedDisk())
    (tmp_path / "first" / "CLEAN").unlink()
    with next((tmp_path / "first" / "events").iterdir()).open("ab") as file:
        file.write(b'{"seq":')
    position = 0
    while True:
        position += 1
        path = tmp_path / str(position) / "bus"
        shutil.copytree(tmp_path / "first", path)
        disk = FaultyDisk(FALLIBLE, position, errno.EIO, lasting=True)
        later, more = day(path, disk)
        prove(path, said + later, stored + more)
        if disk.calls < position:
            break
    assert position > 100


def test_short_writes_are_finished(tmp_path):
    """However few bytes the disk takes at a time."""
    said, stored = day(tmp_path / "bus", ShortDisk())
    assert (len(said), len(stored)) == (4, 2)
    prove(tmp_path / "bus", said, stored)


def test_a_write_that_fails_is_taken_back_and_can_be_tried_again(tmp_path):
    """The batch is gone, its seqs are given out again, the number is kept; half of it had reached the file."""

    class FullOnce(Disk):
        def __init__(self):
            self.room = 1 << 20

        def pwrite(self, fd, data, offset):
            if len(data) > self.room:
                if not self.room:
                    raise OSError(errno.ENOSPC, "no space left")
                data, self.room = data[: self.room], 0
            return super().pwrite(fd, data, offset)

    disk = FullOnce()
    bus = open_bus(tmp_path / "bus", disk=disk)
    commit_notes(bus, "note.a")
    size = next((tmp_path / "bus" / "events").iterdir()).stat().st_size
    disk.room = 100
    with pytest.raises(BusError) as caught:
        commit_notes(bus, "note.b", "note.c")
    assert (caught.value.errno, caught.value.poisoned) == (errno.ENOSPC, False)
    assert next((tmp_path / "bus" / "events").iterdir()).stat().st_size == size
    assert (bus.durable_seq, bus.staged_bytes) == (1, 0)
    disk.room = 1 << 20
    commit_notes(bus, "note.d")
    bus.close()
    prove(tmp_path / "bus", [(1, "note.a"), (2, "note.d")], [])


def test_a_sync_that_fails_is_never_tried_again(tmp_path):
    """From then on every call says that the outcome is unknown; no CLEAN mark is left, so the next opening copies."""

    class Dying(Disk):
        dead = False
        syncs = 0

        def fdatasync(self, fd):
            self.syncs += 1
            if self.dead:
                raise OSError(errno.EIO, "the disk is dying")
            super().fdatasync(fd)

    disk = Dying()
    bus = open_bus(tmp_path / "bus", disk=disk)
    commit_notes(bus, "note.a")
    disk.dead = True
    with pytest.raises(BusError, match="a sync failed, so what the disk holds is unknown") as caught:
        commit_notes(bus, "note.b")
    assert caught.value.poisoned
    assert caught.value.errno == errno.EIO
    disk.dead = False
    for call in (lambda: bus.stage({"type": "note.c"}), bus.commit):
        with pytest.raises(BusError) as again:
            call()
        assert again.value.poisoned
    assert disk.syncs == 2
    assert bus.durable_seq == 1
    assert notes(bus.replay(0)) == [(1, "note.a")]
    bus.close()
    assert not (tmp_path / "bus" / "CLEAN").exists()
    prove(tmp_path / "bus", [(1, "note.a")], [])


def test_a_sync_that_fails_while_a_write_is_taken_back_poisons(tmp_path):
    """What the file ends with is unknown then."""

    class Full(Disk):
        full = False

        def pwrite(self, fd, data, offset):
            if self.full:
                raise OSError(errno.ENOSPC, "no space left")
            return super().pwrite(fd, data, offset)

        def truncate(self, fd, size):
            raise OSError(errno.EIO, "and now this")

    disk = Full()
    bus = open_bus(tmp_path / "bus", disk=disk)
    disk.full = True
    with pytest.raises(BusError) as caught:
        commit_notes(bus, "note.a")
    assert caught.value.poisoned
    bus.close()


def test_readers_that_are_not_told_make_no_batch_fail(tmp_path):
    """`durable` is a hint: the batch is on the disk, and the failure is counted."""

    class Mute(Disk):
        mute = False

        def pwrite(self, fd, data, offset):
            if self.mute and offset == 0:
                raise OSError(errno.EIO, "no")
            return super().pwrite(fd, data, offset)

    disk = Mute()
    bus = open_bus(tmp_path / "bus", disk=disk)
    disk.mute = True
    commit_notes(bus, "note.a")
    assert (bus.unpublished, bus.durable_seq) == (1, 1)
    bus.close()


def test_a_failed_opening_gives_the_directory_back(tmp_path):
    """Another daemon can take it at once."""
    open_bus(tmp_path / "bus").close()
    with pytest.raises(BusError):
        open_bus(tmp_path / "bus", disk=FaultyDisk(("listdir",), 1, errno.EIO, lasting=False))
    fd = os.open(tmp_path / "bus", os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(fd)


def test_the_order_of_effects(tmp_path):
    """CLEAN away and its folder synced, then one write of the whole batch, then one sync, then `durable`."""
    calls = []

    class Noting(Disk):
        def unlink(self, path):
            calls.append(("unlink", path.name))
            super().unlink(path)

        def fsync_dir(self, path):
            calls.append(("fsync_dir", path.name))
            super().fsync_dir(path)

        def pwrite(self, fd, data, offset):
            calls.append(("pwrite", "durable" if offset == 0 else data.count(10) if isinstance(data, bytes) else 2))
            return super().pwrite(fd, data, offset)

        def fdatasync(self, fd):
            calls.append(("fdatasync", ""))
            super().fdatasync(fd)

    open_bus(tmp_path / "bus").close()
    bus = open_bus(tmp_path / "bus", disk=Noting())
    calls.clear()
    commit_notes(bus, "note.a", "note.b")
    first = [("unlink", "CLEAN"), ("fsync_dir", "bus")]
    batch = [("pwrite", 2), ("fdatasync", ""), ("pwrite", "durable")]
    assert calls == first + batch
    calls.clear()
    commit_notes(bus, "note.c", "note.d")
    assert calls == batch
    bus.close()
