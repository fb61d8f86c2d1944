"""The real conductor over a real bus, with agents whose answers a test scripts: no threads, no clock of the wall.

`Rig` is built anew to play a restart. Every job that is dispatched waits in `jobs` until the test answers it.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from glink import digest
from glink.agents.agent import Adoption
from glink.bus.bus import Bus
from glink.bus.fsio import Disk
from glink.errors import BusCorrupt
from glink.event import Record
from glink.jsontext import canonical
from glink.limits import Limits
from glink.project import Loaded
from glink.reconciler.conductor import Conductor
from glink.reconciler.dispatch import Job
from glink.reconciler.inbox import Inbox, Request, Result
from glink.reconciler.memory import Memory
from glink.roster import AgentSpec, CommandSpec
from glink.watch.source import Observation
from glink.wiring import desks_of, surroundings_of
from glink.workflow import Workflow

START = 1_800_000_000.0


class FullDisk(Disk):
    """Takes nothing while it is `full`."""

    full = False

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "no room")
        return super().pwrite(fd, data, offset)


class Hands:
    """Stands where the dispatcher stands: takes jobs, and keeps them until the test says what became of them.

    `at_once` answers the jobs whose agents only answer; by default nobody does.
    """

    def __init__(self, adoption: Adoption, at_once: Callable[[Job], Result | None]) -> None:
        self.at_once = at_once
        self.jobs: dict[int, Job] = {}
        self.started: list[Job] = []
        self.cancelled: list[int] = []
        self.same_boot: dict[int, bool] = {}
        self.adoption = adoption

    def start(self, job: Job) -> None:
        self.jobs[job.task.fence] = job
        self.started.append(job)

    def adopt(self, job: Job, *, same_boot: bool) -> Adoption:
        self.same_boot[job.task.fence] = same_boot
        if self.adoption in (Adoption.RUNNING, Adoption.FINISHED):
            self.jobs[job.task.fence] = job
        return self.adoption

    def cancel(self, fence: int) -> None:
        self.cancelled.append(fence)

    def forget(self, fence: int) -> None:
        self.jobs.pop(fence, None)

    def let_go(self, *, kill: bool) -> None:
        self.jobs.clear()

    def publish(self, target: Path, artifacts: Mapping[str, str]) -> None:
        pass

    def close(self) -> None:
        pass

    @property
    def in_flight(self) -> int:
        return len(self.jobs)


def outcome(job: Job, output: Any = None, seconds: float = 0.0) -> Result:
    """What an agent's thread makes of an answer (None: the text of the task); an Exception's text is the class of a failure."""
    if isinstance(output, Exception):
        return failed(job, str(output))
    body = job.task.text if output is None else output
    raw = body.encode() if isinstance(body, str) else canonical(body)
    data = {"digest": digest.brief(raw), "output": body, "seconds": seconds}
    return Result(job.task.project, job.task.step, job.task.fence, job.agent, "step.succeeded", data)


def failed(job: Job, cls: str = "transient", code: str = "x", message: str = "it broke", **more: Any) -> Result:
    """The same of a failure."""
    data = {"class": cls, "code": code, "message": message, **more}
    return Result(job.task.project, job.task.step, job.task.fence, job.agent, "step.failed", data)


@dataclass
class Time:
    """A clock that stands still until it is moved."""

    at: float = START

    def now(self) -> float:
        return self.at


AGENTS = {name: AgentSpec(name=name, kind="echo", options={}, profile="p1") for name in ("a", "b")}


@dataclass
class Rig:
    """One engine's life over the bus at `path`."""

    path: Path
    disk: Disk | None = None
    time: Time = field(default_factory=Time)
    agents: Mapping[str, AgentSpec] = field(default_factory=lambda: AGENTS)
    commands: Mapping[str, CommandSpec] = field(default_factory=dict)
    engine: str | None = None
    adoption: Adoption = Adoption.NEVER_STARTED
    at_once: Callable[[Job], Result | None] = lambda job: None
    concurrency: int = 64
    limits: Limits = field(default_factory=Limits)
    saves_when_quiet: bool = False  # which it does in a thread
    rebooted: bool = False

    def __post_init__(self) -> None:
        limits = self.limits if self.saves_when_quiet else self.limits._replace(checkpoint_quiet=inf)
        self.bus = Bus.open(self.path, clock=self.time, limits=limits, disk=self.disk, sync=self.disk is not None)
        memory = Memory.read(self.bus)
        if self.rebooted:
            memory.same_boot = False
            memory.clip(self.time.now())
        world = memory.world
        world.agents, world.commands, world.concurrency = self.agents, self.commands, self.concurrency
        world.engine = self.engine
        self.desks = desks_of(memory)
        self.inbox, self.hands = Inbox(), Hands(self.adoption, self.at_once)
        self.records: list[Record] = []
        self.conductor = Conductor(
            bus=self.bus,
            memory=memory,
            desks=self.desks,
            world=world,
            inbox=self.inbox,
            dispatcher=self.hands,  # type: ignore[arg-type]
            surroundings=surroundings_of(self.bus.blobs.get, self.desks),
            clock=self.time,
            limits=limits,
            out=self.path / "out",
            listeners=[self.records.extend],
        )
        self._last: dict[str, Loaded] = {}

    def observe(self, *workflows: Mapping[str, Any], gone: tuple[str, ...] = (), revision: str = "") -> None:
        """The files say this now: each a canonical workflow (see `glink.workflow`)."""
        self._see(*workflows, gone=gone, revision=revision)
        self.turn()

    def turn_with_request(self, verb: str, *workflows: Mapping[str, Any], **arguments: Any) -> dict[str, Any]:
        """A look at the files and a control verb in one pass, as a verb without a daemon makes it."""
        self._see(*workflows)
        return self.ask(verb, workflows[0]["project"], **arguments)

    def _see(self, *workflows: Mapping[str, Any], gone: tuple[str, ...] = (), revision: str = "") -> None:
        loaded = {}
        for source in workflows:
            raw = canonical(source)
            sha = self.bus.blobs.put(raw)
            workflow = Workflow.of(source, sha)
            loaded[workflow.project] = Loaded(workflow.project, workflow, (), {"x.yaml": sha}, {sha: raw})
        changed = frozenset(loaded)
        self._last = {name: one for name, one in self._last.items() if name not in gone} | loaded
        stamp = (
            revision
            or f"files@sha256:{digest.of_value(sorted(one.workflow.digest for one in self._last.values() if one.workflow))[:16]}"
        )
        self.inbox.put(Observation(stamp, dict(self._last), changed, frozenset(gone)))

    def turn(self) -> None:
        """Passes until nothing more is to be decided without an answer or the clock."""
        self.conductor.turn(0)
        while (self.conductor.books.todo and self.conductor.failure is None) or len(self.inbox):
            self.conductor.turn(0)

    def ask(self, verb: str, project: str, **arguments: Any) -> dict[str, Any]:
        """A control verb; raises its refusal."""
        request = Request(verb=verb, project=project, arguments=arguments, by="test")
        self.inbox.put(request)
        self.turn()
        return request.wait(0)

    def succeed(self, fence: int, output: Any = None, seconds: float = 0.0) -> None:
        """The agent answers; by default with the text it was given."""
        self.inbox.put(outcome(self.hands.jobs.pop(fence), output, seconds))

    def fail(self, fence: int, cls: str = "transient", code: str = "x", message: str = "it broke", **more: Any) -> None:
        """The agent fails."""
        self.inbox.put(failed(self.hands.jobs.pop(fence), cls, code, message, **more))

    def settle(self, answer: Callable[[Job], Any] | None = None, rounds: int = 10_000) -> None:
        """Answer everything, in the order of dispatch, until nothing is in flight; time passes where only that helps.

        `answer(job)` gives the output, an Exception instance fails the attempt with its text as the class.
        """
        for _ in range(rounds):
            self.turn()
            if not self.hands.jobs:
                if not self.conductor._timers:
                    return
                self.time.at = max(self.time.at, self.conductor._timers[0][0])
                continue
            fence = min(self.hands.jobs)
            given = answer(self.hands.jobs[fence]) if answer is not None else None
            self.inbox.put(outcome(self.hands.jobs.pop(fence), given))
        raise AssertionError("it does not settle")

    def state(self, project: str) -> Any:
        return self.desks[project].state

    def reason(self, project: str, step: str) -> str:
        """What the board thinks of a step now."""
        desk = self.desks[project]
        assert desk.board is not None
        desk.board.refresh(desk.dirty or (), self.time.at)
        desk.dirty = set()
        return str(desk.board.decisions[step].reason)

    def dispatched(self, project: str | None = None) -> list[str]:
        """Steps dispatched so far by this rig, in order."""
        return [job.task.step for job in self.hands.started if project in (None, job.task.project)]

    def types(self) -> list[str]:
        """Types of the events written so far by this rig."""
        return [record["type"] for record in self.records]

    def _compare_with_the_bus(self) -> None:
        """What the engine thinks of each project is what its events fold to, where none of them is lost."""
        folded = Memory()
        try:
            for record in self.bus.replay(0):
                if record["type"] == "log.gap":
                    return
                folded.fold(record.get("project", ""), (record,), self.bus.blobs)
        except BusCorrupt:
            return
        assert {name: state.packed() for name, state in folded.states.items()} == {
            name: desk.state.packed() for name, desk in self.desks.items()
        }

    def close(self, *, clean: bool = True) -> None:
        if self.conductor.failure is None and not self.rebooted:  # then the clocks in what failed were turned back
            self._compare_with_the_bus()
        if clean:
            self.conductor.stop()
        else:
            self.bus.close(clean=False)


def workflow(project: str, *steps: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A canonical workflow; a step is given by `step(...)`."""
    return {"v": 1, "project": project, "steps": [dict(one) for one in steps], **more}


def step(name: str, task: str = "do it", after: tuple[str, ...] = (), agent: str = "a", **more: Any) -> dict[str, Any]:
    """A canonical step."""
    return {"id": name, "agent": agent, "task": task, "after": list(after), **more}
