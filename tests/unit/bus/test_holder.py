"""One daemon at a time, and the second one learns who has it."""

import os
import subprocess
import sys

import pytest

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


def test_lock_is_written_again_when_it_is_gone_and_left_alone_else(tmp_path):
    """So `announce` may be called at every tick."""
    bus = open_bus(tmp_path / "bus")
    lock = tmp_path / "bus" / "LOCK"
    bus.announce(url="http://127.0.0.1:1")
    first = lock.stat().st_mtime_ns
    bus.announce(url="http://127.0.0.1:1")
    assert lock.stat().st_mtime_ns == first
    lock.unlink()
    bus.announce(url="http://127.0.0.1:1")
    reader = BusReader(tmp_path / "bus", limits=Limits())
    assert (reader.holder().pid, reader.holder().url) == (os.getpid(), "http://127.0.0.1:1")
    bus.close()
    assert not lock.exists()


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
