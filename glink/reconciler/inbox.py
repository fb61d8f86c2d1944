"""Where everything that happens is put for the conductor: requests, outcomes, observations, the tick of a timer.

Any thread puts, one thread takes. A bare lock is the wake-up: it costs a third of a condition variable's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Any


@dataclass(slots=True)
class Result:
    """What became of an attempt: the type and data of the event that will say so. Made in the agent's thread."""

    project: str
    step: str
    fence: int
    agent: str
    type: str
    data: dict[str, Any]


@dataclass(slots=True)
class Asked:
    """What somebody waits for an answer to."""

    answer: Any = None
    error: Exception | None = None
    done: Event = field(default_factory=Event)

    def refuse(self, error: Exception) -> None:
        """Answer with an error."""
        self.error = error
        self.done.set()

    def wait(self, seconds: float | None = None) -> Any:
        """The answer; raises the refusal, or TimeoutError."""
        if not self.done.wait(seconds):
            raise TimeoutError
        if self.error is not None:
            raise self.error
        return self.answer


@dataclass(slots=True, kw_only=True)
class Request(Asked):
    """A control verb with its arguments; answered once what it asked for is durable, or refused."""

    verb: str
    project: str
    arguments: dict[str, Any] = field(default_factory=dict)
    by: str = ""


@dataclass(slots=True, kw_only=True)
class Look(Asked):
    """A question about the present state; `question` is asked after the pass, when what it sees is durable."""

    question: Callable[[], Any]

    def perform(self) -> None:
        """Ask, and answer whoever waits."""
        try:
            self.answer = self.question()
        except Exception as error:  # whatever it is belongs to who asked; the conductor goes on
            self.error = error
        self.done.set()


@dataclass(frozen=True, slots=True)
class Stop:
    """Drain and end: running steps get `grace` seconds, then are left running, or killed."""

    grace: float
    kill: bool = False


class Inbox:
    """A queue of many putters and one taker."""

    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self._wake = Lock()
        self._wake.acquire()

    def put(self, item: Any) -> None:
        """Add an item and wake the conductor."""
        self._items.append(item)
        self.wake()

    def wake(self) -> None:
        """Let `take` return even if there is nothing."""
        try:
            self._wake.release()
        except RuntimeError:
            return  # already awake

    def take(self, seconds: float | None) -> list[Any]:
        """All there is, in order of arrival; waits up to `seconds` (None: for ever) for the first."""
        items = self._items
        if not items and seconds != 0:
            self._wake.acquire(timeout=-1 if seconds is None else min(max(seconds, 0), 3600))
        taken = []
        while items:
            taken.append(items.popleft())
        return taken

    def put_back(self, items: deque[Any]) -> None:
        """The conductor's: what it cannot take yet comes first again, in its order."""
        self._items.extendleft(reversed(items))

    def __len__(self) -> int:
        return len(self._items)
