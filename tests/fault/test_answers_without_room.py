"""An answer that was paid for waits until the disk takes its body; nothing asks the agent again meanwhile."""

from __future__ import annotations

import errno
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from typing import Any

import pytest

from glink.agents.agent import Adoption, Control, Outcome, Task
from glink.bus.blobs import Blobs
from glink.bus.fsio import Disk
from glink.bus.mask import Mask
from glink.limits import Limits
from glink.reconciler.dispatch import Dispatcher, Job
from glink.reconciler.inbox import Result

LONG = "x" * 20_000


class Room(Disk):
    """Refuses every write with `number`, until it is None; `refused` is set at the first."""

    def __init__(self, number: int | None = errno.ENOSPC) -> None:
        self.number, self.refused = number, Event()

    def write(self, fd: int, data: Any) -> int:
        if self.number is not None:
            self.refused.set()
            raise OSError(self.number, "no")
        return super().write(fd, data)


class Talker:
    """Answers at length, once for each time that it is asked."""

    free = foldered = True

    def __init__(self, *, instant: bool, adoptable: bool) -> None:
        self.instant, self.adoptable, self.asked = instant, adoptable, 0

    def run(self, task: Task, control: Control) -> Outcome:
        self.asked += 1
        return Outcome(output=LONG)

    def examine(self, folder: Path, *, same_boot: bool) -> Adoption:
        return Adoption.LOST

    def adopt(self, task: Task, control: Control) -> Outcome:
        return Outcome(output=LONG)


class Stage:
    def __init__(self, path: Path, disk: Room, agent: Talker) -> None:
        self.results: SimpleQueue[Result] = SimpleQueue()
        self.blobs = Blobs(disk, path / "blobs", Mask(()))
        (path / "blobs").mkdir()
        self.dispatcher = Dispatcher(
            agent=lambda name: agent, work=path / "work", blobs=self.blobs, limits=Limits(), concurrency=2,
            deliver=self.results.put,
        )  # fmt: skip
        task = Task(project="p", step="s", run=1, attempt=1, fence=7, key="k", agent="a", text="t")
        self.dispatcher.start(Job(task, "a"))


@pytest.fixture(params=[True, False], ids=["instant", "in a thread"])
def agent(request: pytest.FixtureRequest) -> Talker:
    return Talker(instant=request.param, adoptable=True)


def test_an_answer_waits_for_room_and_is_asked_for_once(tmp_path: Path, agent: Talker) -> None:
    disk = Room()
    stage = Stage(tmp_path, disk, agent)
    assert disk.refused.wait(10)
    assert stage.results.empty()
    disk.number = None
    result = stage.results.get(timeout=30)
    assert (result.type, stage.blobs.get(result.data["blob"]).decode(), agent.asked) == ("step.succeeded", LONG, 1)
    stage.dispatcher.close()


def test_an_engine_that_goes_meanwhile_leaves_an_attempt_that_outlives_it_to_the_next(
    tmp_path: Path, agent: Talker
) -> None:
    disk = Room()
    stage = Stage(tmp_path, disk, agent)
    assert disk.refused.wait(10)
    stage.dispatcher.let_go(kill=False)
    stage.dispatcher.close()
    assert (stage.results.empty(), stage.dispatcher.in_flight) == (True, 0)


def test_one_that_ends_with_its_engine_is_drained_and_uses_no_attempt(tmp_path: Path) -> None:
    disk = Room()
    stage = Stage(tmp_path, disk, Talker(instant=False, adoptable=False))
    assert disk.refused.wait(10)
    stage.dispatcher.let_go(kill=False)
    result = stage.results.get(timeout=30)
    assert (result.data["class"], result.data["code"]) == ("cancelled", "drained")
    stage.dispatcher.close()


def test_what_more_room_cannot_mend_is_said_at_once(tmp_path: Path, agent: Talker) -> None:
    stage = Stage(tmp_path, Room(errno.EPERM), agent)
    result = stage.results.get(timeout=30)
    assert (result.type, result.data["class"], result.data["code"]) == ("step.failed", "internal", "BusError")
    stage.dispatcher.close()
