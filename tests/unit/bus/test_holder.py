"""One daemon at a time, and the second one learns who has it."""

import errno
import os
import subprocess
import sys

import pytest

from glink.bus.fsio import Disk
from glink.bus.reader import BusReader
from glink.errors import BusHeld
from glink.limits import Limits
from tests.unit.bus.buses import commit_notes, open_bus

HOLD = """
import sys
from pathlib import Path
from glink.bus.bus import Bus
from glink.clock import SystemClock
from glink.limits import Limits
bus = Bus.open(Path(sys.argv[1]), clock=SystemClock(), limits=Limits())
bus.announce(url="http://127.0.0.1:8421")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def daemon(tmp_path):
    """Another process that holds the bus until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "bus")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_second_one_is_told_pid_and_url_of_the_first(daemon, tmp_path):
    """By LOCK."""
    with pytest.raises(BusHeld) as caught:
        open_bus(tmp_path / "bus")
    expected = f"{tmp_path}/bus is held by pid {daemon.pid} at http://127.0.0.1:8421; one daemon at a time can use it"
    assert str(caught.value) == expected
    assert caught.value.exit_code == 75


@pytest.mark.parametrize("lock", [None, "", "[]", '{"pid":1,"url":"http://stale"}'])
def test_without_a_true_lock_file_the_kernel_knows_the_pid(daemon, tmp_path, lock):
    """LOCK unlinked, damaged, or of another process: the lock itself is on the directory."""
    (tmp_path / "bus" / "LOCK").unlink()
    if lock is not None:
        (tmp_path / "bus" / "LOCK").write_text(lock)
    with pytest.raises(BusHeld, match=f"is held by pid {daemon.pid};"):
        open_bus(tmp_path / "bus")


def test_a_killed_holder_holds_nothing(daemon, tmp_path):
    """Its LOCK may still lie there."""
    daemon.kill()
    daemon.wait()
    reader = BusReader(tmp_path / "bus", limits=Limits())
    assert not reader.held
    assert reader.holder() is None
    open_bus(tmp_path / "bus").close()


class CountingDisk(Disk):
    """Counts what is asked of it by name, and takes no writing while `full`."""

    full = False

    def __init__(self):
        self.calls = []

    def stat(self, path):
        self.calls.append("stat")
        return super().stat(path)

    def open(self, path, flags):
        self.calls.append("open")
        return super().open(path, flags)

    def write(self, fd, data):
        if self.full:
            raise OSError(errno.ENOSPC, "no space left on device")
        return super().write(fd, data)


URL = "http://127.0.0.1:1"
HURTS = {
    "unlinked": lambda lock: lock.unlink(),
    "emptied": lambda lock: lock.write_bytes(b""),
    "overwritten": lambda lock: lock.write_text('{"pid":1,"url":"http://elsewhere"}'),
    "replaced": lambda lock: lock.with_name("x").write_text("{}") and lock.with_name("x").rename(lock),
    "replaced by a pipe": lambda lock: lock.unlink() or os.mkfifo(lock),
    "replaced by a link": lambda lock: lock.unlink() or lock.symlink_to("/dev/null"),
}


@pytest.mark.parametrize("hurt", HURTS)
def test_lock_is_written_again_when_it_is_not_what_was_written(tmp_path, hurt):
    """So that the next one who finds the bus held is told whom to ask."""
    bus = open_bus(tmp_path / "bus")
    lock = tmp_path / "bus" / "LOCK"
    bus.announce(url=URL)
    HURTS[hurt](lock)
    bus.announce(url=URL)
    assert lock.is_file()
    holder = BusReader(tmp_path / "bus", limits=Limits()).holder()
    assert (holder.pid, holder.url) == (os.getpid(), URL)
    bus.close()
    assert not lock.exists()
    bus.announce(url=URL)
    assert not lock.exists()


def test_looking_after_lock_costs_one_stat(tmp_path):
    """So it may be done at every look at the files."""
    disk = CountingDisk()
    bus = open_bus(tmp_path / "bus", disk=disk)
    bus.announce(url=URL)
    disk.calls.clear()
    bus.announce(url=URL)
    assert disk.calls == ["stat"]
    bus.close()


def test_a_disk_that_does_not_take_lock_stops_nobody(tmp_path):
    """It is counted, and written when there is room."""
    disk = CountingDisk()
    bus = open_bus(tmp_path / "bus", disk=disk)
    disk.full = True
    bus.announce(url=URL)
    assert bus.unpublished == 1
    disk.full = False
    bus.announce(url=URL)
    assert (tmp_path / "bus" / "LOCK").exists()
    assert bus.unpublished == 1
    bus.close()


def test_looking_whether_the_bus_is_held_does_not_keep_a_daemon_out(tmp_path):
    """A reader may look at any moment, also while a daemon starts."""
    open_bus(tmp_path / "bus").close()
    reader = BusReader(tmp_path / "bus", limits=Limits())
    for _ in range(20):
        assert not reader.held
        bus = open_bus(tmp_path / "bus")
        commit_notes(bus, "note.a")
        assert reader.held
        bus.close()
