"""What must hold at every moment of a day, whatever chance made of it. Each check raises AssertionError."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from glink.answers.questions import answer
from glink.errors import GlinkError
from glink.event import Record
from glink.jsontext import loads
from glink.limits import Limits
from glink.loading.params import check_params
from glink.reconciler.actions import RUNS, Action, Reason
from glink.reconciler.board import Board
from glink.reconciler.conductor import Conductor
from glink.reconciler.desk import Desk
from glink.reconciler.gates import agent_closed, closed_by, closed_to
from glink.reconciler.memory import Memory
from glink.reconciler.plan import plan
from glink.state import ProjectState
from glink.view import View
from tests.rig import Rig

States = Mapping[str, bytes]

_DEEDS = {
    "step.dispatched": "Dispatch", "step.offered": "Dispatch", "step.restored": "Restore", "step.skipped": "Skip",
    "step.held": "Hold", "step.failed": "Fail", "step.parked": "Park", "run.settled": "Settle",
}  # fmt: skip
_TRIED_AGAIN = {Reason.RETRY_DUE, Reason.LOST}


# States.


def states_of(rig: Rig) -> States:
    """What the engine thinks of every project."""
    return {name: desk.state.packed() for name, desk in rig.desks.items()}


def check_states(rig: Rig, *, whole: bool) -> None:
    """What the engine thinks is what its bus says, read with checkpoints; if the log is `whole`, also without."""
    read = Memory.read(rig.bus)
    _compare("with checkpoints", read, rig)
    if whole:
        folded = Memory()
        for record in rig.bus.replay(0):
            folded.fold(record.get("project", ""), (record,), rig.bus.blobs)
        _compare("from nothing", folded, rig)
    assert read.world.packed() == rig.conductor.world.packed(), "what all projects share is not what the bus says"
    for name, desk in rig.desks.items():
        assert not desk.state.ignored, f"{name} ignored {desk.state.ignored}"


def _compare(how: str, read: Memory, rig: Rig) -> None:
    said = {name: state.packed() for name, state in read.states.items()}
    same_states(said, states_of(rig), f"the bus, read {how}, and the engine")


def same_states(some: States, others: States, who: str) -> None:
    """Both think the same of every project."""
    for name in sorted(some.keys() | others.keys()):
        one, other = some.get(name, b"{}"), others.get(name, b"{}")
        assert one == other, f"{who} differ about {name}: {_differing(loads(one), loads(other))}"


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: (one.get(key), other.get(key)) for key in [*one, *other] if one.get(key) != other.get(key)}


# Boards.


def check_boards(rig: Rig) -> None:
    """What the engine thinks of each step, kept up to date little by little, is what it thinks when it begins anew."""
    now = rig.time.at
    for desk in rig.desks.values():
        assert not any("engine cannot go on" in str(one) for one in desk.problems), f"{desk.name}: {desk.problems}"
        board = desk.board
        if board is None:
            continue
        board.refresh(desk.dirty, now)
        desk.dirty = set()
        full = fresh_board(rig, desk)
        full.refresh(None, now)
        kept, anew = _thoughts(board), _thoughts(full)
        assert kept.keys() == anew.keys(), f"{desk.name} has other steps"
        for step, thought in anew.items():
            assert kept[step] == thought, f"{desk.name}/{step} is thought of as {kept[step]}, anew as {thought}"
            is_due = board.decisions[step].due is not None or full.decisions[step].due is None
            assert is_due, f"{desk.name}/{step} forgets when it is due"
        counted = (board.open, board.running, board.unsound, board.unmet)
        assert counted == (full.open, full.running, full.unsound, full.unmet), f"{desk.name} is counted wrongly"


def fresh_board(rig: Rig, desk: Desk) -> Board:
    """A board built from nothing over a copy of the state."""
    assert desk.board is not None
    state = ProjectState.unpacked(desk.state.packed())
    try:
        params = check_params(desk.board.workflow, state.params)
    except GlinkError:
        params = check_params(desk.board.workflow, {})
    return Board(
        desk.board.workflow, state, rig.conductor.world,
        limits=Limits(), surroundings=rig.conductor.books.surroundings, params=params,
    )  # fmt: skip


def _thoughts(board: Board) -> dict[str, Any]:
    """Since when a step waits for a slot may be known more exactly by one that has seen it wait."""
    return {
        name: (
            one.reason, one.status, one.final, one.synced, one.sound, one.answer and one.answer.seq,
            one.wish, one.due if one.wish is None else None, one.detail, type(one.action),
        )
        for name, one in board.decisions.items()
    }  # fmt: skip


class Foretold:
    """Whether each pass does what the plan of the state before it says. `wrong` is the first one that did not."""

    def __init__(self, rig: Rig) -> None:
        self._rig, self._conductor = rig, rig.conductor
        self._planned: Callable[[Desk, Board, float], None] = rig.conductor._plan
        self.wrong = ""
        rig.conductor._plan = self._plan  # type: ignore[method-assign]

    def _plan(self, desk: Desk, board: Board, now: float) -> None:
        made = [_deed(one) for one in plan(fresh_board(self._rig, desk), now=now).actions]
        records = self._conductor.books.present.records
        before = len(records)
        self._planned(desk, board, now)
        done = [(_DEEDS[one["type"]], one.get("step", ""), _reason(one)) for one in records[before:]]
        if self._conductor._is_full:  # the rest comes in the next pass
            made = made[: len(done)]
        if not self.wrong and made != done:
            self.wrong = f"{desk.name}: foretold {made}, done {done}"


def _deed(action: Action) -> tuple[str, str, str]:
    kind = type(action).__name__
    return kind, action.step, str(action.reason) if kind == "Dispatch" else ""


def _reason(record: Record) -> str:
    return str(record["data"]["reason"]) if record["type"] in {"step.dispatched", "step.offered"} else ""


# What was given away.


class Ledger:
    """Listens to what became durable: fences grow, each is answered once, and what is done is not done again.

    `remembers`: no answer is forgotten in this day, so each of them counts for good.
    """

    def __init__(self, *, remembers: bool) -> None:
        self.rig: Rig | None = None
        self._remembers = remembers
        self._offers: dict[int, Mapping[str, Any]] = {}
        self._asked: dict[int, tuple[str, str, str]] = {}
        self._done: dict[tuple[str, str, str], int] = {}
        self._answered: set[int] = set()
        self._last = 0

    def hear(self, records: Sequence[Record]) -> None:
        """These are durable now."""
        for record in records:
            match record["type"]:
                case "step.dispatched":
                    self._given(record, record["data"])
                case "step.offered":
                    self._offers[record["seq"]] = record["data"]
                case "step.claimed":
                    self._given(record, self._offers[record["data"]["offer"]])
                case "step.succeeded" | "step.failed" | "step.cancelled" if record.get("fence"):
                    self._ended(record)
                case "project.deleted":
                    self._done = {what: fence for what, fence in self._done.items() if what[0] != record["project"]}

    def _given(self, record: Record, data: Mapping[str, Any]) -> None:
        fence, reason = record["seq"], data["reason"]
        what = (record["project"], record["step"], data["key"])
        assert fence > self._last, f"fence {fence} comes after {self._last}"
        assert reason in RUNS, f"{what} runs because of {reason}"
        self._last = fence
        self._asked[fence] = what
        if self._remembers and reason not in _TRIED_AGAIN and self._is_reused(*what[:2]):
            done = self._done.get(what)
            assert done is None or done < data.get("floor", 0), f"{what} was done at {done} and runs again: {reason}"

    def _ended(self, record: Record) -> None:
        fence = record["fence"]
        assert fence not in self._answered, f"{fence} is answered twice"
        self._answered.add(fence)
        if record["type"] == "step.succeeded":
            self._done[self._asked[fence]] = fence

    def _is_reused(self, project: str, step: str) -> bool:
        assert self.rig is not None
        workflow = self.rig.desks[project].workflow
        return workflow is not None and step in workflow.steps and workflow.steps[step].reuse


def check_slots(rig: Rig) -> None:
    """Slots are taken by what runs or is being ended, and somebody works at each attempt."""
    conductor, world = rig.conductor, rig.conductor.world
    if not conductor._intake.observed:
        return
    running = [
        (f"{desk.name}/{name}", step)
        for desk in rig.desks.values()
        for name, step in desk.state.steps.items()
        if step.fence
    ]
    taken = Counter(step.agent for _, step in running) + Counter(conductor.books.ending.values())
    assert {agent: count for agent, count in world.by_agent.items() if count} == dict(taken), (
        "slots are counted wrongly"
    )
    assert world.in_flight == sum(taken.values()), "slots are summed up wrongly"
    if conductor._returned:  # answers wait for the disk
        return
    for name, step in running:
        works = conductor.books.leases._leases if step.worker else rig.hands.jobs
        assert step.fence in works, f"nobody works at {name} {step.fence}"


# At rest.


def check_rest(conductor: Conductor, files: Mapping[str, Any], now: float) -> None:
    """Nothing that could go on waits, no run stays open, and the projects are what the files say."""
    assert not conductor.world.in_flight, f"something runs still: {conductor.world.by_agent}"
    for desk in conductor.desks.values():
        if desk.name in files:
            assert desk.workflow is not None, f"{desk.name} has files and no workflow"
            assert desk.workflow.canonical == files[desk.name], f"{desk.name} is not what its files say"
        elif desk.state.generation:
            assert desk.state.orphaned or desk.state.submitted, f"{desk.name} is gone and not orphaned"
        board = desk.board
        if board is not None:
            for step, one in board.decisions.items():
                assert one.wish is None or not is_open(conductor, desk, step, one.wish.agent, now), (
                    f"{desk.name}/{step} waits for nothing: {one}"
                )
            assert board.open or desk.state.run is None, f"run {desk.state.run} of {desk.name} stays open"


def is_open(conductor: Conductor, desk: Desk, step: str, agent: str, now: float) -> bool:
    """Whether neither the project nor the agent keeps a step from being given away."""
    board = desk.board
    assert board is not None
    closed = closed_by(board) or closed_to(board, step) or agent_closed(conductor.world, agent, now)
    return closed is None


def ask_everything(rig: Rig, folder: Path) -> None:
    """Whatever can be asked of every project and step has an answer."""
    conductor = rig.conductor
    desks = {name: desk for name, desk in rig.desks.items() if not desk.state.deleted}
    view = View(
        desks, conductor.world, conductor.world.revision, rig.bus, rig.time, conductor.books.surroundings,
        folder, known=frozenset(desks),
    )  # fmt: skip
    for question in ("projects", "plans"):
        answer(view, question)
    for name, desk in desks.items():
        for question in ("project", "plan", "why"):
            answer(view, question, project=name)
        for step in sorted({*desk.state.steps, *(desk.workflow.steps if desk.workflow else ())}):
            Reason(answer(view, "why", project=name, step=step)["reason"])
