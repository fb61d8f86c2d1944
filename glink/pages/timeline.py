"""The last run as a timeline: one line for each step that did something, a bar for each attempt. Pure; called by the pages.

Positions are percent of the run's length, so that the template needs no arithmetic and the bars stretch with the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from glink.clock import seconds_of
from glink.pages.attention import Sign
from glink.pages.past import Attempt, Past
from glink.pages.shown import span

_STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800,
          3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800)  # fmt: skip
TICKS = 6
LEAST = 0.35


@dataclass(frozen=True, slots=True)
class Bar:
    """One attempt: `left` and `width` in percent."""

    left: float
    width: float
    sign: Sign
    label: str


@dataclass(frozen=True, slots=True)
class Lane:
    """One step's bars; `length` is the time that its attempts took, in words."""

    step: str
    agent: str
    sign: Sign
    bars: tuple[Bar, ...]
    length: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """One run; `ticks` are (percent, words); `left_out` attempts are not shown."""

    number: int
    status: str
    began: str
    length: str
    lanes: tuple[Lane, ...]
    ticks: tuple[tuple[float, str], ...]
    left_out: int


def timeline(past: Past, now: float) -> Timeline | None:
    """The newest run; what is in flight goes on until `now`. None when nothing is known of a run."""
    run = past.run
    if run is None or not past.attempts:
        return None
    known: Mapping[str, float] = _Times()
    start = min(known[one.began] for one in past.attempts.values())
    end = max(
        [known[run.ended] if run.ended else now, *(known[one.ended or one.began] for one in past.attempts.values())]
    )
    length = max(end - start, 1e-6)
    by_step: dict[str, list[Attempt]] = {}
    for one in past.attempts.values():
        by_step.setdefault(one.step, []).append(one)
    lanes = tuple(_lane(step, tried, known, start, end) for step, tried in by_step.items())
    return Timeline(run.number, run.status, run.began, span(length), lanes, _ticks(length), past.left_out)


class _Times(dict[str, float]):
    """Seconds of times on the bus, each read once."""

    def __missing__(self, text: str) -> float:
        self[text] = seconds = seconds_of(text)
        return seconds


def _lane(step: str, tried: list[Attempt], known: Mapping[str, float], start: float, end: float) -> Lane:
    length = end - start or 1e-6
    bars, took = [], 0.0
    for one in tried:
        began, ended = known[one.began], known[one.ended] if one.ended else end
        took += ended - began
        width = max((ended - began) / length * 100, LEAST)
        left = min((began - start) / length * 100, 100 - LEAST)
        what = one.note or ("at work for" if not one.ended else one.sign)
        again = f"attempt {one.number}, " if one.number > 1 else ""
        label = f"Step {step}: {again}{what} {'' if one.note else span(ended - began)}".rstrip()
        bars.append(Bar(round(left, 3), round(min(width, 100 - left), 3), Sign(one.sign), label))
    last = tried[-1]
    return Lane(step, last.agent, Sign(last.sign), tuple(bars), last.note or span(took))


@cache
def _nice(least: float) -> float:
    return next((one for one in _STEPS if one >= least), _STEPS[-1])


def _ticks(length: float) -> tuple[tuple[float, str], ...]:
    step = _nice(length / TICKS)
    count = min(int(length / step), 3 * TICKS)
    return tuple((round(one * step / length * 100, 3), span(one * step) if one else "0") for one in range(count + 1))
