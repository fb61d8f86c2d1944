"""What stands on the bus: the closed list of the engine's event types, and a record's shape.

A record is the dict that its JSON line decodes to. Nothing outside `glink.bus` looks at `b`, `e`, `p` or `crc`.
"""

from __future__ import annotations

import re
from typing import Any, Final, NotRequired, TypedDict, cast


class Record(TypedDict):
    """One event as it stands on the bus. `time` is RFC 3339, UTC, microseconds; ids are strings, as written."""

    seq: int
    b: int
    e: int
    time: str
    type: str
    project: NotRequired[str]
    instance: NotRequired[str]
    run: NotRequired[int]
    step: NotRequired[str]
    item: NotRequired[str]
    round: NotRequired[int]
    attempt: NotRequired[int]
    fence: NotRequired[int]
    data: NotRequired[dict[str, Any]]


ENGINE_TYPES: Final = frozenset(
    [
        "workflow.changed",
        "workflow.submitted",
        "workflow.orphaned",
        "source.observed",
        "project.suspended",
        "project.resumed",
        "project.released",
        "project.deleted",
        "project.carried",
        "run.requested",
        "run.settled",
        "step.dispatched",
        "step.offered",
        "step.claimed",
        "step.succeeded",
        "step.failed",
        "step.cancelled",
        "step.skipped",
        "step.held",
        "step.restored",
        "step.parked",
        "step.stale",
        "approval.requested",
        "approval.given",
        "approval.rejected",
        "approval.revised",
        "approval.edited",
        "agent.cooling",
        "agent.paused",
        "agent.ready",
        "budget.warned",
        "budget.spent",
        "engine.started",
        "engine.stopped",
        "engine.carried",
        "log.trimmed",
        "log.gap",
    ]
)

_RESERVED: Final = (
    "workflow.", "project.", "run.", "step.", "approval.", "source.", "agent.", "budget.", "engine.", "log.",
)  # fmt: skip
_FREE: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")


OF_THE_LOG: Final = frozenset({"b", "e", "p", "crc"})


def as_shown(record: Record) -> Record:
    """A record as people and programs get it: without what belongs to the log itself."""
    return cast("Record", {name: value for name, value in record.items() if name not in OF_THE_LOG})


def is_free_type(name: str) -> bool:
    """Whether agents and people may write events of this type."""
    return bool(_FREE.fullmatch(name)) and not name.startswith(_RESERVED)
