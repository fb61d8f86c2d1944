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
from glink.reconciler.memory import Memory
from tests.rig import AGENTS, START, Rig, Time, step, workflow

TWO = workflow("p", step("a", "one"), step("b", "two", ("a",)))


class FullDisk(Disk):
    """Takes no more bytes while `full`; a sync fails while `broken`."""

    full = broken = False
    taken = 0  # bytes that were read

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        data = super().pread(fd, size, offset)
        self.taken += len(data)
        return data

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


def test_a_batch_that_the_disk_refuses_costs_no_reading_of_what_others_said(tmp_path: Path) -> None:
    """States go back to what is durable by their own checkpoints and events; the next tries read nothing at all."""
    disk = FullDisk()
    rig = Rig(tmp_path / "bus", disk=disk)
    rig.observe(TWO, workflow("q", step("a", "long " * 1_000)))
    rig.settle()
    rig.conductor.saver.offer({name: desk.state for name, desk in rig.desks.items()}, rig.conductor.world)
    rig.conductor.saver.wait()
    for _ in range(100):
        rig.ask("run", "q")
        rig.settle()
    rig.ask("suspend", "p")
    size = sum(file.stat().st_size for file in (tmp_path / "bus" / "events").glob("*.jsonl"))
    disk.full, taken = True, []
    for _ in range(3):
        disk.taken = 0
        with pytest.raises(BusError, match="no space"):
            rig.ask("resume", "p")
        taken.append(disk.taken)
        rig.time.at += 2
    assert 0 < taken[0] < size / 4
    assert taken[1:] == [0, 0]
    disk.full = False
    assert rig.state("p").suspended
    rig.ask("resume", "p")
    assert not rig.state("p").suspended
    assert {name: desk.state.packed() for name, desk in rig.desks.items()} == {
        name: state.packed() for name, state in Memory.read(rig.bus).states.items()
    }
    rig.close()


def test_what_was_seen_while_the_disk_was_full_is_seen_once(tmp_path: Path) -> None:
    """The look is taken in again when there is room, and folded into the world as if for the first time."""
    disk = FullDisk()
    rig = Rig(tmp_path / "bus", disk=disk)
    rig.observe(TWO, revision="one")
    disk.full = True
    rig.observe(TWO, revision="two")
    for _ in range(2):
        rig.time.at += 2
        rig.turn()
    disk.full = False
    rig.time.at += 2
    rig.turn()
    assert rig.conductor.world.revisions == ["one", "two"]
    assert rig.conductor.world.folded() == Memory.read(rig.bus).world.folded()
    rig.settle()
    rig.close()


def test_after_a_reboot_with_a_wrong_clock_a_full_disk_makes_nothing_wait_for_years(tmp_path: Path) -> None:
    """What is read back from the bus is put right as it was at the start."""
    source = workflow("p", step("a", "one", retry={"delay": 60.0, "jitter": False}))
    rig = Rig(tmp_path / "bus")
    rig.observe(source)
    rig.fail(min(rig.hands.jobs))
    rig.turn()
    rig.close()
    disk = FullDisk()
    again = Rig(tmp_path / "bus", disk=disk, time=Time(START - 1e8), rebooted=True)
    again.observe(source)
    disk.full = True
    with pytest.raises(BusError, match="no space"):
        again.ask("suspend", "p")
    disk.full = False
    again.time.at += 61
    again.turn()
    assert again.dispatched() == ["a"]
    again.settle()
    again.close()


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
