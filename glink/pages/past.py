"""What a page shows of the past, folded from the newest records: recent runs, the last run's attempts, the last events.

`Pasts` takes records in order, from the start of the engine on (and a bounded number of those before). Memory is
bounded for each project by `limits.page_runs`, `page_attempts` and `page_events`. Pure but for what it holds; one
thread at a time. Called by `files` and by whoever serves pages.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from glink.event import Record
from glink.limits import Limits
from glink.reporters.news import news_of
from glink.words import escaped

EVENT_CHARACTERS = 400
_ENDS = {"step.succeeded": "done", "step.failed": "failed", "step.cancelled": "cancelled"}
_MOMENTS = {"step.restored": "done", "step.skipped": "skipped"}


@dataclass(slots=True)
class Attempt:
    """One try of a step. Times are as on the bus; `ended` is empty while it is in flight; `sign` says how it ended."""

    step: str
    number: int
    agent: str
    began: str
    ended: str = ""
    sign: str = "running"
    note: str = ""


@dataclass(slots=True)
class PastRun:
    """One run. `status` is `running` until it settles."""

    number: int
    began: str
    ended: str = ""
    status: str = "running"


@dataclass(frozen=True, slots=True)
class Said:
    """One event in words."""

    seq: int
    time: str
    type: str
    run: int | None
    step: str | None
    text: str


@dataclass(slots=True)
class Past:
    """One project's: runs oldest first, attempts of the newest run by fence (or seq), events oldest first."""

    runs: list[PastRun] = field(default_factory=list)
    attempts: dict[int, Attempt] = field(default_factory=dict)
    events: list[Said] = field(default_factory=list)
    left_out: int = 0

    @property
    def run(self) -> PastRun | None:
        """The newest run."""
        return self.runs[-1] if self.runs else None


class Pasts:
    """All projects'. `seq` is the last record that was taken."""

    def __init__(self, limits: Limits) -> None:
        self.seq = 0
        self._limits = limits
        self._projects: dict[str, Past] = {}
        self._types: dict[str, str] = {}

    @classmethod
    def of(cls, records: Iterable[Record], limits: Limits) -> Pasts:
        pasts = cls(limits)
        pasts.take(records)
        return pasts

    def of_project(self, project: str) -> Past:
        """What is known of a project, maybe nothing."""
        return self._projects.get(project) or Past()

    def take(self, records: Iterable[Record]) -> set[str]:
        """Take more records, in order; the projects that they are about."""
        touched = set()
        for record in records:
            if record["seq"] <= self.seq:
                continue
            self.seq = record["seq"]
            if (name := record.get("project")) is not None:
                touched.add(name)
                self._fold(self._past(name), record)
        return touched

    def _past(self, name: str) -> Past:
        past = self._projects.get(name)
        if past is None:
            past = self._projects[name] = Past()
        return past

    def _fold(self, past: Past, record: Record) -> None:
        _enter(past, record)
        del past.runs[: -self._limits.page_runs]
        self._try(past, record)
        news = news_of(record)
        if news is not None:
            text = news.text
            said = escaped(text[:EVENT_CHARACTERS]) + ("…" if len(text) > EVENT_CHARACTERS else "")
            kind = self._types.setdefault(record["type"], record["type"])  # one text for all that are equal
            past.events.append(Said(record["seq"], record["time"], kind, record.get("run"), record.get("step"), said))
            del past.events[: -self._limits.page_events]

    def _try(self, past: Past, record: Record) -> None:
        """What the record says of an attempt of the newest run."""
        kind = record["type"]
        if kind == "step.dispatched":
            attempt = Attempt(record["step"], record["attempt"], record["data"]["agent"], record["time"])
            self._keep(past, record["seq"], attempt)
        elif (sign := _ENDS.get(kind)) is not None:
            found = past.attempts.get(record.get("fence", 0))
            if found is not None:
                found.ended, found.sign = record["time"], sign
            elif kind == "step.failed" and not record.get("fence"):
                self._moment(past, record, sign)
        elif (sign := _MOMENTS.get(kind)) is not None:
            self._moment(past, record, sign)

    def _moment(self, past: Past, record: Record, sign: str) -> None:
        note = "restored" if record["type"] == "step.restored" else ""
        moment = Attempt(record["step"], 0, "", record["time"], record["time"], sign, note)
        self._keep(past, record["seq"], moment)

    def _keep(self, past: Past, key: int, attempt: Attempt) -> None:
        if len(past.attempts) < self._limits.page_attempts:
            past.attempts[key] = attempt
        else:
            past.left_out += 1


def _enter(past: Past, record: Record) -> None:
    """Open and close runs as the fold does: a request behind an open run waits, a step's number opens one."""
    number, kind, newest = record.get("run"), record["type"], past.run
    if number is None:
        return
    open_run = newest is not None and not newest.ended
    asked = kind == "run.requested" and record.get("data", {}).get("steps") is None
    if (newest is None or number > newest.number) and not (asked and open_run) and kind != "run.settled":
        past.runs.append(PastRun(number, record["time"]))
        past.attempts, past.left_out = {}, 0
    elif kind == "run.settled":
        if newest is None or newest.number != number:
            newest = PastRun(number, record["time"])
            past.runs.append(newest)
            past.attempts, past.left_out = {}, 0
        newest.ended, newest.status = record["time"], record["data"]["status"]
