"""When to look at the projects: soon enough for a save, not in the middle of a write, once for a storm.

Pure: the clock is a number that the caller hands in. `glink.watch.source` feeds it what the observer hears and
asks it when the next look is due. A look is always at everything, so a wrong guess here costs a delay, never a loss.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from glink.limits import Limits


class Kind(StrEnum):
    """What was heard of a path."""

    REPLACED = "replaced"
    """A whole file or folder was moved to this name: it is complete."""
    CLOSED = "closed"
    """A writer closed the file: probably complete."""
    CHANGED = "changed"
    """Made, deleted or moved away: more may follow."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at everything, and what is known about the moment.

    `quiet`: nobody is in the middle of writing, so a file that does not parse is invalid, not unfinished.
    `asked`: someone waits for the answer, also when nothing has changed. `rescan`: the regular one.
    """

    heard: Mapping[str, Kind] = field(default_factory=dict)
    quiet: bool = True
    asked: bool = False
    rescan: bool = False

    def kind_of(self, path: str) -> Kind | None:
        """What was heard of the path, or else of the nearest folder above it; None when nothing was."""
        while path:
            if (kind := self.heard.get(path)) is not None:
                return kind
            path = path.rpartition("/")[0]
        return None


LockToken = tuple[int, int]
"""What tells one git index lock from the next (inode and time of its making)."""


class Settler:
    """Turns events into looks.

    At once for a replace or a closed write; else when nothing was heard for `limits.quiet`. More than
    `limits.storm_events` within `limits.quiet` are a storm: it is waited out, at most `limits.storm`. Nothing is
    looked at while git holds its index lock, for at most `limits.git_lock`.
    """

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._heard: dict[str, Kind] = {}
        self._recent: deque[float] = deque(maxlen=limits.storm_events + 1)
        self._first: float | None = None
        self._last = now
        self._eager = False
        self._storm = False
        self._asked = False
        self._again: float | None = None
        self._rescan = now + limits.rescan
        self._locked_since: float | None = None
        self._stale_lock: LockToken | None = None

    def heard(self, kind: Kind, path: str, now: float) -> None:
        """Take in one event."""
        if self._first is None:
            self._first = now
        self._last = now
        self._recent.append(now)
        self._eager = self._eager or kind is not Kind.CHANGED
        self._storm = self._storm or self._is_storm()
        # The last complete state of a file decides: a deletion after a replace is no replace any more.
        self._heard[path] = kind

    def ask(self) -> None:
        """Someone asks for a look now."""
        self._asked = True

    def again(self, at: float) -> None:
        """Look again at `at` or before: something was missing, unfinished or failed."""
        self._again = at if self._again is None else min(self._again, at)

    def due(self, now: float, *, lock: LockToken | None) -> float:
        """When the next look is due; at or before `now` means: take it. `lock` is git's index lock, if held."""
        wanted = self._wanted(now)
        if lock is None:
            self._locked_since = self._stale_lock = None
            return wanted
        if wanted > now or lock == self._stale_lock:
            return wanted
        if self._locked_since is None:
            self._locked_since = now
        end = self._locked_since + self._limits.git_lock
        if now < end:
            return min(now + self._limits.quiet, end)
        # Left behind by a git that died: only another lock is waited for again.
        self._stale_lock, self._locked_since = lock, None
        return wanted

    def take(self, now: float) -> Look:
        """The look that is due; what was heard so far belongs to it."""
        quiet = self._first is None or now >= self._burst_ends()
        look = Look(heard=self._heard, quiet=quiet, asked=self._asked, rescan=now >= self._rescan)
        self._heard = {}
        self._first, self._again = None, None
        self._eager = self._storm = self._asked = False
        if look.rescan:
            self._rescan = now + self._limits.rescan
        return look

    def _wanted(self, now: float) -> float:
        if self._asked:
            return now
        times = [self._rescan]
        if self._again is not None:
            times.append(self._again)
        if self._first is not None:
            times.append(self._last if self._eager and not self._storm else self._burst_ends())
        return min(times)

    def _burst_ends(self) -> float:
        first = self._last if self._first is None else self._first
        return min(self._last + self._limits.quiet, first + self._limits.storm)

    def _is_storm(self) -> bool:
        full = len(self._recent) == self._recent.maxlen
        return full and self._recent[-1] - self._recent[0] <= self._limits.quiet
