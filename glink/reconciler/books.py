"""The conductor's books: what it owns (desks, world, log), and what the present pass has come to so far.

Written by the conductor and by those it asks (`intake`, `adoption`), in its one thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glink.bus.bus import Bus
from glink.errors import BodyDamaged, BusCorrupt, BusError, BusRefused, Problem
from glink.event import Record
from glink.fold import fold
from glink.limits import Limits
from glink.reconciler.board import Board, Surroundings
from glink.reconciler.desk import Desk
from glink.reconciler.dispatch import Job
from glink.reconciler.fingerprint import listeners
from glink.reconciler.inbox import Look, Request, Result
from glink.reconciler.jobs import Jobs
from glink.reconciler.leases import Leases
from glink.reconciler.memory import Doubt
from glink.state import ProjectState
from glink.watch.source import Observation
from glink.workflow import Workflow
from glink.world import World, fold_world

_KEPT_AT_REST = 16


@dataclass(slots=True)
class Pass:
    """What one pass gathered and decided, until it is durable."""

    records: list[Record] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    kills: list[int] = field(default_factory=list)
    forgotten: list[int] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    answers: list[Request] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    published: list[tuple[Path, Mapping[str, str]]] = field(default_factory=list)
    seen: list[Observation] = field(default_factory=list)
    opened: bool = False  # a slot or an agent is free, without a result
    stirred: bool = False  # what some wait for may be there: an agent, an answer that can be taken over
    first: bool = False  # the first look at the files


class Books:
    """`todo` names the projects that are to be planned; `present` is the pass under way.

    `ending` holds attempts (fence -> agent) that were cancelled and whose slots are not free yet; `doubt` says whose
    state is not known.
    """

    def __init__(
        self,
        bus: Bus,
        desks: dict[str, Desk],
        world: World,
        *,
        surroundings: Surroundings,
        limits: Limits,
        out: Path,
        doubt: Doubt,
    ) -> None:
        self.bus, self.desks, self.world = bus, desks, world
        self.surroundings, self.limits = surroundings, limits
        self.jobs = Jobs(bus, surroundings, world, limits)
        self.leases = Leases()
        self.ending: dict[int, str] = {}
        self.todo: dict[str, None] = {}
        self.present = Pass()
        self.doubt = doubt
        self._out = out
        self._at_rest: dict[str, Board] = {}
        self._listening: dict[str, set[tuple[str, str]]] = {}

    def must_know(self, project: str) -> None:
        """Raises BusCorrupt for a project whose state is not known."""
        desk = self.desks.get(project)
        if unknown := desk.unknown if desk is not None else self.doubt.of(project):
            raise BusCorrupt(f"the state of {project} is not known: {unknown}")

    def begin(self) -> None:
        """A new pass; nothing of the one that is done is held on to."""
        self.present = Pass()
        self.leases.begin()

    def stage(self, body: dict[str, Any], desk: Desk | None = None) -> Record:
        """Write an event into the pass and fold it, at once: it may be decided on before it is durable."""
        record = self.append(body)
        if desk is not None:
            fold(desk.state, record)
            self.surroundings.note(desk.state)
        elif "project" not in body:
            fold_world(self.world, record)
            if body["type"] == "agent.ready":
                self.present.opened = self.present.stirred = True
        return record

    def append(self, body: dict[str, Any]) -> Record:
        """Write what the states already say, or are made to say by the caller."""
        record = self.bus.stage(body)
        self.present.records.append(record)
        if body.get("project") in self.desks:
            self.present.touched.add(body["project"])
        return record

    def states(self) -> dict[str, ProjectState]:
        """The state of every project."""
        return {name: desk.state for name, desk in self.desks.items()}

    def heard(self, project: str) -> None:
        """A note about the project comes: whoever has a condition on one is to be decided anew."""
        for name, step in sorted(self._listening.get(project, ())):
            if (desk := self.desks.get(name)) is not None:
                self.touch(desk, (step,))

    def touch_all(self) -> None:
        """Everything is to be decided anew."""
        for desk in self.desks.values():
            self.touch(desk, None)

    def touch_waiting(self) -> None:
        """Whoever waits is to be decided anew, where something stirred."""
        if not self.present.stirred:
            return
        self.present.stirred = False
        for desk in self.desks.values():
            if desk.board is not None and desk.board.open:
                self.touch(desk, None)

    def touch(self, desk: Desk, steps: Iterable[str] | None) -> None:
        """Steps of a project (None: all) are to be decided in this pass or the next."""
        desk.touch(steps)
        self.todo[desk.name] = None

    def seat(self, desk: Desk, workflow: Workflow) -> None:
        """A project's workflow, parameters or surroundings are others: everything is to be decided anew."""
        desk.seat(workflow, self.world, self.limits, self.surroundings)
        self.todo[desk.name] = None
        for step, project in listeners(workflow, self.limits):
            self._listening.setdefault(project, set()).add((desk.name, step))

    def end(self, fence: int, agent: str) -> None:
        """An attempt that was cancelled keeps its slot until it is gone; one that was not begun never begins."""
        jobs = self.present.jobs
        if all(job.task.fence != fence for job in jobs):
            self.ending[fence] = agent
            self.present.kills.append(fence)
        else:
            self.present.jobs = [job for job in jobs if job.task.fence != fence]
            self.world.taken(agent, -1)
            self.present.opened = True

    def publish(self, project: str, step: str, files: Mapping[str, str]) -> None:
        """Have an answer's artifacts copied to where people look, once it is durable."""
        self.present.published.append((self._out / project.replace("/", "%2F") / step, files))

    def keep_few(self, name: str, board: Board, *, settled: bool) -> None:
        """Only the last projects to settle keep what nothing but deciding needs; the others make it again when touched."""
        self._at_rest.pop(name, None)
        if settled:
            self._at_rest[name] = board
            if len(self._at_rest) > _KEPT_AT_REST:
                self._at_rest.pop(next(iter(self._at_rest))).forget()

    def isolate(self, project: str, error: Exception) -> None:
        """What went wrong is this project's alone: it stands still and says why until its files change.

        Raises what concerns everybody again.
        """
        if isinstance(error, BusCorrupt):
            if (desk := self.desks.get(project)) is not None:
                desk.unknown = str(error)
                desk.unseat()
        elif isinstance(error, BusError) and not isinstance(error, BusRefused | BodyDamaged):
            raise error
        else:  # a bug too, or a stored workflow that this version cannot read: the others go on
            self._stand_still(project, error)

    def _stand_still(self, project: str, error: Exception) -> None:
        desk = self.desks.get(project)
        if desk is not None:
            what = f"the engine cannot go on with it: {type(error).__name__}: {error}"
            cure = "`glink fsck` names what is damaged" if isinstance(error, BodyDamaged) else "please report this"
            desk.problems = (*desk.problems, Problem(project, 0, 0, "", what, f"{cure}; an edit is tried anew"))
            desk.unseat()

    def restore(self, states: Mapping[str, ProjectState], durable: World) -> None:
        """The pass did not become durable: `states`, of all that it touched, and the world are again as the bus has them."""
        for name, state in states.items():
            desk = self.desks[name]
            if not state.seq:
                self.surroundings.note(state)
                del self.desks[name]
                self.todo.pop(name, None)
                self._at_rest.pop(name, None)
                continue
            desk.state = state
            self.surroundings.note(desk.state)
            wanted = desk.workflow
            if wanted is not None and wanted.digest != desk.state.content:
                wanted = self.surroundings.earlier(desk.state.content) if desk.state.content else None
            if wanted is not None:
                self.seat(desk, wanted)
            else:
                desk.unseat()
        current = {step.fence for desk in self.desks.values() for step in desk.state.steps.values()}
        self.leases.keep(current)
        world = self.world
        world.take(durable.folded())
        world.in_flight, world.by_agent = 0, {}
        for desk in self.desks.values():
            for step in desk.state.steps.values() if not self.doubt.of(desk.name) else ():
                if step.fence:
                    self.ending.pop(step.fence, None)
                    world.taken(step.agent, +1)
        for agent in self.ending.values():
            world.taken(agent, +1)
