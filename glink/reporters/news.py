"""What people are told: the closed vocabulary, and how a record of the bus becomes news.

Made by `post` in a reporter's thread; shown by the reporters. The text is one plain sentence, the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from glink.clock import text_of
from glink.event import Record
from glink.words import escaped, in_words


class Kind(StrEnum):
    """All there is to tell. `when:` of a reporter chooses among these."""

    RUN_SUCCEEDED = "run.succeeded"
    RUN_FAILED = "run.failed"
    STEP_STARTED = "step.started"
    STEP_OFFERED = "step.offered"
    STEP_SUCCEEDED = "step.succeeded"
    STEP_RETRYING = "step.retrying"
    STEP_FAILED = "step.failed"
    STEP_PARKED = "step.parked"
    STEP_HELD = "step.held"
    STEP_RESTORED = "step.restored"
    STEP_SKIPPED = "step.skipped"
    STEP_CANCELLED = "step.cancelled"
    AGENT_COOLING = "agent.cooling"
    AGENT_PAUSED = "agent.paused"
    PROJECT_CHANGED = "project.changed"
    PROJECT_ORPHANED = "project.orphaned"
    PROJECT_SUSPENDED = "project.suspended"
    PROJECT_RESUMED = "project.resumed"
    PROJECT_RELEASED = "project.released"


# What a reporter tells that was not told what to tell: that something is wrong, or waits for somebody.
TROUBLE: Final = ("run.failed", "step.failed", "step.parked", "step.held", "agent.*")


@dataclass(frozen=True, slots=True)
class News:
    """One thing to tell. `details` are plain data; `project` is empty for what concerns all of them."""

    kind: Kind
    seq: int
    time: str
    text: str
    project: str = ""
    run: int | None = None
    step: str = ""
    agent: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """Whom it is about: `team-a/news #3 step 2`, or an agent."""
        run = f" #{self.run}" if self.run is not None else ""
        step = f" step {self.step}" if self.step else ""
        return f"{self.project}{run}{step}" if self.project else f"agent {self.agent}" if self.agent else "glink"

    def as_data(self) -> dict[str, Any]:
        """All of it as JSON data; what does not apply is left out."""
        own = {"project": self.project, "run": self.run, "step": self.step, "agent": self.agent}
        said = {key: value for key, value in own.items() if value not in ("", None)}
        return {**said, "labels": dict(self.labels), "text": f"{self.subject} {self.text}", **self.details}


@dataclass(frozen=True, slots=True)
class _Source:
    """How the news of one type of record are made: their kind (the second unless `first`), sentence and details."""

    kinds: tuple[Kind, ...]
    sentence: Callable[[Record, Mapping[str, Any]], str]
    details: tuple[str, ...] = ()
    first: Callable[[Mapping[str, Any], bool], bool] = lambda data, last: True


def _plain(sentence: str) -> Callable[[Record, Mapping[str, Any]], str]:
    return lambda record, data: sentence


def _started(record: Record, data: Mapping[str, Any]) -> str:
    attempt = record.get("attempt", 1)
    again = f", attempt {attempt}" if attempt > 1 else ""
    return f"given to {data['agent']}{again}: {in_words(data['reason'])}"


def _settled(record: Record, data: Mapping[str, Any]) -> str:
    failed = data.get("failed") or ()
    which = f" (steps {', '.join(failed[:10])}{', …' if len(failed) > 10 else ''})" if failed else ""
    return f"settled: {data['status']}{which}"


_SOURCES: Final[Mapping[str, _Source]] = {
    "run.settled": _Source(
        (Kind.RUN_SUCCEEDED, Kind.RUN_FAILED),
        _settled,
        ("status", "failed", "revision", "generation"),
        lambda data, last: data["status"] == "succeeded",
    ),
    "step.dispatched": _Source((Kind.STEP_STARTED,), _started, ("reason",)),
    "step.offered": _Source((Kind.STEP_OFFERED,), lambda record, data: f"waits for a worker of {data['agent']}"),
    "step.claimed": _Source(
        (Kind.STEP_STARTED,), lambda record, data: f"claimed by {data['worker']} for {data['agent']}"
    ),
    "step.succeeded": _Source(
        (Kind.STEP_SUCCEEDED,),
        lambda record, data: f"succeeded in {data.get('seconds', 0):.2f} s",
        ("digest", "seconds", "usage"),
    ),
    "step.failed": _Source(
        (Kind.STEP_FAILED, Kind.STEP_RETRYING),
        lambda record, data: f"failed ({data['class']}, {data['code']}): {data['message']}",
        ("class", "code", "message"),
        lambda data, last: last,
    ),
    "step.parked": _Source((Kind.STEP_PARKED,), lambda record, data: f"parked: {data['message']}", ("message",)),
    "step.held": _Source((Kind.STEP_HELD,), _plain("held")),
    "step.restored": _Source((Kind.STEP_RESTORED,), _plain("restored: an earlier answer stands again")),
    "step.skipped": _Source(
        (Kind.STEP_SKIPPED,), lambda record, data: f"skipped: {in_words(data['reason'])}", ("reason",)
    ),
    "step.cancelled": _Source((Kind.STEP_CANCELLED,), _plain("cancelled"), ("by",)),
    "agent.cooling": _Source(
        (Kind.AGENT_COOLING,), lambda record, data: f"cools down until {text_of(data['until'])[:19]}Z"
    ),
    "agent.paused": _Source((Kind.AGENT_PAUSED,), _plain("is paused: its credentials were refused")),
    "workflow.changed": _Source(
        (Kind.PROJECT_CHANGED,),
        lambda record, data: f"changed: generation {data['generation']} of {data['revision']}",
        ("generation", "revision"),
    ),
    "workflow.orphaned": _Source(
        (Kind.PROJECT_ORPHANED,), _plain("orphaned: its files are gone; history and answers are kept")
    ),
    "project.suspended": _Source((Kind.PROJECT_SUSPENDED,), _plain("suspended"), ("by",)),
    "project.resumed": _Source((Kind.PROJECT_RESUMED,), _plain("resumed"), ("by",)),
    "project.released": _Source((Kind.PROJECT_RELEASED,), _plain("released"), ("by",)),
}
_NO_LABELS: Final[Mapping[str, str]] = MappingProxyType({})


def types_of(kinds: frozenset[Kind]) -> frozenset[str]:
    """The types of records that can be news of these kinds."""
    return frozenset(name for name, source in _SOURCES.items() if kinds & set(source.kinds))


def news_of(record: Record, *, last: bool = False, labels: Mapping[str, str] = _NO_LABELS) -> News | None:
    """The news in a record; None for what only the bus needs. `last` says that a failed step is not tried again."""
    source = _SOURCES.get(record["type"])
    if source is None:
        return None
    data: Mapping[str, Any] = record.get("data", {})
    return News(
        source.kinds[0 if source.first(data, last) else 1],
        record["seq"],
        record["time"],
        escaped(source.sentence(record, data)),
        record.get("project", ""),
        record.get("run"),
        record.get("step", ""),
        data.get("agent", ""),
        labels,
        {key: data[key] for key in source.details if key in data},
    )
