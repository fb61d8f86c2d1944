"""The composition root: the one place where the parts are put together.

`Engine` is a conductor with everything around it, holding the bus.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from threading import Lock, Thread
from typing import Any

from glink import collector
from glink.agents.agent import Agent, Outcome
from glink.bus.bus import Bus
from glink.bus.holder import Holder
from glink.channel import Channel
from glink.clock import SystemClock
from glink.config import Config
from glink.errors import BusError
from glink.event import Record
from glink.reconciler.conductor import Conductor
from glink.reconciler.dispatch import Dispatcher, Job
from glink.reconciler.inbox import Inbox, Look, Request, Result, Stop
from glink.reconciler.memory import Memory
from glink.reconciler.rest import Rest
from glink.reconciler.retention import retention_of
from glink.server.health import Pulse
from glink.view import View
from glink.watch.git import Git
from glink.watch.source import Observation, Source
from glink.wiring import actor, chosen, desks_of, enroll, resume_clock, source_of, surroundings_of

STUCK_SECONDS = 10.0
ASK_SECONDS = 60.0


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
    url: str = ""
    _records: bool = field(default=True)
    _last_looks: Lock = field(default_factory=Lock)

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
        serve_only: bool = False,
        listeners: Sequence[Callable[[list[Record]], None]] = (),
    ) -> Engine:
        """Take the bus (BusHeld when somebody has it) and look at the files once; the first pass takes that in.

        `acts` False only records: nothing is dispatched (a verb without a daemon). `watch` False looks once.
        `serve_only` runs nothing but what is asked for.
        """
        clock, selects = SystemClock(), chosen(names)
        engine: Engine
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
            memory.same_boot = resume_clock(clock, world)
            if not memory.same_boot:
                memory.clip(clock.now())
            enroll(world, config)
            world.draining, world.serve_only = not acts, serve_only
            inbox = Inbox()
            dispatcher = Dispatcher(
                agent=_agents(config),
                work=config.work_dir,
                blobs=bus.blobs,
                limits=config.limits,
                concurrency=config.concurrency,
                deliver=inbox.put,
            )
            desks = desks_of(memory)
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
            memory.rest = Rest(config, desks).packed
            source = source_of(
                config,
                clock,
                selects,
                deliver=_storing(bus, inbox.put),
                watch=watch,
                at_look=lambda: engine.keep_sign(),
            )
            engine = cls(config, conductor, source, dispatcher, inbox, bus, _records=acts)
            if acts:
                collector.calm()
                days = config.retention_days * 86_400.0
                conductor.retention = retention_of(
                    conductor.books, conductor.saver, clock.now(), seconds=days, work=config.work_dir
                )
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
        self.channel = Channel.listen(self.config.bus_dir, self.tell_seeing)
        self.keep_sign()

    def keep_sign(self) -> None:
        """See that LOCK names this process, from `serve` on: at each look at the files, so also when nothing happens."""
        if self.channel is not None:
            self.bus.announce(url=self.url)

    def tell_seeing(self, verb: str, project: str, arguments: dict[str, Any], by: str) -> dict[str, Any]:
        """`ask`, with what the files say now where that matters."""
        if verb in ("sync", "run", "release"):
            # What was saved before somebody asked is what they asked for.
            self.source.look(self.config.limits.git_lock)
        return self.ask(verb, project, arguments, by=by)

    def ask(self, verb: str, project: str, arguments: dict[str, Any] | None = None, *, by: str = "") -> dict[str, Any]:
        """Put a request to the conductor and wait for its answer. Not from the conductor's own thread."""
        request = Request(verb=verb, project=project, arguments=arguments or {}, by=by or actor())
        self.inbox.put(request)
        answer: dict[str, Any] = request.wait(ASK_SECONDS)
        return answer

    def tell(self, verb: str, project: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
        """A request from the thread that also runs the conductor, judged in the same pass as what came before it."""
        request = Request(verb=verb, project=project, arguments=arguments or {}, by=actor())
        self.inbox.put(request)
        self.conductor.turn(0)
        answer: dict[str, Any] = request.wait(0)
        return answer

    def look(self, question: Callable[[View], Any]) -> Any:
        """What the conductor's own view answers, once what it sees is durable. Not from the conductor's thread."""
        if not self.conductor.over:
            item = Look(question=lambda: question(self.view()))
            self.inbox.put(item)
            return item.wait(ASK_SECONDS)
        with self._last_looks:
            return question(self.view())

    def view(self) -> View:
        """This moment, for the conductor's thread."""
        conductor, config = self.conductor, self.config
        return View(
            desks={name: desk for name, desk in conductor.desks.items() if not desk.state.deleted},
            world=conductor.world,
            revision=conductor.world.revision,
            past=self.bus,
            clock=conductor.clock,
            surroundings=conductor.books.surroundings,
            work=config.work_dir,
            known=frozenset(conductor.desks),
            holder=Holder(os.getpid(), self.url),
            commits=Git(config.projects_dir, config.limits).commit,
        )

    def now(self) -> float:
        """Seconds since 1970, on the engine's clock."""
        return self.conductor.clock.now()

    def housekeeping(self) -> tuple[int, int, int]:
        """How often retention, the writing of a checkpoint, and that of a mark for other processes, failed."""
        retention = self.conductor.retention
        return retention.troubles if retention else 0, self.conductor.saver.failures, self.bus.unpublished

    def pulse(self) -> Pulse:
        """How the engine is, by what anybody may look at; waits for nothing."""
        conductor = self.conductor
        now = self.now()
        failure, stuck = conductor.failure, len(self.inbox) and now - conductor.turned > STUCK_SECONDS
        wrong = ""
        if failure is not None:
            wrong = f"the bus takes nothing: {failure}"
        elif conductor.world.draining:
            wrong = "draining: the engine is about to stop"
        elif stuck:
            wrong = "the conductor does not answer"
        return Pulse(now - conductor.began, wrong)

    def offers(self, project: str) -> dict[str, int]:
        """Steps of a project that wait for a claim, and the seq of each offer. Looked at from any thread, as it is."""
        desk = self.conductor.desks.get(project)
        steps = list(desk.state.steps.items()) if desk is not None else []
        return {name: step.offer.seq for name, step in steps if step.offer is not None}

    def agent_of(self, project: str, step: str) -> str:
        """Who did a step last. For the conductor's thread."""
        desk = self.conductor.desks.get(project)
        past = desk.state.steps.get(step) if desk is not None else None
        return past.agent if past is not None else ""

    def job_in_flight(self, project: str, step: str, fence: int) -> Job | None:
        """The job of an attempt, made again; None when the fence is not current."""

        def find(view: View) -> Job | None:
            desk = view.desks.get(project)
            past = desk.state.steps.get(step) if desk is not None else None
            if desk is None or past is None or past.fence != fence:
                return None
            found = self.conductor.books.jobs.again(desk, step)
            return found[0] if found is not None else None

        job: Job | None = self.look(find)
        return job

    def judged(self, job: Job, outcome: Outcome) -> Result:
        """What an outcome comes to that was brought from outside."""
        return self.dispatcher.judged(job, outcome)

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
