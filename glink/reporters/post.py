"""One reporter's thread: news wait here, are gathered into messages, tried again, and counted.

Made by `registry`, fed by `Reporters`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Condition, Thread

from glink.clock import SystemClock
from glink.event import Record
from glink.limits import Limits
from glink.reporters.news import News, news_of, types_of
from glink.reporters.reporter import Batch, Reporter, Undelivered
from glink.reporters.rules import Rules

_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class Tally:
    """`told` and `failed` count messages, `dropped` news that found no room."""

    name: str
    told: int
    dropped: int
    failed: int


class Post:
    """A reporter with its rules. `complain` is told when messages begin to fail, in words without secrets."""

    def __init__(
        self, name: str, reporter: Reporter, rules: Rules, *, limits: Limits, complain: Callable[[str], None]
    ) -> None:
        self.name = name
        self._reporter, self._rules, self._limits, self._complain = reporter, rules, limits, complain
        self._kinds = rules.kinds(reporter.usual)
        self._types = types_of(self._kinds)
        self._waiting: deque[tuple[Record, Batch]] = deque()
        self._gathered: list[News] = []
        self._since = 0.0
        self._moved = Condition()
        self._ending = False
        self._failing = False
        self._told = self._dropped = self._failed = 0
        self._thread = Thread(target=self._run, name=f"reporter {name}", daemon=True)

    @property
    def tally(self) -> Tally:
        return Tally(self.name, self._told, self._dropped, self._failed)

    def start(self) -> None:
        self._thread.start()

    def take(self, batch: Batch) -> None:
        """Keep what may be news for later; what finds no room is counted. Never waits for the reporter."""
        wanted: list[tuple[Record, Batch]] = []
        if types := self._types:
            beside = replace(batch, records=())  # what waits must not keep what nobody waits for
            wanted = [(one, beside) for one in batch.records if one["type"] in types]
        if wanted:
            with self._moved:
                room = max(self._limits.report_queue - len(self._waiting), 0)
                self._waiting.extend(wanted[:room])
                self._dropped += len(wanted[room:])
                self._moved.notify()

    def end(self) -> None:
        """Tell what waits and is gathered, without waiting for more."""
        with self._moved:
            self._ending = True
            self._moved.notify()

    def join(self) -> None:
        self._thread.join(self._limits.report_seconds)

    # In the thread.

    def _run(self) -> None:
        while True:
            waiting, ending = self._next()
            for record, batch in waiting:
                if (news := self._news(record, batch)) is not None:
                    self._since = self._since if self._gathered else _CLOCK.boot_time()
                    self._gathered.append(news)
                    if len(self._gathered) >= self._limits.report_group:
                        self._tell()
            if ending or self._left() <= 0:
                self._tell()
            if ending and not waiting:
                return

    def _next(self) -> tuple[Sequence[tuple[Record, Batch]], bool]:
        """All that waits, once something does, a group is due, or the end has come."""
        with self._moved:
            if not (self._waiting or self._ending):
                self._moved.wait(self._left() if self._gathered else None)
            waiting = list(self._waiting)
            self._waiting.clear()
            return waiting, self._ending

    def _left(self) -> float:
        """Seconds until what was gathered is told."""
        return max(self._since + self._rules.group - _CLOCK.boot_time(), 0.0)

    def _news(self, record: Record, batch: Batch) -> News | None:
        seq = record["seq"]
        if seq in batch.repeated:
            return None
        labels = batch.labels.get(record.get("project", ""), {})
        try:
            news = news_of(record, last=seq in batch.last, labels=labels)
        except (KeyError, TypeError, ValueError):  # a record of the right type and the wrong shape
            self._dropped += 1
            return None
        return news if news is not None and news.kind in self._kinds and self._rules.concern(news) else None

    def _tell(self) -> None:
        """What was gathered as one message; without `group` a message for each, unless the reporter streams."""
        gathered, self._gathered = self._gathered, []
        whole = self._rules.group or self._reporter.streams
        for message in [gathered] if whole and gathered else [[one] for one in gathered]:
            if self._tried(message):
                self._told += 1
            else:
                self._failed += 1

    def _tried(self, message: list[News]) -> bool:
        said = ""
        for number in range(self._reporter.tries):
            if number:
                self._pause(self._limits.report_pause * 2 ** (number - 1))
            try:
                self._reporter.report(message)
            except Undelivered as error:
                said = str(error)
            except Exception as error:  # a reporter may be anybody's: what it does wrong is counted, its text not shown
                said = type(error).__name__
            else:
                self._failing = False
                return True
        if not self._failing:
            self._failing = True
            self._complain(f"{self.name}: a message did not arrive: {said}")
        return False

    def _pause(self, seconds: float) -> None:
        with self._moved:
            if not self._ending:
                self._moved.wait_for(lambda: self._ending, seconds)
