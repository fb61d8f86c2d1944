"""Waiting for a process: for its end, a word from the engine, a deadline, or too much output, whichever is first.

Called by `process` for a process that it started and by `adoption` for one that an earlier engine started.
"""

from __future__ import annotations

import math
import select
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from glink.agents.agent import Control, Task
from glink.agents.captured import Captured
from glink.clock import SystemClock
from glink.limits import Limits

_CLOCK = SystemClock()


class Ending(StrEnum):
    """How the waiting ended. `NO_RECORD`: an adopted process is gone and left nothing to judge it by."""

    EXITED = "exited"
    RUN_TIMEOUT = "run"
    IDLE_TIMEOUT = "idle"
    CANCELLED = "cancelled"
    DETACHED = "detached"
    TOO_LARGE = "too_large"
    NO_RECORD = "no-record"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What bounds one attempt, and where it lives. Seconds; None: no bound."""

    folder: Path
    fence: int
    run_seconds: float | None
    idle_seconds: float | None
    limits: Limits

    @classmethod
    def of(cls, task: Task, limits: Limits) -> Attempt:
        """The attempt of a task; ValueError when the caller gave it no folder."""
        if task.folder is None:
            raise ValueError(f"step {task.step} of {task.project}: an agent that starts a process needs a folder")
        return cls(task.folder, task.fence, task.run_seconds, task.idle_seconds, limits)


class Wait:
    """One wait; both deadlines count from its making, the idle one anew with every output."""

    __slots__ = ("_attempt", "_captured", "_control", "_idle_from", "_pidfd", "_poller", "_start")

    def __init__(self, attempt: Attempt, captured: Captured, control: Control, pidfd: int | None) -> None:
        self._attempt = attempt
        self._captured = captured
        self._control = control
        self._pidfd = pidfd
        self._poller = select.poll()
        self._poller.register(control.fileno(), select.POLLIN)
        if pidfd is not None:
            self._poller.register(pidfd, select.POLLIN)
        self._start = self._idle_from = _CLOCK.boot_time()

    @property
    def seconds(self) -> float:
        """How long it has been waited."""
        return _CLOCK.boot_time() - self._start

    def to_the_end(self) -> Ending:
        """Wait until something ends it."""
        while (ending := self.step(self._attempt.limits.look)) is None:
            pass
        return ending

    def step(self, longest: float) -> Ending | None:
        """Wait for at most `longest` seconds; None when nothing ended it. EXITED is said once for one process."""
        events = self._poller.poll(math.ceil(min(longest, self._left()) * 1000))
        if self._pidfd is not None and any(descriptor == self._pidfd for descriptor, _ in events):
            self._poller.unregister(self._pidfd)
            self._pidfd = None
            return Ending.EXITED
        if self._control.cancelled:
            return Ending.CANCELLED
        if self._control.detached:
            return Ending.DETACHED
        if self._captured.grew():
            self._idle_from = _CLOCK.boot_time()
            if self._captured.too_large():
                return Ending.TOO_LARGE
        return self._overdue()

    def _left(self) -> float:
        """Seconds to the nearer deadline, never negative."""
        now, run, idle = _CLOCK.boot_time(), self._attempt.run_seconds, self._attempt.idle_seconds
        to_run = math.inf if run is None else self._start + run - now
        to_idle = math.inf if idle is None else self._idle_from + idle - now
        return max(min(to_run, to_idle), 0.0)

    def _overdue(self) -> Ending | None:
        now, run, idle = _CLOCK.boot_time(), self._attempt.run_seconds, self._attempt.idle_seconds
        if run is not None and now >= self._start + run:
            return Ending.RUN_TIMEOUT
        if idle is not None and now >= self._idle_from + idle:
            return Ending.IDLE_TIMEOUT
        return None
