"""The only caller of time.

The engine's `now` is wall time at start plus CLOCK_BOOTTIME since (docs of the bus, "Clocks"): a jump of the
wall clock changes no lease, retry or time-out. Times on the bus are RFC 3339 texts in UTC with microseconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Seconds since 1970 in UTC, never going back within one boot."""

    def now(self) -> float: ...


class SystemClock:
    """Wall time at start, then CLOCK_BOOTTIME; `resume` carries on from an earlier start in the same boot."""

    def __init__(self) -> None:
        self._offset = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)

    def now(self) -> float:
        return self._offset + time.clock_gettime(time.CLOCK_BOOTTIME)

    def boot_time(self) -> float:
        """Seconds since boot, suspend included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def resume(self, wall: float, boot_time: float) -> None:
        """Count on from (wall, boot_time), written by an earlier start in this boot."""
        self._offset = wall - boot_time


def wait_for(condition: Callable[[], bool], *, seconds: float, every: float = 0.01) -> bool:
    """Poll `condition` until it holds; False when `seconds` have passed."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(every)
    return True


class Every:
    """A condition that is asked at most once in `seconds`; in between its last answer stands. First asked after them."""

    def __init__(self, seconds: float, condition: Callable[[], bool]) -> None:
        self._seconds, self._condition = seconds, condition
        self._next, self._last = time.monotonic() + seconds, False

    def __call__(self) -> bool:
        if time.monotonic() >= self._next:
            self._last = self._condition()
            self._next = time.monotonic() + self._seconds
        return self._last


def text_of(seconds: float) -> str:
    """RFC 3339 in UTC with microseconds: `2026-11-23T23:30:57.000001Z`."""
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds_of(text: str) -> float:
    """The inverse of `text_of`; raises ValueError."""
    return datetime.fromisoformat(text).timestamp()
