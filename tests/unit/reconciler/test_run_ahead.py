"""Agents that only answer are asked before the sync: many steps share one batch, and nobody waits for them."""

from __future__ import annotations

import errno
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from glink.agents.agent import Adoption, Control, Outcome, Task
from glink.bus.blobs import Blobs
from glink.bus.fsio import Disk
from glink.bus.mask import Mask
from glink.limits import Limits
from glink.reconciler.dispatch import Dispatcher, Job
from glink.reconciler.inbox import Request, Result
from glink.roster import AgentSpec
from glink.workflow import Output
from tests.rig import FullDisk, Rig, outcome, step, workflow

BATCH = 66  # 64 records, and the two of the step that reached them


def only_answers(job: Job) -> Result | None:
    """Agent a only answers; b is one like any other."""
    return outcome(job) if job.agent == "a" else None


def chain(length: int, **more: Any) -> dict[str, Any]:
    return workflow("p", *(step(f"s{n}", f"s{n}", (f"s{n - 1}",) if n else ()) for n in range(length)), **more)


def batches(rig: Rig) -> list[int]:
    """How many records each batch since the first look has."""
    return [len(list(group)) for _, group in groupby(rig.records, key=lambda record: record["b"])]


def test_a_chain_of_them_is_one_batch(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus", at_once=only_answers)
    rig.observe(chain(10))
    assert batches(rig) == [len(rig.records)]
    assert rig.types().count("step.succeeded") == 10
    assert (rig.types()[-1], rig.dispatched(), rig.conductor.world.in_flight) == ("run.settled", [], 0)


def test_a_long_chain_becomes_durable_bit_by_bit(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus", at_once=only_answers)
    rig.observe(chain(200))
    rig.settle()
    assert rig.types().count("step.succeeded") == 200
    assert max(batches(rig)) <= BATCH
    assert len(batches(rig)) <= 200 * 2 // 32


def test_whoever_asks_meanwhile_is_heard_at_the_next_step(tmp_path: Path) -> None:
    asked: list[str] = []
    request = Request(verb="suspend", project="p")

    def interrupted(job: Job) -> Result | None:
        asked.append(job.task.step)
        if len(asked) == 3:
            rig.inbox.put(request)
        return only_answers(job)

    rig = Rig(tmp_path / "bus", at_once=interrupted)
    rig.observe(chain(10))
    request.wait(0)
    assert asked == ["s0", "s1", "s2"]
    assert rig.dispatched() == ["s3"]  # decided before the request, as it would have been without any hurry
    assert rig.reason("p", "s4") == "waiting_for"


def test_an_agent_with_effects_does_not_wait_for_them(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus", at_once=only_answers)
    rig.observe(workflow("p", *chain(10)["steps"], step("r", "run", agent="b")))
    assert rig.dispatched()[0] == "r"
    before = batches(rig)[0]
    assert before < 10, "its dispatch was durable, and it began, before the chain went on"


def test_an_answer_to_what_the_disk_did_not_take_was_never_given(tmp_path: Path) -> None:
    disk = FullDisk()
    rig = Rig(tmp_path / "bus", disk=disk, at_once=only_answers)
    disk.full = True
    rig.observe(chain(3))
    assert rig.conductor.failure is not None
    assert rig.records == []
    disk.full = False
    rig.time.at += 2
    rig.turn()
    kinds = rig.types()
    assert (kinds.count("step.dispatched"), kinds.count("step.succeeded"), kinds.count("step.stale")) == (3, 3, 0)
    assert (kinds[-1], rig.conductor.world.in_flight) == ("run.settled", 0)


class Talker:
    free, adoptable, foldered = True, False, False

    def __init__(self, *, instant: bool, run: Callable[[], Outcome] = lambda: Outcome(output="hello")) -> None:
        self.instant, self._run, self.asked = instant, run, 0

    def run(self, task: Task, control: Control) -> Outcome:
        self.asked += 1
        return self._run()

    def examine(self, folder: Path, *, same_boot: bool) -> Adoption:
        return Adoption.LOST

    def adopt(self, task: Task, control: Control) -> Outcome:
        raise AssertionError


def dispatcher(path: Path, agent: Talker, disk: Disk | None = None) -> Dispatcher:
    (path / "blobs").mkdir()
    return Dispatcher(
        agent=lambda name: agent, work=path / "work", blobs=Blobs(disk or Disk(), path / "blobs", Mask(())),
        limits=Limits(), concurrency=1, deliver=lambda result: None,
    )  # fmt: skip


def job(**more: Any) -> Job:
    return Job(Task(project="p", step="s", run=1, attempt=1, fence=7, key="k", agent="a", text="t"), "a", **more)


def test_only_one_that_only_answers_is_asked(tmp_path: Path) -> None:
    agent = Talker(instant=False)
    assert (dispatcher(tmp_path, agent).at_once(job()), agent.asked) == (None, 0)


@pytest.mark.parametrize(
    "more", [{"artifacts": ("*.txt",)}, {"inputs": {"a": "0" * 64}}, {"output": Output(format="json")}]
)
def test_none_is_asked_whose_answer_needs_a_folder_or_a_check(tmp_path: Path, more: dict[str, Any]) -> None:
    agent = Talker(instant=True)
    assert (dispatcher(tmp_path, agent).at_once(job(**more)), agent.asked) == (None, 0)


def test_its_answer_and_its_failure_are_results(tmp_path: Path) -> None:
    result = dispatcher(tmp_path, Talker(instant=True)).at_once(job())
    assert result is not None
    assert (result.type, result.fence, result.data["output"]) == ("step.succeeded", 7, "hello")


def test_a_kind_that_raises_has_failed(tmp_path: Path) -> None:
    result = dispatcher(tmp_path, Talker(instant=True, run=lambda: 1 // 0)).at_once(job())  # type: ignore[arg-type,return-value]
    assert result is not None
    assert (result.type, result.data["class"], result.data["code"]) == ("step.failed", "internal", "ZeroDivisionError")


def test_an_answer_that_finds_no_room_is_left_to_the_start(tmp_path: Path) -> None:
    class Full(Disk):
        def write(self, fd: int, data: Any) -> int:
            raise OSError(errno.ENOSPC, "no")

    agent = Talker(instant=True, run=lambda: Outcome(output="x" * 100_000))
    assert dispatcher(tmp_path, agent, Full()).at_once(job()) is None


def test_a_kind_that_cannot_be_set_up_is_left_to_the_start(tmp_path: Path) -> None:
    one = dispatcher(tmp_path, Talker(instant=True))
    one._agent = lambda name: AgentSpec(name=name, kind="none")  # type: ignore[assignment,return-value]
    assert one.at_once(job()) is None


@pytest.mark.parametrize(
    "answer",
    [None, "text", Outcome(output=object()), Outcome(output="x", seconds="3")],  # type: ignore[arg-type]
)
def test_a_kind_that_answers_with_what_is_no_outcome_has_failed(tmp_path: Path, answer: Any) -> None:
    results: list[Result] = []
    one = dispatcher(tmp_path, Talker(instant=True, run=lambda: answer))
    one._deliver = results.append
    ahead = one.at_once(job())
    assert ahead is None or ahead.type == "step.failed"
    one.start(job())
    assert [(result.type, result.data["class"]) for result in results] == [("step.failed", "internal")]
