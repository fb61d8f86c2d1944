"""The model of one project's page: what is wrong, the graph, every step, the last run, what it cost, what happened. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from glink.pages.attention import WORDS, Advice, Sign, Standing, advice_on, is_broken, sign_of, standing_of
from glink.pages.cards import Card, cards_of
from glink.pages.past import Past, Said
from glink.pages.picture import Picture, picture
from glink.pages.prompts import Prompt
from glink.pages.shown import count, money, span
from glink.pages.timeline import Timeline, timeline
from glink.report import Report, Row
from glink.words import in_words

_USAGE = (("input", "tokens in"), ("output", "tokens out"), ("cached", "of them cached"), ("calls", "calls"))


@dataclass(frozen=True, slots=True)
class StepLine:
    """One step of the table. `prompt` is what its newest attempt was given, None where it is not shown."""

    row: Row
    sign: Sign
    word: str
    why: str
    length: str
    advice: Advice | None
    prompt: Prompt | None
    usage: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ProjectPage:
    """The page. `hidden_cards` counts what is wrong and not shown one by one."""

    report: Report
    standing: Standing
    verdict: str
    done: int
    broken: tuple[Card, ...]
    waits: tuple[Card, ...]
    hidden_cards: int
    picture: Picture | None
    lines: tuple[StepLine, ...]
    signs: tuple[tuple[Sign, str, int], ...]
    timeline: Timeline | None
    usage: tuple[tuple[str, str], ...]
    events: tuple[Said, ...]


def project(report: Report, past: Past, *, now: float, prompts: Mapping[int, Prompt], cards: int) -> ProjectPage:
    """The model. `prompts` are by fence; `cards` bounds what is shown one by one."""
    found = cards_of(report)
    shown = found[:cards]
    drawn = picture(report.steps) if report.steps else None
    return ProjectPage(
        report=report,
        standing=standing_of(report),
        verdict=_verdict(report),
        done=sum(row.decision == "stay" for row in report.steps),
        broken=tuple(card for card in shown if card.broken),
        waits=tuple(card for card in shown if not card.broken),
        hidden_cards=len(found) - len(shown),
        picture=drawn,
        lines=tuple(_line(report.project, row, prompts.get(row.fence)) for row in report.steps),
        signs=drawn.signs if drawn is not None else (),
        timeline=timeline(past, now),
        usage=_usage([row.usage for row in report.steps]),
        events=tuple(reversed(past.events)),
    )


def fences_to_show(report: Report, most: int) -> list[int]:
    """The dispatches whose prompts a page shows: those of steps that are not simply done first."""
    rows = sorted(report.steps, key=lambda row: sign_of(row) is Sign.DONE)
    return [row.fence for row in rows if row.fence][:most]


def _verdict(report: Report) -> str:
    standing = standing_of(report)
    if report.condition("BusCorrupt"):
        return "The bus is damaged, and events of this project may be lost: nothing is done until that is accepted."
    if standing is Standing.GONE:
        return "Its files are gone. History and answers are kept."
    counts = Counter(sign_of(row) for row in report.steps)
    if report.errors:
        stays = " What was last good stays in force." if report.steps else ""
        return f"{count(len(report.errors), 'problem')} in its files: nothing new is taken from them.{stays}"
    total, done = len(report.steps), sum(row.decision == "stay" for row in report.steps)
    match standing:
        case Standing.BROKEN:
            bad = [row.step for row in report.steps if is_broken(row)]
            behind = counts[Sign.BLOCKED]
            first = f"Step {bad[0]} failed" if len(bad) == 1 else f"{len(bad)} steps failed"
            return first + (
                f", and {count(behind, 'step')} behind {'it' if len(bad) == 1 else 'them'} cannot run."
                if behind
                else "."
            )
        case Standing.WAITS:
            waiting = counts[Sign.PERSON] + counts[Sign.CANCELLED]
            if not waiting:
                return "Suspended: nothing is given away."
            return f"{count(waiting, 'step waits', 'steps wait')} for you."
        case Standing.RUNNING:
            at_work = f"{count(counts[Sign.RUNNING], 'step')} at work, " if counts[Sign.RUNNING] else ""
            return f"{at_work}{done} of {count(total, 'step')} done."
        case _:
            return "Everything is done and up to date." if total else "Nothing is known of it yet."


def _line(project_name: str, row: Row, prompt: Prompt | None) -> StepLine:
    sign = sign_of(row)
    return StepLine(
        row=row,
        sign=sign,
        word="tolerated" if row.tolerated else WORDS[sign],
        why=in_words(
            row.reason, holder=f"step {row.holder}" if row.reason == "waiting_for" and row.holder else row.holder
        ),
        length=span(row.seconds) if row.seconds is not None else "",
        advice=advice_on(project_name, row),
        prompt=prompt,
        usage=_usage([row.usage]),
    )


def _usage(all_of_them: list[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    """Sums over what agents said that it took, in words; nothing where none said anything."""
    told = []
    for key, words in _USAGE:
        numbers = [one[key] for one in all_of_them if _is_number(one.get(key))]
        if numbers:
            told.append((words, f"{sum(numbers):,}"))
    costs = [one["cost_usd"] for one in all_of_them if _is_number(one.get("cost_usd"))]
    if costs:
        told.append(("cost", money(sum(costs))))
    return tuple(told)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
