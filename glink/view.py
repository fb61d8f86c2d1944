"""All that the bus and the files say at one moment, without effects: what reading verbs and the API answer from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from glink.bus.holder import Holder
from glink.bus.reader import BusReader
from glink.clock import Clock, SystemClock
from glink.config import Config
from glink.errors import NoState, NotThere
from glink.event import Record
from glink.project import Loaded, find_projects
from glink.reconciler.board import Surroundings
from glink.reconciler.desk import Desk
from glink.reconciler.memory import Doubt, Memory
from glink.state import ProjectState
from glink.watch.git import Commit, Git
from glink.wiring import chosen, desks_of, enroll, resume_clock, source_of, surroundings_of, unknown_project
from glink.world import World

Commits = Callable[[str, Sequence[str]], Commit | None]


class Past(Protocol):
    """What a bus and a reader of one have in common for looking back."""

    def read(self, seq: int) -> Record | None: ...
    def replay(self, after: int, *, project: str | None = None) -> Iterable[Record]: ...


@dataclass
class View:
    """One moment. `past` is None where there is no bus; `loaded` what the files say; `work` the attempts' folder.

    `seq` is the last record, `readable` the one after which all can be read.
    `desks` holds the chosen projects, `known` the names of all there are, `recorded` what an engine has seen of each.
    `commits(revision, paths)` asks git which commit brought a revision to these paths.
    """

    desks: dict[str, Desk]
    world: World
    revision: str
    past: Past | None
    clock: Clock
    surroundings: Surroundings
    work: Path
    loaded: Mapping[str, Loaded] = field(default_factory=dict)
    known: frozenset[str] = frozenset()
    holder: Holder | None = None
    seq: int = 0
    readable: int = 0
    recorded: dict[str, str] = field(default_factory=dict)
    commits: Commits = lambda revision, paths: None

    def desk(self, project: str) -> Desk:
        """The desk of a project; raises NotThere."""
        desk = self.desks.get(project)
        if desk is None or desk.state.deleted:
            raise NotThere(unknown_project(project, self.known))
        return desk

    def bodies(self, sha: str) -> bytes:
        """A body on the bus; KeyError when it is not there."""
        return self.surroundings.bodies(sha)

    def unseen(self, project: str) -> bool:
        """Whether the files say what no engine has recorded yet."""
        loaded = self.loaded.get(project)
        workflow = loaded.workflow if loaded is not None else None
        return workflow is not None and workflow.digest != self.recorded.get(project, workflow.digest)

    @classmethod
    def take(cls, config: Config, names: Sequence[str] = (), *, need_bus: bool = False) -> View:
        """Read the files and, where there is one, the bus; NoState when there is none and `need_bus`."""
        selects = chosen(names)
        reader = _reader(config, need_bus=need_bus)
        memory = Memory.read(reader) if reader is not None else Memory()
        world, clock = memory.world, SystemClock()
        resume_clock(clock, world)
        enroll(world, config)
        everyone = desks_of(memory)
        for agent in (step.agent for state in memory.states.values() for step in state.steps.values() if step.fence):
            world.taken(agent, +1)
        surroundings = surroundings_of(_no_bodies if reader is None else reader.blobs.get, everyone)
        seen = source_of(config, clock, selects, deliver=lambda seen: None, watch=False).scan()
        world.revision = seen.revision
        desks = {name: desk for name, desk in everyone.items() if selects(name) and not desk.state.deleted}
        view = cls(desks, world, seen.revision, reader, clock, surroundings, config.work_dir, seen.projects)
        view.seq, view.readable = memory.seq, memory.doubt.end
        view.commits = Git(config.projects_dir, config.limits).commit
        view.holder = reader.holder() if reader is not None else None
        view._seat_files(config, memory.doubt)
        for name, desk in desks.items():
            if name not in seen.projects:
                view._seat_submitted(desk, config)
        view.known = frozenset(view.desks) | (
            frozenset(find_projects(config.projects_dir, config.limits)[0]) if names else frozenset()
        )
        for name in names:
            view.desk(name)
        return view

    @classmethod
    def at(cls, config: Config, names: Sequence[str] = (), *, seq: int | None = None, time: str | None = None) -> View:
        """What was known after a record, or at a time (as on the bus); the workflows are those that were in force then.

        Raises NoState for a moment that is not, or not any more, on the bus.
        """
        reader = BusReader(config.bus_dir, limits=config.limits)
        memory = Memory.until(reader, seq=seq, time=time)
        first = reader.first_seq
        if memory.seq < first or (first > 1 and not _is_carried(reader, first, memory.seq)):
            raise NoState(f"the bus begins at record {first}, and not all of that moment is known from there")
        world, clock = memory.world, SystemClock()
        enroll(world, config)
        desks = {name: Desk(name, state) for name, state in memory.states.items() if chosen(names)(name)}
        surroundings = surroundings_of(reader.blobs.get, desks)
        for desk in desks.values():
            workflow = surroundings.earlier(desk.state.content) if desk.state.content else None
            if workflow is not None and not desk.state.orphaned:
                desk.seat(workflow, world, config.limits, surroundings)
        view = cls(desks, world, world.revision, reader, clock, surroundings, config.work_dir, seq=memory.seq)
        view.known = frozenset(memory.states)
        for name in names:
            view.desk(name)
        return view

    def _seat_files(self, config: Config, doubt: Doubt) -> None:
        for name, loaded in self.loaded.items():
            desk = self.desks.setdefault(name, Desk(name, ProjectState(name), unknown=doubt.of(name)))
            desk.problems = loaded.problems
            if desk.unknown:
                continue
            workflow = loaded.workflow or self.surroundings.earlier(desk.state.content)
            if workflow is None:
                if desk.state.content:
                    desk.lacks_workflow()
                continue
            self.recorded[name] = desk.state.content
            if workflow.digest != desk.state.content:
                # As it will be once the engine has seen it: that is what a plan is about.
                desk.state.generation += 1
                desk.state.content, desk.state.revision = workflow.digest, self.revision
                desk.state.revisions[str(desk.state.generation)] = self.revision
            desk.state.orphaned = False
            self.surroundings.note(desk.state)
            desk.seat(workflow, self.world, config.limits, self.surroundings)

    def _seat_submitted(self, desk: Desk, config: Config) -> None:
        if desk.unknown:
            return
        if not desk.state.submitted:
            desk.state.orphaned = True
            self.surroundings.note(desk.state)
            return
        workflow = self.surroundings.earlier(desk.state.content)
        if workflow is not None:
            desk.seat(workflow, self.world, config.limits, self.surroundings)
        else:
            desk.lacks_workflow()


def _is_carried(reader: BusReader, first: int, seq: int) -> bool:
    """Whether the trim that made the bus begin at `first` had carried everything by then."""
    through = {
        record["data"]["through"] + 1: record["seq"]
        for record in reader.replay(0, project="")
        if record["type"] == "log.trimmed"
    }
    return seq >= through.get(first, 0)


def _reader(config: Config, *, need_bus: bool) -> BusReader | None:
    try:
        return BusReader(config.bus_dir, limits=config.limits)
    except NoState:
        if need_bus:
            raise
        return None


def _no_bodies(sha: str) -> bytes:
    raise KeyError(sha)
