"""The engine over a disk that says no: nothing acknowledged is lost, nothing is dispatched meanwhile, it heals."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from glink.agents import registry
from glink.bus.fsio import Disk
from glink.clock import wait_for
from glink.errors import BusError
from glink.limits import Limits
from glink.reconciler.dispatch import Dispatcher
from glink.reconciler.inbox import Result
from tests.rig import AGENTS, Rig, step, workflow

TWO = workflow("p", step("a", "one"), step("b", "two", ("a",)))


class FullDisk(Disk):
    """Takes no more bytes while `full`; a sync fails while `broken`."""

    full = broken = False

    def pwrite(self, fd: int, data: Any, offset: int) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "no space left on device")
        return super().pwrite(fd, data, offset)

    def write(self, fd: int, data: Any) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "no space left on device")
        return super().write(fd, data)

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


def test_a_long_answer_waits_for_room_where_its_body_goes(tmp_path: Path) -> None:
    """It was paid for, so a full disk does not turn it into a failure; the conductor is not held up by it."""
    disk = FullDisk()
    rig = Rig(tmp_path / "bus", disk=disk)
    rig.observe(workflow("p", step("a", "x" * 20_000)))
    (job,) = rig.hands.jobs.values()
    delivered: list[Result] = []
    dispatcher = Dispatcher(
        agent=lambda name: registry.build(AGENTS["a"], base=tmp_path, limits=Limits()),
        work=tmp_path / "work",
        blobs=rig.bus.blobs,
        limits=Limits(),
        concurrency=1,
        deliver=delivered.append,
    )
    for file in (tmp_path / "bus" / "blobs" / "sha256").rglob("*"):
        if file.is_file():
            file.unlink()  # the prompt is the same text, and a body that is there needs no room
    disk.full = True
    dispatcher.start(job)
    assert dispatcher.in_flight == 1
    assert delivered == []
    disk.full = False
    assert wait_for(lambda: bool(delivered), seconds=20)
    assert delivered[0].type == "step.succeeded"
    assert rig.bus.blobs.get(delivered[0].data["blob"]) == b"x" * 20_000
    dispatcher.close()
    rig.close()


def test_a_checkpoint_that_the_disk_refuses_is_written_by_the_next_offer(tmp_path: Path) -> None:
    """The log is the truth: nothing fails, and nothing is forgotten."""
    disk = FullDisk()
    rig = Rig(tmp_path / "bus", disk=disk)
    rig.observe(TWO)
    rig.settle()
    saver, states = rig.conductor.saver, {name: desk.state for name, desk in rig.desks.items()}
    disk.full = True
    assert saver.offer(states, rig.conductor.world)
    saver.wait()
    assert (saver.failures, saver.saved_seq) == (1, 0)
    disk.full = False
    assert saver.offer(states, rig.conductor.world)
    saver.wait()
    assert saver.saved_seq == rig.bus.manifest_seq == rig.state("p").seq
    assert {one.name for one in rig.bus.checkpoints()} == {"p", ".world"}
    rig.close()
