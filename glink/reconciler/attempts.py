"""Folders of ended attempts go when their time is over: those that succeeded after a day, the others after a week.

Ages are counted by the bus's own times, not by the files', which follow the wall clock. Called by retention.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from glink.clock import seconds_of
from glink.limits import Limits
from glink.state import ProjectState


@dataclass(slots=True)
class Ends:
    """What the states say of attempts: `flying` are kept, `ok` and `failed` map fence → when it ended; `newest` is the
    last seq there was, so that younger ones are left alone."""

    newest: int = 0
    flying: set[int] = field(default_factory=set)
    ok: dict[int, float] = field(default_factory=dict)
    failed: dict[int, float] = field(default_factory=dict)

    @classmethod
    def of(cls, states: Iterable[ProjectState], newest: int) -> Ends:
        found = cls(newest)
        for state in states:
            for step in state.steps.values():
                if step.fence:
                    found.flying.add(step.fence)
                for answer in step.answers.values():
                    found.ok[answer.fence] = seconds_of(answer.time)
                if step.answer is not None:
                    found.ok[step.answer.fence] = seconds_of(step.answer.time)
                if step.lapse is not None:
                    found.failed[step.lapse.fence] = seconds_of(step.lapse.time)
        return found


class Attempts:
    """The folder `attempts` of the work directory. `dispatched(fence)` is when that was, None if nobody knows any more."""

    def __init__(self, folder: Path, limits: Limits, dispatched: Callable[[int], float | None]) -> None:
        self._folder, self._limits, self._dispatched = folder, limits, dispatched
        self._sizes: dict[int, int] = {}

    def tidy(self, ends: Ends, now: float) -> int:
        """Remove what is past its time or beyond the byte limit, the oldest first; returns how many folders."""
        kept: list[int] = []
        gone: list[int] = []
        for fence in self._ended(ends):
            (gone if self._is_past(fence, ends, now) else kept).append(fence)
        for fence in gone:
            self._remove(fence)
        return len(gone) + self._within_bytes(kept)

    def _ended(self, ends: Ends) -> list[int]:
        try:
            names = os.listdir(self._folder)
        except FileNotFoundError:
            return []
        fences = sorted(int(name) for name in names if name.isdigit())
        return [fence for fence in fences if fence <= ends.newest and fence not in ends.flying]

    def _is_past(self, fence: int, ends: Ends, now: float) -> bool:
        if fence in ends.ok:
            return ends.ok[fence] < now - self._limits.attempts_ok
        ended = ends.failed.get(fence)
        if ended is None:
            ended = self._dispatched(fence)
        return ended is None or ended < now - self._limits.attempts_failed

    def _within_bytes(self, kept: list[int]) -> int:
        for fence in kept:
            if fence not in self._sizes:
                self._sizes[fence] = _size(self._folder / str(fence))
        self._sizes = {fence: self._sizes[fence] for fence in kept}
        total, removed = sum(self._sizes.values()), 0
        for fence in kept:
            if total <= self._limits.attempts_bytes:
                break
            total -= self._sizes.pop(fence)
            self._remove(fence)
            removed += 1
        return removed

    def _remove(self, fence: int) -> None:
        shutil.rmtree(self._folder / str(fence), onerror=_unlock)


def _unlock(remove: Callable[..., object], path: str, _: object) -> None:
    """An agent may have left folders that its own user cannot enter or change: open them and try once more."""
    for one in (os.path.dirname(path), path):
        try:
            if stat.S_ISDIR(os.lstat(one).st_mode):
                os.chmod(one, stat.S_IRWXU, follow_symlinks=True)
        except OSError:
            return  # looked at again next time
    try:
        if remove is os.rmdir or remove is os.unlink:
            remove(path)
        else:
            shutil.rmtree(path, ignore_errors=True)
    except OSError:
        return


def _size(folder: Path) -> int:
    """Bytes on the disk, links not followed."""
    total = 0
    for at, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(f"{at}/{name}").st_blocks * 512
            except OSError:
                continue
    return total
