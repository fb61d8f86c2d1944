"""Every error that a user can meet, with the exit code it ends a command with.

Raised everywhere; turned into text and an exit code in one place (`glink.cli`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong in one input file.

    `line` and `column` count from 1; 0 means that the problem has no place in the file.
    `where` is the dotted path inside the document (`steps[2].after`), `cure` says what to write.
    `source` is the text of the line, for the caret.
    """

    path: str
    line: int
    column: int
    where: str
    what: str
    cure: str = ""
    source: str = ""

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}:{self.column}" if self.line else self.path
        inside = f"{self.where}: " if self.where else ""
        cure = f"; {self.cure}" if self.cure else ""
        return f"{place}: {inside}{self.what}{cure}"

    def with_caret(self) -> str:
        """The problem with its source line and a caret under the column."""
        if not self.source:
            return str(self)
        return f"{self}\n    {self.source}\n    {' ' * max(self.column - 1, 0)}^"

    def as_data(self) -> dict[str, Any]:
        """The problem as JSON data."""
        return {
            "path": self.path,
            "line": self.line,
            "column": self.column,
            "where": self.where,
            "what": self.what,
            "cure": self.cure,
            "source": self.source,
        }


class GlinkError(Exception):
    """Base of all; by itself a bug. `facts` are for programs: what stands in the way, by name."""

    exit_code = 70

    def __init__(self, message: str = "", **facts: Any) -> None:
        super().__init__(message)
        self.facts = facts


class UsageError(GlinkError):
    """The command or request was wrong: unknown project, bad flag, wrong type."""

    exit_code = 2


class NotThere(UsageError):
    """There is no project, step, run or body of that name (404 over HTTP)."""


class InvalidInput(UsageError):
    """One or more files are invalid; nothing was changed."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Reused(UsageError):
    """An idempotency key came again with another request (422 over HTTP)."""


class Refused(UsageError):
    """A control verb does not work in the present state; the text says why."""


class Conflict(Refused):
    """The request contradicts one that is under way (409 over HTTP)."""


class NoState(GlinkError):
    """There is no bus (or no daemon) to answer from."""

    exit_code = 3


class BusError(GlinkError):
    """The disk did not take it, or gave back what was never written.

    `errno` is the system's number where there is one. `poisoned`: a sync failed, so what the disk holds is unknown;
    the bus takes nothing more until it was opened anew.
    """

    exit_code = 74

    def __init__(self, message: str, *, errno: int | None = None, poisoned: bool = False) -> None:
        super().__init__(message)
        self.errno = errno
        self.poisoned = poisoned


class BusRefused(BusError):
    """An event that the bus does not take, whatever the disk says: too long, too deep, not JSON."""

    exit_code = 2


class BusCorrupt(BusError):
    """Damage inside the acknowledged part of the bus: never skipped, never truncated."""


class BodyDamaged(BusError, KeyError):
    """A body has other bytes than were stored: for whoever looks it up it is as good as gone, the log is well."""

    __str__ = Exception.__str__


class BusTrimmed(BusError):
    """Retention took away records while they were to be read; reading can start anew at the first that is there."""


class BusFormat(BusError):
    """The bus was written by a newer format than this version knows."""


class BusHeld(GlinkError):
    """Another process holds the bus directory."""

    exit_code = 75


def named(name: str, message: str, facts: Mapping[str, Any] | None = None) -> GlinkError:
    """The error of that name, as another process met it; what has no such name is a BusError."""
    kind = globals().get(name)
    if isinstance(kind, type) and issubclass(kind, GlinkError) and not issubclass(kind, BusError | InvalidInput):
        return kind(message, **(facts or {}))
    return UsageError(message) if kind is InvalidInput else BusError(message)
