"""What a step's state means to a person: the sign that stands for it, and what somebody can do about it.

Signs are states by colour *and* shape; advice is a sentence with commands to copy. Tables over the closed list of
reasons. Pure; called by the pictures and the pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from shlex import quote

from glink.reconciler.actions import Reason, Status
from glink.report import Report, Row


class Sign(StrEnum):
    """One picture for each kind of state; in the order in which a summary counts them."""

    FAILED = "failed"
    PERSON = "person"
    CANCELLED = "cancelled"
    BLOCKED = "blocked"
    RUNNING = "running"
    QUEUED = "queued"
    WAITING = "waiting"
    SKIPPED = "skipped"
    DONE = "done"


class Standing(StrEnum):
    """What a project is filed under; the worst that holds."""

    BROKEN = "broken"
    WAITS = "waits"
    RUNNING = "running"
    FINE = "fine"
    GONE = "gone"


WORDS: Mapping[Sign, str] = {
    Sign.FAILED: "failed",
    Sign.PERSON: "waits for you",
    Sign.CANCELLED: "cancelled",
    Sign.BLOCKED: "blocked",
    Sign.RUNNING: "running",
    Sign.QUEUED: "queued",
    Sign.WAITING: "waiting",
    Sign.SKIPPED: "skipped",
    Sign.DONE: "done",
}
_BY_REASON: Mapping[str, Sign] = {
    Reason.HELD: Sign.PERSON,
    Reason.SUSPENDED: Sign.PERSON,
    Reason.UNKNOWN_OUTCOME: Sign.PERSON,
    Reason.AGENT_PAUSED: Sign.PERSON,
    Reason.NO_WORKER: Sign.PERSON,
    Reason.OTHER_ENGINE: Sign.PERSON,
    Reason.UPSTREAM_FAILED: Sign.BLOCKED,
    Reason.BUS_CORRUPT: Sign.BLOCKED,
    Reason.BACKING_OFF: Sign.QUEUED,
    Reason.NO_SLOT: Sign.QUEUED,
    Reason.AGENT_COOLING: Sign.QUEUED,
}
_BY_STATUS: Mapping[str, Sign] = {
    Status.WAITING: Sign.WAITING,
    Status.QUEUED: Sign.QUEUED,
    Status.RUNNING: Sign.RUNNING,
    Status.WAITING_PERSON: Sign.PERSON,
    Status.SUCCEEDED: Sign.DONE,
    Status.FAILED: Sign.FAILED,
    Status.SKIPPED: Sign.SKIPPED,
    Status.CANCELLED: Sign.CANCELLED,
}


def sign_of(row: Row) -> Sign:
    """The sign of a step."""
    return _BY_REASON.get(row.reason) or _BY_STATUS.get(row.status, Sign.WAITING)


def is_broken(row: Row) -> bool:
    """Whether the step failed and that counts."""
    return sign_of(row) is Sign.FAILED and not row.tolerated


def waits_for_person(row: Row) -> bool:
    """Whether somebody has to say or do something before the step goes on."""
    return sign_of(row) in (Sign.PERSON, Sign.CANCELLED)


def standing_of(report: Report) -> Standing:
    """What the project is filed under."""
    if report.condition("BusCorrupt"):
        return Standing.BROKEN
    if report.condition("Orphaned"):
        return Standing.GONE
    if report.errors or any(is_broken(row) for row in report.steps):
        return Standing.BROKEN
    if any(waits_for_person(row) for row in report.steps) or report.condition("Suspended"):
        return Standing.WAITS
    busy = any(sign_of(row) in (Sign.RUNNING, Sign.QUEUED) for row in report.steps)
    return Standing.RUNNING if busy or (report.run or {}).get("status") == "running" else Standing.FINE


@dataclass(frozen=True, slots=True)
class Advice:
    """What somebody can do, and the commands for it."""

    text: str
    commands: tuple[str, ...] = ()


_WORKER = "glink worker --agent {agent} -- COMMAND"
_ADVICE: Mapping[str, Advice] = {
    Reason.EXHAUSTED: Advice(
        "An edit of the workflow runs it again. Or ask once more as it is:",
        ("glink retry {project} {step}", "glink why {project} {step}"),
    ),
    Reason.STALLED: Advice(
        "It is not tried again by itself. An edit frees it, and so does:",
        ("glink retry {project} {step}", "glink why {project} {step}"),
    ),
    Reason.HELD: Advice("See what would run, then let it go:", ("glink plan {project}", "glink release {project}")),
    Reason.UNKNOWN_OUTCOME: Advice(
        "It may have done its work. See what became of it, then say: do it again, or leave it.",
        ("glink why {project} {step}", "glink retry {project} {step}", "glink cancel {project} {step}"),
    ),
    Reason.AGENT_PAUSED: Advice(
        "Mend the credentials of {who} in its environment or in glink-config.yaml and start the engine again, then:",
        ("glink retry {project} {step}",),
    ),
    Reason.NO_WORKER: Advice("Whoever works for {who} gets it by itself. To start a worker:", (_WORKER,)),
    Reason.OTHER_ENGINE: Advice(
        "Steps with side effects run on a named engine only: write `engine: NAME` in glink-config.yaml, then:",
        ("glink up",),
    ),
    Reason.CANCELLED: Advice("To run it after all:", ("glink retry {project} {step}",)),
}
_UNDECLARED = Advice("Declare {who} in glink-config.yaml, then start the engine again:", ("glink up",))
INVALID = Advice("Nothing new is taken from these files until they are mended. To check them:", ("glink validate",))


def advice_on(project: str, row: Row, *, alone: bool = True) -> Advice | None:
    """What can be done about a step that failed or waits for somebody; None for all others. `alone`: not for many alike."""
    if row.reason == Reason.SUSPENDED:
        return suspended_advice(project, by_file=False)
    found = _ADVICE.get(row.reason)
    if row.reason == Reason.NO_WORKER and row.agent.startswith("run:"):
        found = _UNDECLARED
    if found is None or row.tolerated:
        return None
    who = f"the interpreter {row.agent[4:]}" if row.agent.startswith("run:") else f"the agent {row.agent}"
    names = {"project": quote(project), "step": quote(row.step), "who": who, "agent": quote(row.agent)}
    if alone:
        return Advice(found.text.format(**names), tuple(one.format(**names) for one in found.commands))
    whole = [one.replace(" {step}", "").format(**names) for one in found.commands]
    return Advice(found.text.format(**names), tuple(whole))


def suspended_advice(project: str, *, by_file: bool) -> Advice:
    """How a suspended project goes on."""
    if by_file:
        return Advice("Nothing is given away until `suspend: true` is taken out of its file.")
    return Advice("Nothing is given away until somebody says:", (f"glink resume {quote(project)}",))
