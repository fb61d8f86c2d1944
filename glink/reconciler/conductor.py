"""The conductor: the one thread that decides and writes.

A pass is four paragraphs, always in this order:

    gather   empty the inbox, stage and fold what it says
    decide   plan the dirty projects, stage and fold their actions
    record   one write, one sync
    perform  acknowledge, start and cancel agents, tell reporters

It may decide on an event that is not durable yet, but nothing of it leaves the process before the sync. An agent that
only answers is no effect: while nobody waits for the sync, its answer is gathered, and decided on, in the same pass.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

from glink.bus.bus import Bus
from glink.clock import Clock
from glink.errors import BusError
from glink.event import Record
from glink.limits import Limits
from glink.reconciler.actions import Action, Dispatch, Fail, Restore, Settle
from glink.reconciler.adoption import adopt, lost, started
from glink.reconciler.board import Board, Surroundings
from glink.reconciler.books import Books, Pass
from glink.reconciler.desk import Desk
from glink.reconciler.dispatch import Dispatcher
from glink.reconciler.fingerprint import why_gone
from glink.reconciler.inbox import Inbox, Look, Request, Result, Stop
from glink.reconciler.intake import Intake
from glink.reconciler.memory import Memory
from glink.reconciler.meter import Meter
from glink.reconciler.plan import plan
from glink.reconciler.queue import Queue
from glink.reconciler.retention import Retention
from glink.reconciler.saving import Saver
from glink.reconciler.undoing import Undo
from glink.watch.source import Observation
from glink.world import World

_HEAL_SECONDS = 1.0
_AHEAD = 64  # records of a pass beyond which it decides no further: whoever looks on sees work go on


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
        self.desks, self.clock, self.limits = desks, clock, limits
        self.books = Books(bus, desks, world, surroundings=surroundings, limits=limits, out=out, doubt=memory.doubt)
        self.listeners = list(listeners)
        self.meter: Meter | None = None
        self.began = self.turned = clock.now()
        self.over = False
        self.failure: BusError | None = None
        self.retention: Retention | None = None
        self.saver = Saver(bus, memory, inbox.wake, limits)
        self._intake = Intake(self.books, selects=selects, adopt=self._adopt)
        self._memory, self._selects, self._adopts = memory, selects, adopts
        self._returned: list[Observation | Result] = []
        self._heal_at = 0.0
        self._undo: Undo | None = None
        self._timers: list[tuple[float, str]] = []
        self._hungry = Queue()
        self._wakes: dict[str, float] = {}
        self._stop: Stop | None = None
        self._stop_at = 0.0
        self._let_go = False

    # The loop.

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Pass after pass until `until` holds or a Stop has drained; raises BusError when the disk is lost for good."""
        while not until() and not self._drained():
            self.turn(self._patience())
        self._end()

    def _end(self) -> None:
        """Nobody decides any more: who still waits for an answer gets one. From here on the states stand still."""
        self.over = True
        for item in self.inbox.take(0):
            if isinstance(item, Look):
                item.perform()
            elif isinstance(item, Request):
                item.refuse(BusError("the engine is stopping", errno=None))

    def turn(self, seconds: float | None) -> None:
        """One pass; waits up to `seconds` for something to happen."""
        items = deque(self.inbox.take(seconds))
        now = self.turned = self.clock.now()
        done = self.books.present
        items.extend(self.books.leases.overdue(now))
        if self._returned and now >= self._heal_at:
            items.extendleft(reversed(self._returned))
            self._returned = []
        try:
            while items and not self._is_full:
                self._gather(items.popleft(), now)
            if self.failure is None or now >= self._heal_at:
                self._decide(now)
                self._run_ahead(now)
                if self.retention is not None:
                    self.retention.stage(self.books.append, now)
            if done.records:
                self._commit()
        except BusError as error:
            self._failed(error, now)
            self._measure("failed", now)
            return
        finally:  # what found no place in the batch, or came behind what broke it
            self.inbox.put_back(items)
        self._measure("changed" if done.records else "unchanged", now)
        if done.records or not self._returned:
            self.failure = self._undo = None
        self._perform(done)

    def _commit(self) -> None:
        before = self.clock.now()
        self.bus.commit()
        if self.meter is not None:
            self.meter.appended(self.clock.now() - before)

    def _measure(self, result: str, since: float) -> None:
        if self.meter is not None:
            self.meter.reconciled(result, self.clock.now() - since)

    def start(self) -> None:
        """Record that the engine runs; dirty nothing."""
        self.books.stage({"type": "engine.started", "data": started(self.bus.epoch, self.clock)})
        self.bus.commit()
        self._perform(self.books.present)

    def stop(self, *, record: bool = True) -> None:
        """Checkpoints and the clean-stop mark; called after `run`. `record` False leaves no event of the stop."""
        self.saver.wait()
        if self.retention is not None:
            self.retention.close()
        if self.failure is None:
            if record:
                self.books.begin()
                self.books.stage({"type": "engine.stopped", "data": {"in_flight": self.world.in_flight}})
                self.bus.commit()
                self._perform(self.books.present)
                self.saver.wait()
            self._memory.save(self.bus, self.books.states(), self.world)
        self.bus.close(clean=self.failure is None)

    @property
    def quiet(self) -> bool:
        """Whether nothing runs, nothing is to be decided and no time is waited for."""
        waits = self.books.todo or self._wakes or self._returned or self.failure is not None
        waits = waits or (self.retention is not None and self.retention.busy)
        return self._intake.observed and not self.world.in_flight and not len(self.inbox) and not waits

    @property
    def ending(self) -> bool:
        """Whether an attempt that was cancelled is still being ended."""
        return bool(self.books.ending)

    @property
    def _is_full(self) -> bool:
        """Whether the pass takes no more: what one thing comes to still finds room in the batch."""
        return self.bus.staged_bytes > self.limits.batch_bytes // 2

    def _patience(self) -> float:
        if self.failure is None and (len(self.inbox) or self.books.todo):
            return 0
        now = self.clock.now()
        if self.failure is not None:
            return max(0.0, self._heal_at - now)
        times = [self._heal_at] if self._returned else []
        times += [self.saver.wake_at, *(at for at, _ in self._timers[:1])]
        if (lease := self.books.leases.next()) is not None:
            times.append(lease)
        if self._stop is not None:
            times.append(self._stop_at)
        if self.retention is not None:
            times.append(self.retention.wake_at)
        return max(0.0, min(times) - now)

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
            case Stop():
                self._stop, self._stop_at = item, now + item.grace
                self.world.draining = True
            case Observation() if self._returned:
                self._returned.append(item)
            case _:
                self._intake.take(item, now)

    def _adopt(self, now: float) -> None:
        if self._adopts:
            desks = [desk for desk in self.desks.values() if self._selects(desk.name)]
            adopt(self.books, self.dispatcher, desks, self.inbox.put, now, same_boot=self._memory.same_boot)

    # Decide.

    def _decide(self, now: float) -> None:
        """Plan what was touched, what has come due, and who waits for a slot when one was given back."""
        books = self.books
        books.touch_waiting()
        todo, books.todo = books.todo, {}
        while self._timers and self._timers[0][0] <= now:
            at, name = heappop(self._timers)
            if self._wakes.get(name) == at:
                del self._wakes[name]
                todo[name] = None
        for name in todo:
            self._plan_one(name, now)
        if books.present.results or books.present.opened:
            world = self.world
            self._hungry.offer(
                lambda name: self._plan_one(name, now), lambda: world.in_flight < world.concurrency, but=todo
            )

    def _run_ahead(self, now: float) -> None:
        """Ask the agents that only answer now, and decide on; not while anybody waits for this pass to be durable."""
        present, ahead = self.books.present, True
        while ahead and present.jobs and len(present.records) < _AHEAD:
            if present.answers or present.looks or present.kills or len(self.inbox):
                return
            jobs, present.jobs = present.jobs, []
            for job in jobs:
                result = None if self._is_full else self.dispatcher.at_once(job)
                if result is None:
                    present.jobs.append(job)
                else:
                    self._intake.take(result, now)
            ahead = not present.jobs
            if len(present.jobs) < len(jobs):
                self._decide(now)

    def _plan_one(self, name: str, now: float) -> None:
        desk = self.desks.get(name)
        if desk is None:
            return
        if desk.board is None:
            desk.dirty = set()
            self._wakes.pop(name, None)
        elif self._is_full:
            self.books.todo[name] = None
        else:
            try:
                self._plan(desk, desk.board, now)
            except Exception as error:
                self.books.isolate(name, error)

    def _plan(self, desk: Desk, board: Board, now: float) -> None:
        dirty, desk.dirty = desk.dirty, set()
        made = plan(board, now=now, dirty=dirty)
        for action in made.actions:
            self._act(desk, board, action)
            if self._is_full:
                # The rest is proposed again once this much is durable.
                self.books.touch(desk, None)
                break
        self.books.keep_few(desk.name, board, settled=not board.open and desk.state.run is None)
        self._hungry.set(desk.name, waits=bool(board.ready))
        if made.wake_at is None:
            self._wakes.pop(desk.name, None)
        elif self._wakes.get(desk.name) != made.wake_at:
            self._wakes[desk.name] = made.wake_at
            heappush(self._timers, (made.wake_at, desk.name))

    def _act(self, desk: Desk, board: Board, action: Action) -> None:
        if isinstance(action, Dispatch):
            self._dispatch(desk, board, action)
            return
        books, params = self.books, desk.state.params
        books.stage(desk.body(action), desk)
        if isinstance(action, Restore) and action.answer.artifacts:
            books.publish(desk.name, action.step, action.answer.artifacts)
        if isinstance(action, Fail):
            books.touch(desk, (action.step,))
        elif not isinstance(action, Settle):
            # Decided as if it were done already: the next look finds the same, so nothing has to look now.
            desk.touch((action.step,))
        elif desk.state.run is not None:
            if desk.state.params != params:
                books.seat(desk, board.workflow)
            books.touch(desk, None)
        elif action.failed:
            books.touch(desk, action.failed)

    def _dispatch(self, desk: Desk, board: Board, action: Dispatch) -> None:
        books, workflow = self.books, board.workflow
        if self.world.pulls(action.wish.agent):
            books.stage(desk.dispatch_body(action, books.jobs.prompt(action), "step.offered"), desk)
            desk.touch((action.step,))
            board.refresh((action.step,), board.now)
            return
        if action.wish.released:
            answer = desk.state.steps[action.step].answer
            assert answer is not None
            workflow = books.surroundings.earlier(desk.state.contents[str(answer.generation)]) or workflow
        record = books.stage(desk.dispatch_body(action, books.jobs.prompt(action)), desk)
        board.dispatched(action.step)
        self.world.taken(action.wish.agent, +1)
        try:
            books.present.jobs.append(desk.job(action, record["seq"], self.world, books.jobs.script, workflow))
        except KeyError as problem:
            self.inbox.put(lost(desk, action.step, "blob-missing", why_gone(problem)))

    # Record.

    def _failed(self, error: BusError, now: float) -> None:
        """The disk did not take the batch: callers hear it, states go back to what is durable, outcomes wait."""
        done = self.books.present
        self.bus.rollback()
        self.saver.leave_off()
        self.failure = error
        for asked in (*done.answers, *done.looks):
            asked.refuse(error)
        if error.poisoned:
            raise error
        if self.retention is not None:
            self.retention.failed(now)
        if self._undo is None or self._undo.seq != self.bus.durable_seq:
            self._undo = Undo(self.bus, self._clip)
        self.books.restore(self._undo.states(sorted(done.touched)), self._undo.world())
        # What was answered before its dispatch was durable was never asked.
        self._returned += [*done.seen, *(one for one in done.results if one.fence <= self.bus.durable_seq)]
        self._heal_at = now + _HEAL_SECONDS
        self.books.begin()
        self.books.present.jobs = [job for job in done.jobs if job.task.fence <= self.bus.durable_seq]
        if done.first:
            self._intake.observed = False

    def _clip(self, read: Memory) -> None:
        if not self._memory.same_boot:
            read.clip(self.clock.now())

    # Perform.

    def _perform(self, done: Pass) -> None:
        for request in done.answers:
            request.done.set()
        for look in done.looks:
            look.perform()
        for fence in done.kills:
            self.dispatcher.cancel(fence)
        for fence in done.forgotten:
            self.dispatcher.forget(fence)
        for job in done.jobs:
            self.dispatcher.start(job)
        for target, files in done.published:
            self.dispatcher.publish(target, files)
        if done.records:
            for listener in self.listeners:
                listener(done.records)
            if self.retention is not None:
                self.retention.perform(self.clock.now())
        self.books.begin()
        if self.saver.due(self.bus.durable_seq, self.turned):
            self.saver.offer(self.books.states(), self.world)
        self.saver.go_on()
