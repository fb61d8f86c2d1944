"""Following a run until it has settled: live on a terminal, plain lines into a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from glink.cli.source import Source
from glink.clock import wait_for
from glink.event import Record
from glink.reporters.console import line_of
from glink.words import escaped

LOOK_SECONDS = 0.05


@dataclass
class Progress:
    """What the followed run looks like so far. `steps`: id -> (status, agent, seconds)."""

    project: str
    run: int
    total: int
    steps: dict[str, tuple[str, str, float]] = field(default_factory=dict)
    status: str = ""
    cost: float = 0.0

    def take(self, record: Record) -> None:
        """Take in one record of the project."""
        data, step = record.get("data", {}), record.get("step", "")
        agent = self.steps.get(step, ("", "", 0.0))[1]
        match record["type"]:
            case "step.dispatched":
                self.steps[step] = ("running", data["agent"], 0.0)
            case "step.succeeded" | "step.failed":
                self.steps[step] = (record["type"].removeprefix("step."), agent, data.get("seconds", 0.0))
                self.cost += (data.get("usage") or {}).get("cost_usd") or 0.0
            case "step.restored" | "step.skipped" | "step.cancelled" | "step.parked":
                self.steps[step] = (record["type"].removeprefix("step."), agent, 0.0)
            case "run.settled" if record["run"] >= self.run:
                self.status = data["status"]
            case _:
                pass

    @property
    def done(self) -> int:
        """How many steps of this run are over."""
        return sum(status not in ("running", "failed") for status, _, _ in self.steps.values())


@dataclass(frozen=True)
class Watch:
    """Whom to watch, where, and whether to say nothing meanwhile. `total` steps are expected."""

    source: Source
    project: str
    total: int
    quiet: bool = False


def follow(watch: Watch, progress: Progress, after: int, over: Callable[[], bool]) -> str:
    """Show what happens after seq `after` until the run has settled (its status) or `over` says so ("")."""
    records = _until_settled(watch, progress, after, over)
    if sys.stdout.isatty() and not watch.quiet:
        _live(records, progress)
        return progress.status
    for record in records:
        if not watch.quiet and (line := line_of(record)) is not None:
            print(line, flush=True)
    return progress.status


def _until_settled(watch: Watch, progress: Progress, after: int, over: Callable[[], bool]) -> Iterator[Record]:
    last, ended = after, False
    while True:
        for record in watch.source.events(watch.project, last, follow=False, stop=lambda: False):
            last = record["seq"]
            progress.take(record)
            yield record
            if progress.status:
                return
        if ended:
            return
        ended = over()
        wait_for(lambda: False, seconds=0 if ended else LOOK_SECONDS, every=LOOK_SECONDS)


def _live(records: Iterator[Record], progress: Progress) -> None:
    from rich.console import Group
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    styles = {"running": "yellow", "succeeded": "green", "failed": "red", "restored": "cyan", "cancelled": "magenta"}

    def picture() -> Any:
        steps = Table(box=None, pad_edge=False, show_header=False)
        for step, (status, agent, seconds) in progress.steps.items():
            took = f"{seconds:.1f} s" if seconds else ""
            steps.add_row(Text(escaped(step)), Text(status, styles.get(status, "dim")), Text(escaped(agent)), took)
        cost = f"   ${progress.cost:.2f}" if progress.cost else ""
        title = Text(f"{progress.project} #{progress.run}   {progress.done}/{progress.total} steps{cost}", "bold")
        return Group(title, ProgressBar(total=max(progress.total, 1), completed=progress.done, width=40), steps)

    with Live(picture(), refresh_per_second=10) as live:
        for _ in records:
            live.update(picture())
        live.update(picture())
