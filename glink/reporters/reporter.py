"""The seam to whoever tells people: a reporter gets each durable record once, in order, in a thread of its own.

A slow or failing reporter never holds up a step: its queue is bounded, and what it could not take is counted.
"""

from __future__ import annotations

from queue import Full, Queue
from threading import Thread
from typing import Protocol

from glink.event import Record

QUEUE = 1_000


class Reporter(Protocol):
    """Tells people. Called from one thread."""

    def report(self, records: list[Record]) -> None:
        """Tell of these records; may raise, which is counted."""
        ...


class Reporters:
    """Hands each batch of records to every reporter. `dropped` and `failed` count batches."""

    def __init__(self, reporters: list[Reporter]) -> None:
        self.dropped = 0
        self.failed = 0
        self._reporters = reporters
        self._queue: Queue[list[Record] | None] = Queue(QUEUE)
        self._thread = Thread(target=self._run, name="reporters", daemon=True)
        self._thread.start()

    def hear(self, records: list[Record]) -> None:
        """Take a batch; never waits."""
        try:
            self._queue.put_nowait(records)
        except Full:
            self.dropped += 1

    def close(self) -> None:
        """Tell what is left, and end."""
        self._queue.put(None)
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while (records := self._queue.get()) is not None:
            for reporter in self._reporters:
                try:
                    reporter.report(records)
                except Exception:  # a reporter may be anybody's; what it does wrong is counted, not passed on
                    self.failed += 1
