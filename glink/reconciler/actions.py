"""The words of a plan: reasons, decisions, actions. Values that sort and print themselves; no decision is made here."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from glink.state import Answer


class Status(StrEnum):
    """A step's lifecycle, as dependents, the CLI and the API see it."""

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    WAITING_PERSON = "waiting_person"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class Reason(StrEnum):
    """The closed list of why a step runs, does not run, or waits."""

    NEVER_RAN = "never_ran"
    TASK_CHANGED = "task_changed"
    AGENT_CHANGED = "agent_changed"
    INPUT_CHANGED = "input_changed"
    OUTPUT_CHANGED = "output_changed"
    SCRIPT_CHANGED = "script_changed"
    TRIGGERED = "triggered"
    FORCED = "forced"
    RETRY_DUE = "retry_due"
    LOST = "lost"

    UP_TO_DATE = "up_to_date"
    RESTORED = "restored"
    KEPT = "kept"
    CONDITION_FALSE = "condition_false"
    UPSTREAM_SKIPPED = "upstream_skipped"
    ORPHANED = "orphaned"

    IN_FLIGHT = "in_flight"
    BACKING_OFF = "backing_off"
    WAITING_FOR = "waiting_for"
    UPSTREAM_FAILED = "upstream_failed"
    NO_SLOT = "no_slot"
    AGENT_COOLING = "agent_cooling"
    AGENT_PAUSED = "agent_paused"
    HELD = "held"
    SUSPENDED = "suspended"
    SERVE_ONLY = "serve_only"
    OTHER_ENGINE = "other_engine"
    SPEC_INVALID = "spec_invalid"
    NO_WORKER = "no_worker"
    DRAINING = "draining"
    STALLED = "stalled"
    EXHAUSTED = "exhausted"
    CANCELLED = "cancelled"
    UNKNOWN_OUTCOME = "unknown_outcome"
    BUS_CORRUPT = "bus_corrupt"


RUNS = frozenset(list(Reason)[: list(Reason).index(Reason.UP_TO_DATE)])


@dataclass(slots=True)
class Wish:
    """A step that wants a slot: what it will be dispatched with. `text` is rendered when the slot is there."""

    reason: Reason
    agent: str
    key: str
    fingerprint: dict[str, str]
    definition: str
    attempt: int = 1
    reask: int = 0
    floor: int = 0
    changed: tuple[str, ...] = ()
    released: bool = False


@dataclass(slots=True)
class Decision:
    """What is to be thought of one step now.

    `final` ends it for the run; `status` and `answer` are what dependents get; `settled` tells whether it counts as
    Synced, `sound` as Healthy. `wish` wants a slot, `due` (seconds since 1970) is when to look again, `action` is the
    deed that needs no slot. `detail` is for people.
    """

    reason: Reason
    status: Status
    final: bool
    answer: Answer | None = None
    wish: Wish | None = None
    action: Action | None = None
    due: float | None = None
    synced: bool = True
    sound: bool = True
    detail: str = ""


@dataclass(slots=True)
class Dispatch:
    """Give a step to its agent. `text` is the whole prompt, `bare` the task without what was appended."""

    step: str
    wish: Wish
    run: int
    text: str
    bare: str
    context: Any = None
    args: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    stdin: str | None = None
    verb = "run"

    @property
    def reason(self) -> Reason:
        return self.wish.reason


@dataclass(slots=True)
class Restore:
    """Let an earlier answer stand again, for free. `source` names the step it is taken over from, if another's."""

    step: str
    answer: Answer
    run: int = 0
    source: str = ""
    reason = Reason.RESTORED
    verb = "restore"


@dataclass(slots=True)
class Skip:
    """Record that a step does not run in this state of things; `key` digests what the verdict rests on."""

    step: str
    reason: Reason
    key: str
    run: int = 0
    verb = "skip"


@dataclass(slots=True)
class Hold:
    """Record that a done step waits for a release."""

    step: str
    key: str
    run: int = 0
    reason = Reason.HELD
    verb = "hold"


@dataclass(slots=True)
class Fail:
    """Record a failure that no agent saw: a task that cannot be rendered, a queue that took too long."""

    step: str
    cls: str
    code: str
    message: str
    key: str
    floor: int = 0
    run: int = 0
    reason = Reason.EXHAUSTED
    verb = "fail"


@dataclass(slots=True)
class Park:
    """Record that a step is not tried again until an edit or a retry frees it."""

    step: str
    key: str
    message: str
    run: int = 0
    reason = Reason.STALLED
    verb = "park"


@dataclass(slots=True)
class Settle:
    """End the open run: every step is final."""

    run: int
    status: str
    failed: tuple[str, ...] = ()
    step = ""
    reason = Reason.UP_TO_DATE
    verb = "settle"


Action = Dispatch | Restore | Skip | Hold | Fail | Park | Settle


@dataclass(slots=True)
class Plan:
    """What closes the gap now, in the order it is to be done. `wake_at`: seconds since 1970 of the next due time."""

    actions: list[Action] = field(default_factory=list)
    wake_at: float | None = None
