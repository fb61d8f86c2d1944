"""Keeps the bus and the attempts' folders within their time and their bytes, a little in each pass of the conductor.

    carry     every project with facts in the oldest segments, and the world: its whole state, as an event
    save      checkpoints and manifest, so that a restart need not read on from before
    trim      `log.trimmed`; once that is durable the segments go
    tidy      blobs that nothing names, folders of attempts: in a thread of its own

The conductor calls `stage` before it records and `perform` after the sync, `failed` when the disk did not take it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from glink.bus.bus import Bus
from glink.bus.encode import depth
from glink.bus.retention import TRIMMED, Span
from glink.clock import seconds_of, text_of
from glink.errors import BusError
from glink.event import Record
from glink.jsontext import dumps, loads
from glink.limits import Limits
from glink.reconciler.attempts import Attempts, Ends
from glink.reconciler.memory import whole_carried
from glink.reconciler.saving import Saver
from glink.state import ProjectState
from glink.world import World

if TYPE_CHECKING:
    from glink.reconciler.books import Books

CARRIED = "project.carried"
_BLOBS = 8  # written and synced in one pass
_AGAIN = 5.0  # seconds between two tries for room, or for a reader to be done

Put = Callable[[dict[str, Any]], Record]
States = Callable[[], dict[str, ProjectState]]


class Retention:
    """`wake_at` says when the next pass is due; `troubles` counts what could not be tidied, `trouble` says the last."""

    def __init__(
        self,
        *,
        bus: Bus,
        saver: Saver,
        states: States,
        world: World,
        limits: Limits,
        seconds: float,
        attempts: Attempts,
        now: float,
        touch_all: Callable[[], None],
    ) -> None:
        self._bus, self._saver, self._states, self._world, self._limits = bus, saver, states, world, limits
        self._seconds, self._attempts, self._touch_all = seconds, attempts, touch_all
        newest = None if bus.damages else bus.read(bus.durable_seq)
        # A wrong clock at this start must not make everything look old: time counts on from the newest record.
        self._behind = max(0.0, now - seconds_of(newest["time"])) if newest is not None else 0.0
        self._spans: list[Span] = []
        self._todo: list[str] = []
        self._carried: dict[str, int] = {}
        self._saving = 0
        self._trimming = 0
        self._pinned, self._pinned_until = False, 0.0
        self._execute_at: float | None = None
        self._trimmed = False
        self._thread: Thread | None = None
        self.wake_at = now
        self.troubles, self.trouble = 0, ""

    def stage(self, put: Put, now: float) -> None:
        """Put what is due into this pass's batch. What cannot be read or stored stops retention, not the engine."""
        if now < self.wake_at:
            return
        try:
            self._stage(put, now)
        except BusError as error:
            if error.poisoned:
                raise
            self._troubled(error)
            self._begin_anew(now + self._limits.tidy)

    def _stage(self, put: Put, now: float) -> None:
        self.wake_at = now + self._limits.tidy
        self._mind_the_room(now)
        if self._bus.damages:  # what is lost may name what would be taken away
            self._begin_anew(self.wake_at)
            return
        if not self._spans:
            self._begin(now)
        if self._todo:
            self._carry_some(put, now)
            self.wake_at = now
        elif self._spans and self._is_saved(now) and not self._is_read(now):
            self._trimming = self._spans[-1].last
            self._world.seq = put({"type": TRIMMED, "data": {"through": self._trimming}})["seq"]

    def perform(self, now: float) -> None:
        """After the sync: take away what the durable `log.trimmed` names."""
        through, self._trimming = self._trimming, 0
        if not through:
            return
        self._spans, self._trimmed, self.wake_at = [], True, now
        try:
            self._bus.trim(through)
        except BusError as error:  # found again by the next look
            self._troubled(error)

    def failed(self, now: float) -> None:
        """The disk did not take the batch: begin anew later."""
        self._begin_anew(now + _AGAIN)
        self._world.full = not self._bus.reserve.held

    def _begin_anew(self, at: float) -> None:
        self._spans, self._todo, self._trimming, self._saving = [], [], 0, 0
        self._carried.clear()
        self.wake_at = at

    @property
    def busy(self) -> bool:
        """Whether segments are about to go, and only this engine's own work is waited for."""
        return bool(self._spans) and not self._pinned

    def close(self) -> None:
        """Wait for what is being tidied."""
        if self._thread is not None:
            self._thread.join()

    # Room for answers.

    def _mind_the_room(self, now: float) -> None:
        was, self._world.full = self._world.full, not self._bus.reserve.take()
        if self._world.full:
            self.wake_at = now + _AGAIN
        elif was:
            self._touch_all()

    # The oldest segments.

    def _before(self, now: float) -> str:
        return text_of(now - self._behind - self._seconds)

    def _begin(self, now: float) -> None:
        self._spans = self._bus.trimmable(self._before(now))
        if not self._spans:
            self._tidy(now)
            return
        self._saving, self._pinned_until = 0, now + self._limits.reader_pin
        through = self._spans[-1].last
        named = {name for span in self._spans for name in self._bus.projects_in(span)}
        self._todo = sorted(name for name in named | {""} if self._carried.get(name, 0) <= through)

    def _carry_some(self, put: Put, now: float) -> None:
        states, before, blobs = self._states(), self._before(now), 0
        while self._todo and blobs < _BLOBS and self._bus.staged_bytes < self._limits.batch_bytes // 2:
            name = self._todo.pop()
            if not name:
                data = self._kept({"state": self._world.folded()}, self._world.seq)
                body = {"type": "engine.carried", "data": data}
                self._world.seq = self._carried[name] = put(body)["seq"]
            elif (state := states.get(name)) is not None:
                kept = {one: dict(step.answers) for one, step in state.steps.items()}
                state.forget_answers(before)
                try:
                    data = self._data(state)
                    blobs += "blob" in data
                    state.seq = self._carried[name] = put({"type": CARRIED, "project": name, "data": data})["seq"]
                except BusError:
                    for one, answers in kept.items():
                        state.steps[one].answers = answers
                    raise

    def _data(self, state: ProjectState) -> dict[str, Any]:
        """The state and what running attempts were given, in the event itself or as a blob."""
        body: dict[str, Any] = {"state": loads(state.packed())}
        steps = state.steps.values()
        fences = [step.given for step in steps if step.fence] + [
            step.offer.seq for step in steps if step.offer is not None
        ]
        if fences:
            given = {fence: dispatch_of(self._bus, state.project, fence) for fence in fences}
            body["flying"] = {str(fence): one["data"] for fence, one in given.items() if one is not None}
        return self._kept(body, state.seq)

    def _kept(self, body: dict[str, Any], as_of: int) -> dict[str, Any]:
        own, packed = {"as_of": as_of}, dumps(body)
        if len(packed) <= self._limits.inline_bytes and depth(body) + 1 <= self._limits.json_depth:
            return own | body
        return own | {"blob": self._bus.blobs.put(packed)}

    def _is_saved(self, now: float) -> bool:
        """Whether checkpoints hold all that was carried; begins to write them, and looks again soon, if not."""
        if self._saving and self._saver.saved_seq >= self._saving:
            return True
        self.wake_at = now + 0.1
        if self._saver.offer(self._states(), self._world):
            self._saving = max(self._carried.values())
        return False

    def _is_read(self, now: float) -> bool:
        """A reader at work pins, but not for ever."""
        self._pinned = now < self._pinned_until and any(self._bus.is_read(span) for span in self._spans)
        if self._pinned:
            self.wake_at = now + _AGAIN
        return self._pinned

    # Blobs and folders, in a thread.

    def _tidy(self, now: float) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        ends = Ends.of(self._states().values(), self._bus.durable_seq)
        execute = self._execute_at is not None and now >= self._execute_at
        collect = self._trimmed and (execute or self._execute_at is None)
        if execute:
            self._execute_at = None
        if collect:
            self._trimmed, self._execute_at = False, now + self._limits.blob_grace
            self._bus.blobs.watch()
        if self._execute_at is not None:
            self.wake_at = min(self.wake_at, self._execute_at)
        self._thread = Thread(target=self._tidy_up, args=(ends, now, collect, execute), name="tidying", daemon=True)
        self._thread.start()

    def _tidy_up(self, ends: Ends, now: float, collect: bool, execute: bool) -> None:
        try:
            if execute:
                self._bus.blobs.execute()
            if collect:
                self._bus.blobs.condemn(self._bus.unnamed())
            self._attempts.tidy(ends, now)
        except (BusError, OSError) as error:  # tried again at the next look
            self._troubled(error)

    def _troubled(self, error: Exception) -> None:
        self.troubles += 1
        self.trouble = str(error)


def retention_of(books: Books, saver: Saver, now: float, *, seconds: float, work: Path) -> Retention:
    """What trims events older than `seconds` and, below `work`, folders of attempts that have ended."""
    bus = books.bus

    def dispatched(fence: int) -> float | None:
        record = bus.read(fence)
        return None if record is None else seconds_of(record["time"])

    return Retention(
        bus=bus,
        saver=saver,
        states=books.states,
        world=books.world,
        limits=books.limits,
        seconds=seconds,
        attempts=Attempts(work / "attempts", books.limits, dispatched),
        now=now,
        touch_all=books.touch_all,
    )


def dispatch_of(bus: Bus, project: str, fence: int) -> Record | None:
    """The `step.dispatched` of an attempt, or what is left of it: its data, carried on; None when it is gone."""
    record = bus.read(fence)
    if record is not None:
        return record
    for carried in bus.replay(fence, project=project):
        if carried["type"] == CARRIED:
            data = whole_carried(carried, bus.blobs)["data"].get("flying", {}).get(str(fence))
            if data is not None:
                return {**carried, "seq": fence, "type": "step.dispatched", "data": data}
    return None
