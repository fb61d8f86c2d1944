"""The model of the overview: all projects, what waits for somebody, what is broken, what is under way. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from glink.clock import seconds_of
from glink.pages.attention import WORDS, Sign, Standing, sign_of, standing_of
from glink.pages.cards import PER_PROJECT, Card, cards_of
from glink.pages.past import Past, PastRun, Pasts
from glink.pages.shown import count, span
from glink.report import Report

SPARK_BAR, SPARK_HEIGHT, SPARK_LEAST = 6, 22, 5
PART_LEAST = 0.04
_IN_BAR = (
    Sign.DONE,
    Sign.SKIPPED,
    Sign.RUNNING,
    Sign.QUEUED,
    Sign.WAITING,
    Sign.BLOCKED,
    Sign.CANCELLED,
    Sign.PERSON,
    Sign.FAILED,
)


@dataclass(frozen=True, slots=True)
class Spark:
    """One run in a sparkline: a bar from the bottom, as high as the run was long."""

    x: int
    height: float
    status: str


@dataclass(frozen=True, slots=True)
class Part:
    """How many steps have one sign; `left` and `width` in percent of the bar, each part wide enough to be seen."""

    sign: Sign
    word: str
    number: int
    left: float
    width: float


@dataclass(frozen=True, slots=True)
class Line:
    """One project. `parts` make its bar; `at_work` are (step, agent, since); `spark_label` says it in words."""

    report: Report
    standing: Standing
    done: int
    total: int
    parts: tuple[Part, ...]
    run: dict[str, Any] | None
    length: str
    spark: tuple[Spark, ...]
    spark_label: str
    at_work: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """The page. `more` counts cards that are left out."""

    lines: tuple[Line, ...]
    counts: dict[str, int]
    standing: Standing
    verdict: str
    waits: tuple[Card, ...]
    broken: tuple[Card, ...]
    more_waits: int
    more_broken: int
    running: tuple[Line, ...]


def overview(reports: Sequence[Report], pasts: Pasts, *, cards: int) -> Overview:
    """The model; `cards` is how many things are shown one by one."""
    lines = tuple(_line(one, pasts.of_project(one.project)) for one in sorted(reports, key=lambda one: one.project))
    counts = Counter(line.standing for line in lines)
    waits: list[Card] = []
    broken: list[Card] = []
    all_waits = all_broken = 0
    for line in lines:
        if line.standing is Standing.GONE:
            continue
        found = cards_of(line.report)
        bad = [card for card in found if card.broken]
        calm = [card for card in found if not card.broken]
        broken += bad[:PER_PROJECT]
        waits += calm[:PER_PROJECT]
        all_broken, all_waits = all_broken + len(bad), all_waits + len(calm)
    return Overview(
        lines=lines,
        counts={standing: counts[standing] for standing in Standing},
        standing=next((one for one in Standing if counts[one]), Standing.FINE),
        verdict=_verdict(counts, all_waits),
        waits=tuple(waits[:cards]),
        broken=tuple(broken[:cards]),
        more_waits=all_waits - min(len(waits), cards),
        more_broken=all_broken - min(len(broken), cards),
        running=tuple(line for line in lines if line.at_work),
    )


def _verdict(counts: Counter[Standing], waits: int) -> str:
    parts = []
    if counts[Standing.BROKEN]:
        parts.append(f"{count(counts[Standing.BROKEN], 'project')} broken")
    if waits:
        parts.append(f"{count(waits, 'thing')} {'waits' if waits == 1 else 'wait'} for you")
    if counts[Standing.RUNNING]:
        noun = "" if parts else "project" if counts[Standing.RUNNING] == 1 else "projects"
        parts.append(" ".join(filter(None, (str(counts[Standing.RUNNING]), noun, "under way"))))
    if not parts:
        return "All is well" if counts.total() else "No projects yet"
    text = ", ".join(parts)
    return text[0].upper() + text[1:]


def _line(report: Report, past: Past) -> Line:
    counts = Counter(sign_of(row) for row in report.steps)
    done = sum(row.decision == "stay" for row in report.steps)
    at_work = [(row.step, row.agent, row.since) for row in report.steps if sign_of(row) is Sign.RUNNING]
    newest = past.run
    same = newest is not None and report.run is not None and newest.number == report.run["number"]
    length = span(seconds_of(newest.ended) - seconds_of(newest.began)) if same and newest and newest.ended else ""
    return Line(
        report=report,
        standing=standing_of(report),
        done=done,
        total=len(report.steps),
        parts=_parts(counts),
        run=report.run,
        length=length,
        spark=_spark(past),
        spark_label=_spark_label(past),
        at_work=tuple(at_work),
    )


def _parts(counts: Counter[Sign]) -> tuple[Part, ...]:
    there = [sign for sign in _IN_BAR if counts[sign]]
    shares = [max(counts[sign] / counts.total(), PART_LEAST) for sign in there]
    widths = [share / sum(shares) * 100 for share in shares]
    return tuple(
        Part(sign, WORDS[sign], counts[sign], round(sum(widths[:index]), 2), round(width, 2))
        for index, (sign, width) in enumerate(zip(there, widths, strict=True))
    )


def _spark(past: Past) -> tuple[Spark, ...]:
    lengths = [_length(run) for run in past.runs]
    longest = max([one for one in lengths if one is not None], default=0.0) or 1.0
    return tuple(
        Spark(
            index * SPARK_BAR,
            round(SPARK_LEAST + (SPARK_HEIGHT - SPARK_LEAST) * ((length or 0.0) / longest) ** 0.5, 1),
            run.status,
        )
        for index, (run, length) in enumerate(zip(past.runs, lengths, strict=True))
    )


def _length(run: PastRun) -> float | None:
    return seconds_of(run.ended) - seconds_of(run.began) if run.ended else None


def _spark_label(past: Past) -> str:
    if not past.runs:
        return ""
    counts = Counter(run.status for run in past.runs)
    return f"last {count(len(past.runs), 'run')}: " + ", ".join(f"{counts[one]} {one}" for one in sorted(counts))
