"""What is wrong and what waits for somebody, one card each: where, why, and what to do. Pure; called by both pages' models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from glink.pages.attention import (
    INVALID,
    Advice,
    Sign,
    advice_on,
    is_broken,
    sign_of,
    suspended_advice,
    waits_for_person,
)
from glink.report import Report, Row
from glink.words import in_words

PER_PROJECT = 3
_TOLD = frozenset({"exhausted", "stalled", "unknown_outcome"})
_ABOUT_AGENT = frozenset({"agent_paused", "no_worker"})


@dataclass(frozen=True, slots=True)
class Card:
    """One thing. `steps` are all that it is about; `errors` are problems of a project's files with their lines."""

    project: str
    sign: Sign
    steps: tuple[str, ...]
    agent: str
    why: str
    message: str
    advice: Advice | None
    errors: tuple[dict[str, Any], ...] = ()

    @property
    def broken(self) -> bool:
        return self.sign is Sign.FAILED


def cards_of(report: Report) -> list[Card]:
    """Broken things first, in the order of the file. What has one cause and one cure for many steps is one card."""
    failed = [row for row in report.steps if is_broken(row)]
    waiting = [row for row in report.steps if waits_for_person(row) and row.reason != "suspended"]
    cards = [_card(report, rows) for rows in [*_alike(failed), *_alike(waiting)]]
    if report.errors:
        cards.insert(0, Card(report.project, Sign.FAILED, (), "", "", "", INVALID, report.errors))
    if (corrupt := report.condition("BusCorrupt")) is not None:
        cards.insert(0, Card(report.project, Sign.FAILED, (), "", "events may be lost", corrupt.message, None))
    if (held := report.condition("Suspended")) is not None:
        stopped = tuple(row.step for row in report.steps if row.reason == "suspended")
        advice = suspended_advice(report.project, by_file=held.reason == "ByFile")
        cards.append(Card(report.project, Sign.PERSON, stopped, "", held.message, "", advice))
    return cards


def caret(error: dict[str, Any]) -> str:
    """The line under a source line that points at the column."""
    return " " * max(int(error.get("column") or 1) - 1, 0) + "^"


def _alike(rows: Sequence[Row]) -> Iterable[list[Row]]:
    together: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        own = (row.agent, row.detail) if row.reason in _TOLD else (row.agent,) if row.reason in _ABOUT_AGENT else ()
        together.setdefault((row.reason, *own), []).append(row)
    return together.values()


def _card(report: Report, rows: Sequence[Row]) -> Card:
    first = rows[0]
    steps = tuple(row.step for row in rows)
    agent = first.agent if len({row.agent for row in rows}) == 1 else ""
    message = first.detail if first.reason in _TOLD else ""
    advice = advice_on(report.project, first, alone=len(rows) == 1)
    return Card(report.project, sign_of(first), steps, agent, in_words(first.reason), message, advice)
