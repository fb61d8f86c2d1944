"""The composition root: the one place where the parts are put together.

`Engine` is a conductor with everything around it, holding the bus. `View` is the same knowledge without effects: what
reading verbs use, beside a daemon or without one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from threading import Thread
from typing import Any

from glink.agents.agent import Agent
from glink.bus.bus import Bus
from glink.bus.reader import BusReader
from glink.channel import Channel
from glink.clock import SystemClock, seconds_of
from glink.config import Config
from glink.errors import BusError, NoState, Problem, UsageError
from glink.event import Record
from glink.jsontext import loads
from glink.project import Loaded, find_projects, load_project
from glink.reconciler.board import Surroundings
from glink.reconciler.conductor import Conductor, Stop
from glink.reconciler.desk import Desk
from glink.reconciler.dispatch import Dispatcher
from glink.reconciler.inbox import Inbox, Request
from glink.reconciler.memory import Memory
from glink.state import Answer, ProjectState
from glink.watch.source import Observation, Source
from glink.workflow import Workflow
from glink.world import World

Bodies = Callable[[str], bytes]
Chosen = Callable[[str], bool]


def chosen(names: Sequence[str]) -> Chosen:
    """A choice of projects by name; all for none."""
    wanted = frozenset(names)
    return (lambda name: name in wanted) if wanted else (lambda name: True)


def _finder(config: Config, selects: Chosen) -> Callable[[], tuple[dict[str, Path], dict[str, list[Problem]]]]:
    def find() -> tuple[dict[str, Path], dict[str, list[Problem]]]:
        files, problems = find_projects(config.projects_dir, config.limits)
        return (
            {name: file for name, file in files.items() if selects(name)},
            {name: found for name, found in problems.items() if selects(name)},
        )

    return find


def _source(config: Config, clock: SystemClock, selects: Chosen, **more: Any) -> Source:
    def load(name: str, file: Path) -> Loaded:
        return load_project(name, file, config.projects_dir, limits=config.limits, config=config)

    return Source(
        config.projects_dir, limits=config.limits, load=load, find=_finder(config, selects), clock=clock, **more
    )


def surroundings_of(bodies: Bodies, desks: Mapping[str, Desk]) -> Surroundings:
    """The lookups that a board needs, over the bodies on the bus and all the desks there are."""

    @lru_cache(maxsize=64)
    def earlier(content: str) -> Workflow | None:
        try:
            return Workflow.of(loads(bodies(content)), content)
        except KeyError:
            return None

    def notes(project: str, kind: str) -> list[dict[str, Any]]:
        desk = desks.get(project)
        return desk.state.notes.get(kind, []) if desk is not None else []

    def vanished(key: str) -> tuple[str, Answer] | None:
        for name, desk in desks.items():
            if desk.state.orphaned:
                for step, past in desk.state.steps.items():
                    if (answer := past.answers.get(key)) is not None:
                        return f"{name}/{step}", answer
        return None

    return Surroundings(bodies, notes, earlier, vanished)


def _roster(world: World, config: Config) -> None:
    world.agents, world.commands = config.agents, config.commands
    world.undeclared, world.engine, world.concurrency = config.undeclared_agents, config.engine, config.concurrency


@dataclass
class View:
    """All that the bus and the files say, at one moment; nothing is held and nothing is changed."""

    desks: dict[str, Desk]
    world: World
    observation: Observation
    reader: BusReader | None
    clock: SystemClock
    surroundings: Surroundings
    seq: int = 0

    def unseen(self, project: str) -> bool:
        """Whether the files say what no engine has recorded yet."""
        loaded = self.observation.projects.get(project)
        desk = self.desks[project]
        return (
            loaded is not None
            and loaded.workflow is not None
            and (loaded.workflow.digest not in desk.state.contents.values())
        )

    @classmethod
    def take(cls, config: Config, names: Sequence[str] = (), *, need_bus: bool = False) -> View:
        """Read the files and, where there is one, the bus; NoState when there is none and `need_bus`."""
        selects = chosen(names)
        reader = _reader(config, need_bus=need_bus)
        memory = Memory.read(reader) if reader is not None else Memory()
        world, clock = memory.world, SystemClock()
        _resume_clock(clock, world)
        _roster(world, config)
        everyone = {name: Desk(name, state) for name, state in memory.states.items()}
        surroundings = surroundings_of(_no_bodies if reader is None else reader.blobs.get, everyone)
        observation = _source(config, clock, selects, deliver=lambda seen: None, watch=False).scan()
        desks = {name: desk for name, desk in everyone.items() if selects(name)}
        for name, loaded in observation.projects.items():
            desk = desks.setdefault(name, Desk(name, ProjectState(name)))
            desk.problems = loaded.problems
            workflow = loaded.workflow or surroundings.earlier(desk.state.content)
            if workflow is None:
                continue
            if workflow.digest != desk.state.content:
                # As it will be once the engine has seen it: that is what a plan is about.
                desk.state.generation += 1
                desk.state.content, desk.state.revision = workflow.digest, observation.revision
            desk.state.orphaned = False
            desk.seat(workflow, world, config.limits, surroundings)
        for name, desk in desks.items():
            desk.state.orphaned = desk.state.orphaned or name not in observation.projects
        for name in names:
            if name not in desks:
                raise UsageError(_unknown(name, find_projects(config.projects_dir, config.limits)[0]))
        return cls(desks, world, observation, reader, clock, surroundings, memory.seq)

    @classmethod
    def at(cls, config: Config, names: Sequence[str] = (), *, seq: int | None = None, time: str | None = None) -> View:
        """What was known after a record, or at a time (as on the bus); the workflows are those that were in force then.

        Raises NoState for a moment that is not, or not any more, on the bus.
        """
        reader = _reader(config, need_bus=True)
        assert reader is not None
        memory = Memory.until(reader, seq=seq, time=time)
        first = reader.first_seq
        if memory.seq < first or (first > 1 and not _is_carried(reader, first, memory.seq)):
            raise NoState(f"the bus begins at record {first}, and not all of that moment is known from there")
        world, clock = memory.world, SystemClock()
        _roster(world, config)
        desks = {name: Desk(name, state) for name, state in memory.states.items() if chosen(names)(name)}
        for name in names:
            if name not in desks:
                raise UsageError(_unknown(name, dict.fromkeys(memory.states, config.projects_dir)))
        surroundings = surroundings_of(reader.blobs.get, desks)
        for desk in desks.values():
            workflow = surroundings.earlier(desk.state.content) if desk.state.content else None
            if workflow is not None and not desk.state.orphaned:
                desk.seat(workflow, world, config.limits, surroundings)
        seen = Observation(world.revision, {}, frozenset(), frozenset())
        return cls(desks, world, seen, reader, clock, surroundings, memory.seq)


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


def _unknown(name: str, known: dict[str, Path]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, known, 1)
    return f"no project {name}" + (
        f"; did you mean {close[0]}?" if close else f"; there are: {', '.join(sorted(known)) or 'none'}"
    )


def _resume_clock(clock: SystemClock, world: World) -> bool:
    """Count on from an earlier start in the same boot; whether it was the same."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    same = bool(world.boot) and boot.exists() and boot.read_text().strip() == world.boot
    if same:
        clock.resume(seconds_of(world.started), world.boot_time)
    return same


@dataclass
class Engine:
    """A conductor with its bus, agents, source and channel. Made by `open`, ended by `close`."""

    config: Config
    conductor: Conductor
    source: Source
    dispatcher: Dispatcher
    inbox: Inbox
    bus: Bus
    channel: Channel | None = None
    _records: bool = field(default=True)

    @classmethod
    def open(
        cls,
        config: Config,
        names: Sequence[str] = (),
        *,
        watch: bool = True,
        acts: bool = True,
        adopts: bool = True,
        sync: bool = True,
        listeners: Sequence[Callable[[list[Record]], None]] = (),
    ) -> Engine:
        """Take the bus (BusHeld when somebody has it) and look at the files once; the first pass takes that in.

        `acts` False only records: nothing is dispatched (a verb without a daemon). `watch` False looks once.
        """
        clock, selects = SystemClock(), chosen(names)
        bus = Bus.open(
            config.bus_dir,
            clock=clock,
            limits=config.limits,
            secrets=config.secrets,
            sync=sync,
            network=config.network,
        )
        try:
            memory = Memory.read(bus)
            world = memory.world
            memory.same_boot = _resume_clock(clock, world)
            if not memory.same_boot:
                memory.clip(clock.now())
            _roster(world, config)
            world.draining = not acts
            inbox = Inbox()
            dispatcher = Dispatcher(
                agent=_agents(config),
                work=config.work_dir,
                blobs=bus.blobs,
                limits=config.limits,
                concurrency=config.concurrency,
                deliver=inbox.put,
            )
            desks: dict[str, Desk] = {name: Desk(name, state) for name, state in memory.states.items()}
            conductor = Conductor(
                bus=bus,
                memory=memory,
                desks=desks,
                world=world,
                inbox=inbox,
                dispatcher=dispatcher,
                surroundings=surroundings_of(bus.blobs.get, desks),
                clock=clock,
                limits=config.limits,
                out=config.bus_dir / "out",
                selects=selects,
                adopts=adopts,
                listeners=listeners,
            )
            source = _source(config, clock, selects, deliver=_storing(bus, inbox.put), watch=watch)
            engine = cls(config, conductor, source, dispatcher, inbox, bus, _records=acts)
            if acts:
                _calm_collector()
                conductor.keep_within_time(seconds=config.retention_days * 86_400.0, work=config.work_dir)
                conductor.start()
            _storing(bus, inbox.put)(source.scan())
        except BaseException:
            bus.close(clean=False)
            raise
        if watch:
            source.start()
        return engine

    def serve(self) -> None:
        """Answer other processes' requests over the private channel, and say where the engine is."""
        self.channel = Channel.listen(self.config.bus_dir, self._asked)
        self.bus.announce()

    def _asked(self, verb: str, project: str, arguments: dict[str, Any], by: str) -> dict[str, Any]:
        if verb in ("sync", "run", "release"):
            self.source.look()
        return self.ask(verb, project, arguments, by=by)

    def ask(self, verb: str, project: str, arguments: dict[str, Any] | None = None, *, by: str = "") -> dict[str, Any]:
        """Put a request to the conductor and wait for its answer. Not from the conductor's own thread."""
        request = Request(verb, project, arguments or {}, by or actor())
        self.inbox.put(request)
        return request.wait(60)

    def tell(self, verb: str, project: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
        """A request from the thread that also runs the conductor, judged in the same pass as what came before it."""
        request = Request(verb, project, arguments or {}, actor())
        self.inbox.put(request)
        self.conductor.turn(0)
        return request.wait(0)

    def run_in_background(self, until: Callable[[], bool] = lambda: False) -> Thread:
        """Run the conductor in a thread of its own."""
        thread = Thread(target=self.conductor.run, args=(until,), name="conductor", daemon=True)
        thread.start()
        return thread

    def stop(self, *, grace: float | None = None, kill: bool = False) -> None:
        """Ask the conductor to drain; `run` returns when it has."""
        self.inbox.put(Stop(self.config.limits.grace if grace is None else grace, kill))

    def close(self) -> None:
        """Let go of everything, in order: no more requests, no more looks, agents, checkpoints, the bus."""
        if self.channel is not None:
            self.channel.close()
        self.source.stop()
        self.dispatcher.let_go(kill=False)
        self.dispatcher.close()
        self.conductor.stop(record=self._records)


def _calm_collector() -> None:
    """A daemon makes little cyclic garbage and holds much that lives on: looked for less often, it costs a step nothing."""
    import gc

    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def actor() -> str:
    """Who asks, on this machine."""
    return os.environ.get("USER") or f"uid-{os.getuid()}"


def _agents(config: Config) -> Callable[[str], Agent]:
    """Agents by name, built when they are first needed."""
    from glink.agents import registry

    @cache
    def agent(name: str) -> Agent:
        if name.startswith("run:"):
            return registry.build_script(base=config.base, limits=config.limits)
        return registry.build(config.agents[name], base=config.base, limits=config.limits)

    return agent


def _storing(bus: Bus, deliver: Callable[[Observation], None]) -> Callable[[Observation], None]:
    """Bodies are durable before the event that names them: stored in the source's thread, then delivered."""

    def store(seen: Observation) -> None:
        for name in seen.changed:
            for sha, content in seen.projects[name].blobs.items():
                stored = bus.blobs.put(content) if isinstance(content, bytes) else bus.blobs.put_file(content)
                if stored != sha and not bus.blobs.has(sha):
                    raise BusError(f"a file of {name} changed while it was read")
        deliver(seen)

    return store
