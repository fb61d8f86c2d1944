"""How long somebody waits for something outside, and what ends the wait before: a deadline, silence, the engine.

Called by `exchange` and by the kinds of agents and reporters that use it. Deadlines are of the boot clock and are met
exactly: what is waited for is a descriptor, never a time. Only who stood still himself (stopped, suspended) is late at
one: then there is a moment to take what came meanwhile.
"""

from __future__ import annotations

import math
import select
from collections.abc import Callable
from enum import StrEnum

from glink.agents.agent import Control
from glink.clock import SystemClock

_CLOCK = SystemClock()
_MOMENT = 1.0


class Stop(StrEnum):
    """Why nobody waits any longer."""

    RUN = "run"
    IDLE = "idle"
    CANCELLED = "cancelled"
    DETACHED = "detached"


class Stopped(Exception):
    """The wait is over, and what was waited for is not there."""

    def __init__(self, why: Stop) -> None:
        super().__init__(why)
        self.why = why


class Patience:
    """One wait, or several in a row. `run` bounds all of it, `idle` the time without a sign of life; seconds, None: no bound.

    Used by one thread.
    """

    def __init__(self, *, run: float | None = None, idle: float | None = None, control: Control | None = None) -> None:
        self._run, self._idle, self._control = run, idle, control
        self._start = self._heard = _CLOCK.boot_time()

    @property
    def seconds(self) -> float:
        """How long it has been waited."""
        return _CLOCK.boot_time() - self._start

    def heard(self, at: float | None = None) -> None:
        """There was a sign of life, now or at that boot time."""
        self._heard = max(self._heard, _CLOCK.boot_time() if at is None else at)

    def check(self) -> None:
        """Raises Stopped when the wait is over."""
        if self._control is not None and self._control.cancelled:
            raise Stopped(Stop.CANCELLED)
        if self._control is not None and self._control.detached:
            raise Stopped(Stop.DETACHED)
        now = _CLOCK.boot_time()
        if self._left() < -_MOMENT:
            self._grant(now + _MOMENT)
        if self._run is not None and now >= self._start + self._run:
            raise Stopped(Stop.RUN)
        if self._idle is not None and now >= self._heard + self._idle:
            raise Stopped(Stop.IDLE)

    def _grant(self, until: float) -> None:
        if self._run is not None:
            self._run = max(self._run, until - self._start)
        if self._idle is not None:
            self._heard = max(self._heard, until - self._idle)

    def rest(self, seconds: float, descriptor: int | None = None, heard: Callable[[], float] = lambda: 0.0) -> bool:
        """Wait for the descriptor, at most so many seconds: whether it turned readable. Raises Stopped.

        `heard` tells the boot time of the newest sign of life, if there are any.
        """
        end = _CLOCK.boot_time() + seconds
        poller = select.poll()
        if descriptor is not None:
            poller.register(descriptor, select.POLLIN)
        if self._control is not None:
            poller.register(self._control.fileno(), select.POLLIN)
        while True:
            self.heard(heard())
            left = min(end - _CLOCK.boot_time(), self._left())
            events = poller.poll(math.ceil(min(max(left, 0.0), 3_600.0) * 1000))
            # What came is taken, also when the engine rang in the same moment: it was paid for.
            if any(one == descriptor for one, _ in events):
                return True
            self.heard(heard())
            self.check()
            if _CLOCK.boot_time() >= end:
                return False

    def _left(self) -> float:
        to_run = math.inf if self._run is None else self._start + self._run
        to_idle = math.inf if self._idle is None else self._heard + self._idle
        return min(to_run, to_idle) - _CLOCK.boot_time()
