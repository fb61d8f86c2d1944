"""The conductor: the one thread that decides and writes.

A pass is four paragraphs, always in this order:

    gather   empty the inbox, stage and fold what it says
    decide   plan the dirty projects, stage and fold their actions
    record   one write, one sync
    perform  acknowledge, start and cancel agents, tell reporters

It may decide on an event that is not durable yet, but nothing of it leaves the process before the sync.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

from glink import __version__
from glink.agents.agent import Adoption, ErrorClass
from glink.bus.bus import Bus
from glink.clock import Clock, seconds_of
from glink.errors import BusError, GlinkError, UsageError
from glink.event import Record
from glink.fold import fold
from glink.limits import Limits
from glink.reconciler.actions import Action, Dispatch, Restore, Settle
from glink.reconciler.attempts import Attempts
from glink.reconciler.board import Board, Surroundings
from glink.reconciler.desk import Desk
from glink.reconciler.dispatch import Dispatcher, Job
from glink.reconciler.inbox import Inbox, Request, Result
from glink.reconciler.jobs import Jobs
from glink.reconciler.memory import LONGEST_COOLING, Memory
from glink.reconciler.plan import plan
from glink.reconciler.retention import Retention
from glink.reconciler.saving import Saver
from glink.reconciler.verbs import VERBS
from glink.state import ProjectState
from glink.watch.source import Observation
from glink.workflow import Workflow
from glink.world import World, fold_world

_HEAL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Stop:
    """Drain and end: running steps get `grace` seconds, then are left running, or killed."""

    grace: float
    kill: bool = False


@dataclass(slots=True)
class _Pass:
    """What one pass gathered and decided, until it is durable."""

    records: list[Record] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    kills: list[int] = field(default_factory=list)
    answers: list[Request] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    published: list[tuple[Path, Mapping[str, str]]] = field(default_factory=list)
    seen: list[Observation] = field(default_factory=list)


class Conductor:
    """Owns states, world and log. `run` is called by one thread; everybody else talks to it through the inbox."""

    def __init__(
        self,
        *,
        bus: Bus,
        memory: Memory,
        desks: dict[str, Desk],
        world: World,
        inbox: Inbox,
        dispatcher: Dispatcher,
        surroundings: Surroundings,
        clock: Clock,
        limits: Limits,
        out: Path,
        selects: Callable[[str], bool] = lambda name: True,
        adopts: bool = True,
        listeners: Sequence[Callable[[list[Record]], None]] = (),
    ) -> None:
        self.bus, self.world, self.inbox, self.dispatcher = bus, world, inbox, dispatcher
        self.surroundings, self.clock, self.limits = surroundings, clock, limits
        self.desks = desks
        self.jobs = Jobs(bus, surroundings, world, limits)
        self.listeners = list(listeners)
        self.failure: BusError | None = None
        self.observed = False
        self.retention: Retention | None = None
        self.saver = Saver(bus, memory)
        self._memory, self._out, self._selects, self._adopts = memory, out, selects, adopts
        self._pass = _Pass()
        self._todo: dict[str, None] = {}
        self._returned: list[Observation | Result] = []
        self._heal_at = 0.0
        self._timers: list[tuple[float, str]] = []
        self._hungry: dict[str, None] = {}
        self._stop: Stop | None = None
        self._stop_at = 0.0
        self._let_go = False
        self._settled_floor = memory.seq

    # The loop.

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Pass after pass until `until` holds or a Stop has drained; raises BusError when the disk is lost for good."""
        while not until() and not self._drained():
            self.turn(self._patience())

    def turn(self, seconds: float | None) -> None:
        """One pass; waits up to `seconds` for something to happen."""
        items = self.inbox.take(seconds)
        now = self.clock.now()
        self._pass = done = _Pass()
        if self._returned and now >= self._heal_at:
            items, self._returned = [*self._returned, *items], []
        try:
            for item in items:
                self._gather(item, now)
            if self.failure is None or now >= self._heal_at:
                self._decide(now)
                if self.retention is not None:
                    self.retention.stage(self._append, now)
            if done.records:
                self.bus.commit()
        except BusError as error:
            self._failed(error, now)
            return
        if done.records or not self._returned:
            self.failure = None
        self._perform(done)

    def start(self) -> None:
        """Record that the engine runs; dirty nothing."""
        boot = Path("/proc/sys/kernel/random/boot_id")
        data = {
            "version": __version__,
            "pid": os.getpid(),
            "epoch": self.bus.epoch,
            "boot": boot.read_text().strip() if boot.exists() else "",
            "boot_time": getattr(self.clock, "boot_time", self.clock.now)(),
        }
        self._stage({"type": "engine.started", "data": data})
        self.bus.commit()

    def stop(self, *, record: bool = True) -> None:
        """Checkpoints and the clean-stop mark; called after `run`. `record` False leaves no event of the stop."""
        self.saver.wait()
        if self.retention is not None:
            self.retention.close()
        if self.failure is None:
            if record:
                self._stage({"type": "engine.stopped", "data": {"in_flight": self.world.in_flight}})
                self.bus.commit()
            self._memory.save(self.bus, self._states(), self.world)
        self.bus.close(clean=self.failure is None)

    @property
    def quiet(self) -> bool:
        """Whether nothing runs, nothing is to be decided and no time is waited for."""
        waits = self._todo or self._timers or self._returned or self.failure is not None
        waits = waits or (self.retention is not None and self.retention.busy)
        return self.observed and not self.world.in_flight and not len(self.inbox) and not waits

    def _patience(self) -> float | None:
        now = self.clock.now()
        if self.failure is not None:
            return max(0.0, self._heal_at - now)
        if self._todo:
            return 0
        times = [self._timers[0][0]] if self._timers else []
        if self._stop is not None:
            times.append(self._stop_at)
        if self.retention is not None:
            times.append(self.retention.wake_at)
        return max(0.0, min(times) - now) if times else None

    def _touch(self, desk: Desk, steps: Iterable[str] | None) -> None:
        """Steps of a project (None: all) are to be decided in this pass or the next."""
        desk.touch(steps)
        self._todo[desk.name] = None

    def _touch_all(self) -> None:
        for desk in self.desks.values():
            self._touch(desk, None)

    def _drained(self) -> bool:
        if self._stop is None:
            return False
        if not self._let_go and self.world.in_flight and self.clock.now() >= self._stop_at:
            self._let_go = True
            self._stop_at = self.clock.now() + self.limits.grace
            self.dispatcher.let_go(kill=self._stop.kill)
        if not self.dispatcher.in_flight and not len(self.inbox):
            return True
        return self._let_go and self.clock.now() >= self._stop_at

    # Gather.

    def _gather(self, item: Any, now: float) -> None:
        match item:
            case Result():
                self._result(item, now)
            case Request():
                self._request(item, now)
            case Observation():
                self._observe(item, now)
            case Stop():
                self._stop, self._stop_at = item, now + item.grace
                self.world.draining = True
            case _:
                raise TypeError(f"the inbox holds {item!r}")

    def _result(self, result: Result, now: float) -> None:
        self._pass.results.append(result)
        desk = self.desks.get(result.project)
        step = desk.state.steps.get(result.step) if desk is not None else None
        if desk is None or step is None or step.fence != result.fence:
            body = {"type": "step.stale", "project": result.project, "step": result.step, "fence": result.fence}
            self._stage({**body, "data": {"type": result.type, "digest": result.data.get("digest")}}, desk)
            return
        data = result.data
        cls = data.get("class")
        if cls == ErrorClass.CANCELLED and self.world.draining:
            data["code"] = "drained"
        body = {
            "type": result.type,
            "project": result.project,
            "run": step.run,
            "step": result.step,
            "attempt": step.attempt,
            "fence": result.fence,
            "data": data,
        }
        self._stage(body, desk)
        self.world.taken(result.agent, -1)
        self._touch(desk, (result.step,))
        if cls is not None:
            self._agent_trouble(result, now)
        elif files := data.get("artifacts"):
            self._publish(result.project, result.step, files)

    def _publish(self, project: str, step: str, files: Mapping[str, str]) -> None:
        self._pass.published.append((self._out / project.replace("/", "%2F") / step, files))

    def _agent_trouble(self, result: Result, now: float) -> None:
        cls, agent = result.data["class"], result.agent
        if cls == ErrorClass.THROTTLED:
            until = min(max(result.data.get("retry_at") or now + 60.0, now), now + LONGEST_COOLING)
            if until > self.world.cooling.get(agent, 0.0):
                self._stage({"type": "agent.cooling", "data": {"agent": agent, "until": until}})
        elif cls == ErrorClass.AUTH and (spec := self.world.agent(agent)) is not None:
            self._stage({"type": "agent.paused", "data": {"agent": agent, "profile": spec.profile}})

    def _request(self, request: Request, now: float) -> None:
        desk = self.desks.get(request.project)
        try:
            if desk is None:
                raise UsageError(f"no project {request.project}; there are: {', '.join(sorted(self.desks)) or 'none'}")
            if desk.board is not None:
                # A verb is judged by what is thought now, not by what was thought before this pass.
                desk.board.refresh(desk.dirty, now)
                desk.dirty = set()
            deed = VERBS[request.verb](desk, request.arguments, request.by, self.limits)
        except GlinkError as error:
            request.error = error
            request.done.set()
            return
        params = desk.state.params
        for event in deed.events:
            self._stage(event, desk)
        if deed.kill:
            self._pass.kills.extend(deed.kill)
        if desk.state.params != params and desk.workflow is not None:
            self._seat(desk, desk.workflow)
        self._touch(desk, None)
        request.answer = {"project": request.project, **deed.answer}
        self._pass.answers.append(request)

    def _observe(self, seen: Observation, now: float) -> None:
        self._pass.seen.append(seen)
        if seen.revision != self.world.revision:
            self._stage({"type": "source.observed", "data": {"revision": seen.revision}})
        for name in sorted(seen.changed):
            loaded = seen.projects[name]
            desk = self.desks.get(name)
            if desk is None:
                desk = self.desks[name] = Desk(name, ProjectState(name))
            desk.problems = loaded.problems
            workflow = loaded.workflow
            if workflow is None:
                self._last_good(desk)
                continue
            state = desk.state
            if workflow.digest != state.content or state.orphaned:
                data = {
                    "generation": state.generation + 1,
                    "content": workflow.digest,
                    "revision": seen.revision,
                    "sources": sources_digest(loaded.sources),
                    "params": params_digest(workflow.params),
                }
                self._stage({"type": "workflow.changed", "project": name, "data": data}, desk)
            elif desk.workflow is not None:
                continue
            self._seat(desk, workflow)
        for name in sorted(seen.gone & self.desks.keys()):
            self._orphan(self.desks[name])
        if not self.observed:
            self.observed = True
            for desk in self.desks.values():
                if desk.name not in seen.projects and self._selects(desk.name):
                    self._orphan(desk)
            if self._adopts:
                self._adopt(now)

    def _last_good(self, desk: Desk) -> None:
        """An invalid revision changes nothing that runs: what was last good is used, also after a restart."""
        if desk.workflow is None and desk.state.content:
            workflow = self.surroundings.earlier(desk.state.content)
            if workflow is not None:
                self._seat(desk, workflow)

    def _seat(self, desk: Desk, workflow: Workflow) -> None:
        desk.seat(workflow, self.world, self.limits, self.surroundings)
        self._todo[desk.name] = None

    def _orphan(self, desk: Desk) -> None:
        if not desk.state.orphaned and desk.state.generation:
            self._stage({"type": "workflow.orphaned", "project": desk.name, "data": {}}, desk)
        desk.board, desk.workflow, desk.dirty = None, None, set()

    def _adopt(self, now: float) -> None:
        """Attempts that were in flight when the engine ended: wait for them, start them again, or call them lost."""
        same_boot = self._memory.same_boot
        for desk in filter(lambda one: self._selects(one.name), self.desks.values()):
            flying = [(name, step) for name, step in desk.state.steps.items() if step.fence]
            if flying and desk.board is not None:
                desk.board.refresh(None, now)
            for name, step in flying:
                self.world.taken(step.agent, +1)
                found = self.jobs.again(desk, name)
                if found is None:
                    self._lost(desk, name, "gone", "its workflow is not on the bus any more")
                    continue
                job, startable = found
                match self.dispatcher.adopt(job, same_boot=same_boot):
                    case Adoption.NEVER_STARTED if startable:
                        self._pass.jobs.append(job)
                    case Adoption.NEVER_STARTED:
                        self._lost(desk, name, "superseded", "never started, and what it was to be given has changed")
                    case Adoption.LOST:
                        self._lost(desk, name, "process-gone", "the engine ended, and so did the agent, with no record")
                    case _:
                        pass

    def _lost(self, desk: Desk, step: str, code: str, message: str) -> None:
        past = desk.state.steps[step]
        cls = ErrorClass.CANCELLED if code == "superseded" else ErrorClass.LOST
        data = {"class": cls, "code": code, "message": message}
        self.inbox.put(Result(desk.name, step, past.fence, past.agent, "step.failed", data))

    # Decide.

    def _decide(self, now: float) -> None:
        """Plan what was touched, what has come due, and who waits for a slot when one was given back."""
        todo = self._todo
        while self._timers and self._timers[0][0] <= now:
            todo[heappop(self._timers)[1]] = None
        if self._pass.results:
            todo |= self._hungry
            self._hungry.clear()
        self._todo = {}
        for name in todo:
            desk = self.desks[name]
            if desk.board is None:
                desk.dirty = set()
            elif self.bus.staged_bytes > self.limits.batch_bytes // 2:
                self._todo[name] = None
            else:
                self._plan(desk, desk.board, now)

    def _plan(self, desk: Desk, board: Board, now: float) -> None:
        dirty, desk.dirty = desk.dirty, set()
        made = plan(board, now=now, dirty=dirty)
        for action in made.actions:
            self._act(desk, board, action)
            if self.bus.staged_bytes > self.limits.batch_bytes // 2:
                # The rest is proposed again once this much is durable.
                self._touch(desk, None)
                break
        if board.ready:
            self._hungry[desk.name] = None
        if made.wake_at is not None:
            heappush(self._timers, (made.wake_at, desk.name))

    def _act(self, desk: Desk, board: Board, action: Action) -> None:
        if isinstance(action, Dispatch):
            self._dispatch(desk, board, action)
            return
        params = desk.state.params
        self._stage(desk.body(action), desk)
        if isinstance(action, Restore) and action.answer.artifacts:
            self._publish(desk.name, action.step, action.answer.artifacts)
        if not isinstance(action, Settle):
            # Decided as if it were done already: the next look finds the same, so nothing has to look now.
            desk.touch((action.step,))
        elif desk.state.run is not None:
            if desk.state.params != params:
                self._seat(desk, board.workflow)
            self._touch(desk, None)
        elif action.failed:
            self._touch(desk, action.failed)

    def _dispatch(self, desk: Desk, board: Board, action: Dispatch) -> None:
        workflow = board.workflow
        if action.wish.released:
            answer = desk.state.steps[action.step].answer
            assert answer is not None
            workflow = self.surroundings.earlier(desk.state.contents[str(answer.generation)]) or workflow
        record = self._stage(desk.dispatch_body(action, self.jobs.prompt(action)), desk)
        board.dispatched(action.step)
        self.world.taken(action.wish.agent, +1)
        try:
            self._pass.jobs.append(desk.job(action, record["seq"], self.world, self.jobs.script, workflow))
        except KeyError as missing:
            self._lost(desk, action.step, "blob-missing", f"blob {missing} is not on the bus any more")

    # Record.

    def _stage(self, body: dict[str, Any], desk: Desk | None = None) -> Record:
        record = self._append(body)
        if desk is not None:
            self._pass.touched.add(desk.name)
            fold(desk.state, record)
        elif "project" not in body:
            fold_world(self.world, record)
        return record

    def _append(self, body: dict[str, Any]) -> Record:
        """Stage what the states already say (or are made to say by the caller)."""
        record = self.bus.stage(body)
        self._pass.records.append(record)
        if body.get("project") in self.desks:
            self._pass.touched.add(body["project"])
        return record

    def _failed(self, error: BusError, now: float) -> None:
        """The disk did not take the batch: callers hear it, states go back to what is durable, outcomes wait."""
        done = self._pass
        self.bus.rollback()
        self.failure = error
        for request in done.answers:
            request.error = error
            request.done.set()
        if getattr(error, "poisoned", False):
            raise error
        if self.retention is not None:
            self.retention.failed(now)
        fresh = Memory.read(self.bus)
        for name in done.touched:
            desk = self.desks[name]
            desk.state = fresh.states.get(name) or ProjectState(name)
            if desk.workflow is not None:
                self._seat(desk, desk.workflow)
        self._recount(fresh.world)
        self._returned += [*done.seen, *done.results]
        self._heal_at = now + _HEAL_SECONDS

    def _recount(self, durable: World) -> None:
        world = self.world
        world.seq, world.revision = durable.seq, durable.revision
        world.cooling, world.paused = durable.cooling, durable.paused
        world.in_flight, world.by_agent = 0, {}
        for desk in self.desks.values():
            for step in desk.state.steps.values():
                if step.fence:
                    world.taken(step.agent, +1)

    # Perform.

    def _perform(self, done: _Pass) -> None:
        for request in done.answers:
            request.done.set()
        for fence in done.kills:
            self.dispatcher.cancel(fence)
        for job in done.jobs:
            self.dispatcher.start(job)
        for target, files in done.published:
            self.dispatcher.publish(target, files)
        if done.records:
            for listener in self.listeners:
                listener(done.records)
            newest = done.records[-1]["seq"]
            if newest - self._settled_floor >= self.limits.checkpoint_events and self.saver.offer(
                self._states(), self.world
            ):
                self._settled_floor = newest
            if self.retention is not None:
                self.retention.perform(self.clock.now())

    def _states(self) -> dict[str, ProjectState]:
        return {name: desk.state for name, desk in self.desks.items()}

    def keep_within_time(self, *, seconds: float, work: Path) -> None:
        """From now on events past `seconds` are trimmed, and folders of ended attempts below `work` go in their turn."""
        self.retention = Retention(
            bus=self.bus,
            saver=self.saver,
            states=self._states,
            world=self.world,
            limits=self.limits,
            seconds=seconds,
            attempts=Attempts(work / "attempts", self.limits, self._dispatched_at),
            now=self.clock.now(),
            touch_all=self._touch_all,
        )

    def _dispatched_at(self, fence: int) -> float | None:
        record = self.bus.read(fence)
        return None if record is None else seconds_of(record["time"])


def sources_digest(sources: Mapping[str, str]) -> str:
    """Digest over the files that a project was read from: equal digests need no reading."""
    from glink.digest import of_value

    return of_value(dict(sources))[:32]


def params_digest(params: Mapping[str, Any]) -> str:
    """Digest of a workflow's declared parameters."""
    from glink.digest import of_value

    return of_value(dict(params))[:32]
