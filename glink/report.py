"""What people and programs are told of a project: plain values, the same in the CLI, the API and on the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Sync(StrEnum):
    """Whether what is wanted is what is done; in order of badness."""

    SYNCED = "Synced"
    OUT_OF_SYNC = "OutOfSync"
    UNKNOWN = "Unknown"


class Health(StrEnum):
    """How the steps are; in order of badness."""

    HEALTHY = "Healthy"
    MISSING = "Missing"
    SUSPENDED = "Suspended"
    PROGRESSING = "Progressing"
    DEGRADED = "Degraded"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Condition:
    """One statement on a project, derived from its state."""

    type: str
    status: bool
    reason: str
    message: str = ""
    since: str = ""
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One step. `decision` is run, stay or wait; `output` the beginning of the standing answer; `seconds` of its attempt.

    `task` is the beginning of what it is to do, as written; `fence` is the dispatch of its newest attempt, 0 when there is none; `tolerated` a failure that nothing waits for.
    """

    step: str
    agent: str
    status: str
    decision: str
    reason: str
    detail: str = ""
    holder: str = ""
    name: str | None = None
    task: str = ""
    after: tuple[str, ...] = ()
    implied: bool = False
    attempts: int = 0
    changed: tuple[str, ...] = ()
    may_run: bool = False
    due: str | None = None
    output: str | None = None
    digest: str | None = None
    artifacts: tuple[str, ...] = ()
    usage: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    since: str = ""
    fence: int = 0
    tolerated: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """One project. `errors` are the problems of its newest files, as data; `params` what it declares."""

    project: str
    sync: Sync
    health: Health
    instance: str = ""
    description: str = ""
    revision: str = ""
    generation: int = 0
    last_attempted: str = ""
    last_applied: str = ""
    run: dict[str, Any] | None = None
    conditions: tuple[Condition, ...] = ()
    errors: tuple[dict[str, Any], ...] = ()
    steps: tuple[Row, ...] = ()
    waiting: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    next: str | None = None

    def condition(self, kind: str) -> Condition | None:
        """What is said of it under this type."""
        return next((one for one in self.conditions if one.type == kind), None)


_SYNC = list(Sync)
_HEALTH = list(Health)


def worst_sync(all_of_them: list[Sync]) -> Sync:
    """The worst; Synced for none."""
    return max(all_of_them, key=_SYNC.index, default=Sync.SYNCED)


def worst_health(all_of_them: list[Health]) -> Health:
    """The worst; Healthy for none."""
    return max(all_of_them, key=_HEALTH.index, default=Health.HEALTHY)
