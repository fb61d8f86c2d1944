"""The engine over a disk that says no: nothing acknowledged is lost, nothing is dispatched meanwhile, it heals."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from glink.bus.fsio import Disk
from glink.errors import BusError
from tests.rig import Rig, step, workflow

TWO = workflow("p", step("a", "one"), step("b", "two", ("a",)))


class FullDisk(Disk):
    """Takes no more bytes while `full`; a sync fails while `broken`."""

    full = broken = False

    def pwrite(self, fd: int, data: Any, offset: int) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "no space left on device")
        return super().pwrite(fd, data, offset)

    def fdatasync(self, fd: int) -> None:
        if self.broken:
            raise OSError(errno.EIO, "input/output error")


def test_an_outcome_waits_until_the_disk_takes_it(tmp_path: Path) -> None:
    """The answer was paid for: it is kept in memory, and recorded when there is room again."""
    disk = FullDisk()
    rig = Rig(tmp_path / "bus", disk=disk)
    rig.observe(TWO)
    disk.full = True
    rig.succeed(min(rig.hands.jobs), "paid")
    rig.turn()
    assert rig.conductor.failure is not None
    assert rig.dispatched() == ["a"]
    disk.full = False
    rig.time.at += 2
    rig.conductor.turn(0)
    rig.settle()
    assert rig.dispatched() == ["a", "b"]
    assert rig.state("p").steps["a"].answer.output == "paid"
    assert rig.state("p").settled.status == "succeeded"
    rig.close()


def test_a_request_that_the_disk_refused_is_told_so(tmp_path: Path) -> None:
    """No acknowledgement without the sync."""
    disk = FullDisk()
    rig = Rig(tmp_path / "bus", disk=disk)
    rig.observe(TWO)
    rig.settle()
    disk.full = True
    with pytest.raises(BusError, match="no space"):
        rig.ask("suspend", "p")
    disk.full = False
    assert not rig.state("p").suspended
    rig.time.at += 2
    rig.ask("suspend", "p")
    assert rig.state("p").suspended
    rig.close()


def test_a_failed_sync_ends_the_engine_and_is_never_tried_again(tmp_path: Path) -> None:
    """After it nobody knows what the disk holds; nothing was dispatched on the strength of it."""
    disk = FullDisk()
    rig = Rig(tmp_path / "bus", disk=disk)
    disk.broken = True
    with pytest.raises(BusError, match="a sync failed"):
        rig.observe(TWO)
    assert rig.dispatched() == []
    rig.bus.close(clean=False)


@pytest.mark.parametrize("replaced", [False, True])
def test_a_bus_that_was_removed_is_not_written_on(tmp_path: Path, replaced: bool) -> None:
    """Whoever asks hears it, and the engine ends: what is written into a folder without a name is lost."""
    rig = Rig(tmp_path / "bus")
    rig.observe(TWO)
    (tmp_path / "bus").rename(tmp_path / "gone")
    if replaced:
        (tmp_path / "bus").mkdir()
    with pytest.raises(BusError, match="was removed or replaced while it was in use") as caught:
        rig.ask("suspend", "p")
    assert caught.value.poisoned
    rig.hands.jobs.clear()
