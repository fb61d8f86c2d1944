"""Random workflows, edits, failing agents and crashes: the engine converges, and does nothing twice."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glink.bus.fsio import Disk
from glink.limits import Limits
from glink.reconciler.actions import Dispatch, Plan
from glink.reconciler.board import Board
from glink.reconciler.desk import Desk
from glink.reconciler.memory import Memory
from glink.reconciler.plan import plan
from glink.state import ProjectState
from tests.rig import Rig, outcome, step, workflow

MANY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@st.composite
def graphs(draw: st.DrawFn) -> list[tuple[int, ...]]:
    """Steps as lists of parents; parents come earlier."""
    count = draw(st.integers(1, 7))
    return [tuple(sorted(draw(st.sets(st.integers(0, one - 1), max_size=3)))) if one else () for one in range(count)]


@st.composite
def versions(draw: st.DrawFn, graph: list[tuple[int, ...]]) -> dict[str, Any]:
    """One version of a project over a graph: tasks, joins, conditions, contexts and policies vary."""
    steps = []
    for number, parents in enumerate(graph):
        after = tuple(f"s{one}" for one in parents)
        more: dict[str, Any] = {}
        if after:
            more["join"] = draw(st.sampled_from(["all_success", "none_failed", "one_success", "all_done"]))
            more["context"] = draw(st.sampled_from(["auto", "none", "all"]))
            if draw(st.integers(0, 3)) == 0:
                more["when"] = f"steps['{after[0]}'].output | length > {draw(st.integers(3, 8))}"
        if draw(st.integers(0, 4)) == 0:
            more["allow_failure"] = True
        if draw(st.integers(0, 5)) == 0:
            more["reuse"] = False
        if draw(st.integers(0, 5)) == 0:
            more["on_change"] = draw(st.sampled_from(["hold", "keep"]))
        more["retry"] = {"attempts": draw(st.integers(1, 3)), "delay": 1.0}
        named = after and draw(st.booleans())
        task = f"t{draw(st.integers(0, 2))}" + (
            f" {{{{ steps['{after[0]}'].output | default('-') }}}}" if named else ""
        )
        steps.append(step(f"s{number}", task, after, agent=draw(st.sampled_from("ab")), **more))
    return workflow("p", *steps)


@st.composite
def days(draw: st.DrawFn) -> tuple[list[dict[str, Any]], dict[tuple[str, int], str]]:
    """Versions of one project in the order they are committed, and which attempts of which tasks fail."""
    graph = draw(graphs())
    story = draw(st.lists(versions(graph), min_size=1, max_size=4))
    failing = draw(
        st.dictionaries(
            st.tuples(st.sampled_from([f"s{one}" for one in range(len(graph))]), st.integers(1, 3)),
            st.sampled_from(["transient", "agent_failed", "lost", "internal"]),
            max_size=4,
        )
    )
    return story, failing


def answers(failing: dict[tuple[str, int], str]) -> Any:
    """The same question gets the same answer; the listed attempts fail."""

    def answer(job: Any) -> Any:
        cls = failing.get((job.task.step, job.task.attempt))
        return Exception(cls) if cls is not None else f"{job.task.step}:{len(job.task.text) % 5}"

    return answer


def only_b(answer: Any) -> Any:
    """Of the agents a and b, b only answers: it is asked before its dispatch is durable."""

    def at_once(job: Any) -> Any:
        return outcome(job, answer(job)) if job.agent == "b" else None

    return at_once


def fresh_board(rig: Rig, desk: Desk) -> Board:
    """A board built from nothing over a copy of the state."""
    assert desk.board is not None
    state = ProjectState.unpacked(desk.state.packed())
    return Board(
        desk.board.workflow, state, rig.conductor.world,
        limits=Limits(), surroundings=rig.conductor.books.surroundings, params=desk.board.values["params"],
    )  # fmt: skip


def thoughts(board: Board) -> dict[str, Any]:
    return {
        name: (one.reason, one.status, one.final, one.synced, one.sound, one.answer and one.answer.seq, one.wish)
        for name, one in board.decisions.items()
    }


@given(days(), st.booleans())
@MANY
def test_the_incremental_board_equals_one_built_from_nothing_after_every_pass(day: Any, forgets: bool) -> None:
    """Also one that has let go of what a settled project does not need."""
    story, failing = day
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        answer = answers(failing)

        def check(job: Any) -> Any:
            desk = rig.desks["p"]
            assert desk.board is not None
            if forgets:
                desk.board.forget()
            desk.board.refresh(desk.dirty or (), rig.time.at)
            desk.dirty = set()
            full = fresh_board(rig, desk)
            full.refresh(None, rig.time.at)
            assert thoughts(desk.board) == thoughts(full)
            assert (desk.board.open, desk.board.running, desk.board.unsound) == (full.open, full.running, full.unsound)
            assert desk.board.unmet == full.unmet
            return answer(job)

        rig = Rig(Path(folder) / "bus", at_once=only_b(check))
        for version in story:
            rig.observe(version)
            rig.settle(check)
        rig.close()


@given(days())
@MANY
def test_a_pass_does_what_the_plan_of_the_state_before_it_said_reason_for_reason(day: Any) -> None:
    story, failing = day
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        rig = Rig(Path(folder) / "bus", at_once=only_b(answers(failing)))
        wrapped, foretold = rig.conductor._plan, []

        def listening(desk: Desk, board: Board, now: float) -> None:
            """Before the conductor plans with its own board, foretell with one built from nothing."""
            made: Plan = plan(fresh_board(rig, desk), now=now)
            foretold.extend((type(one).__name__, one.step, str(one.reason), _text(one)) for one in made.actions)
            before = len(rig.conductor.books.present.records)
            wrapped(desk, board, now)
            done = [_done(record) for record in rig.conductor.books.present.records[before:]]
            assert [(name, who) for name, who, _, _ in foretold] == [(name, who) for name, who, _ in done]
            assert [why for name, _, why, _ in foretold if name == "Dispatch"] == [
                why for name, _, why in done if name == "Dispatch"
            ]
            foretold.clear()

        rig.conductor._plan = listening  # type: ignore[method-assign]
        for version in story:
            rig.observe(version)
            rig.settle(answers(failing))
        rig.close()


def _text(action: Any) -> str:
    return action.text if isinstance(action, Dispatch) else ""


_NAMES = {
    "step.dispatched": "Dispatch", "step.restored": "Restore", "step.skipped": "Skip", "step.held": "Hold",
    "step.failed": "Fail", "step.parked": "Park", "run.settled": "Settle",
}  # fmt: skip


def _done(record: Any) -> tuple[str, str, str]:
    return _NAMES[record["type"]], record.get("step", ""), record["data"].get("reason", "")


@given(days())
@MANY
def test_a_settled_project_costs_no_event_and_a_restart_costs_it_none_either(day: Any) -> None:
    story, failing = day
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        rig = Rig(Path(folder) / "bus", at_once=only_b(answers(failing)))
        for version in story:
            rig.observe(version, revision="r")
            rig.settle(answers(failing))
        before = len(rig.records)
        rig.observe(story[-1], revision="r")
        rig.conductor.books.touch(rig.desks["p"], None)
        rig.turn()
        assert len(rig.records) == before
        kept = rig.state("p").packed()
        rig.close()
        again = Rig(Path(folder) / "bus", time=rig.time)
        again.observe(story[-1], revision="r")
        assert again.records == []
        assert again.state("p").packed() == kept
        again.close()


class Crash(BaseException):
    """The process is gone."""


class MortalDisk(Disk):
    """A disk under a process that dies at its n-th write or sync; what was written before is what the next one finds."""

    def __init__(self, lives: int) -> None:
        self.lives = lives

    def _count(self) -> None:
        self.lives -= 1
        if self.lives < 0:
            raise Crash

    def pwrite(self, fd: int, data: Any, offset: int) -> int:
        self._count()
        return super().pwrite(fd, data, offset)

    def write(self, fd: int, data: Any) -> int:
        self._count()
        return super().write(fd, data)

    def fdatasync(self, fd: int) -> None:
        self._count()

    def fsync(self, fd: int) -> None:
        self._count()

    def fsync_dir(self, path: Path) -> None:
        self._count()

    def rename(self, source: Path, target: Path) -> None:
        self._count()
        super().rename(source, target)


@given(days(), st.lists(st.integers(0, 120), min_size=1, max_size=6))
@settings(MANY, max_examples=40)
def test_crashes_at_any_durable_write_converge_and_no_durable_success_runs_twice(day: Any, lives: list[int]) -> None:
    """After the last crash everything settles as if there had been none; parents always came first."""
    story, failing = day
    for version in story:
        for one in version["steps"]:
            one.pop("reuse", None)  # a step without reuse may run again when a version comes back
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        path = Path(folder) / "bus"
        for life in [*lives, 1_000_000]:
            rig = None
            try:
                rig = Rig(path, disk=MortalDisk(life), at_once=only_b(answers(failing)))
                for version in story:
                    rig.observe(version)
                    rig.settle(answers(failing))
                rig.close()
            except Crash:
                if rig is not None:
                    rig.bus._disk = Disk()
                    _abandon(rig)
        _check_history(path)


def _abandon(rig: Rig) -> None:
    """What the kernel does for a dead process: its descriptors are closed, its lock is gone."""
    import os

    for fd in (rig.bus._lock, rig.bus._log._fd, rig.bus._log._durable_fd):
        if fd is not None:
            try:
                os.close(fd)
            except OSError:
                continue


def _check_history(path: Path) -> None:
    """Read the bus as it is: no success twice under one key and floor, no step before its parents."""
    from glink.bus.reader import BusReader

    reader = BusReader(path, limits=Limits())
    succeeded: set[tuple[str, str, int]] = set()
    flying: dict[int, tuple[str, str, int]] = {}
    for record in reader.replay(0):
        data = record.get("data", {})
        if record["type"] == "step.dispatched":
            what = (record["step"], data["key"], data.get("floor", 0))
            assert what not in succeeded, f"{what} ran again although its success was durable"
            flying[record["seq"]] = what
        elif record["type"] == "step.succeeded":
            succeeded.add(flying[record["fence"]])
    memory = Memory.read(reader)
    state = memory.states["p"]
    assert state.run is None
    assert not any(one.fence for one in state.steps.values())
