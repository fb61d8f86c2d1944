"""What the handlers need of the running engine: the composition root's `Engine` fits. Nothing else of it is theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from glink.agents.agent import Outcome
from glink.bus.bus import Bus
from glink.config import Config
from glink.reconciler.dispatch import Job
from glink.reconciler.inbox import Inbox, Result
from glink.server.health import Pulse
from glink.view import View
from glink.watch.source import Source


class Engine(Protocol):
    """Any thread but the conductor's may call it."""

    config: Config
    bus: Bus
    inbox: Inbox
    source: Source

    def look(self, question: Callable[[View], Any]) -> Any:
        """What the conductor's own view answers."""
        ...

    def ask(self, verb: str, project: str, arguments: dict[str, Any] | None = None, *, by: str = "") -> dict[str, Any]:
        """Put a request to the conductor; its answer once that is durable, or its refusal."""
        ...

    def tell_seeing(self, verb: str, project: str, arguments: dict[str, Any], by: str) -> dict[str, Any]:
        """`ask`, with what the files say now where that matters."""
        ...

    def offers(self, project: str) -> dict[str, int]:
        """Steps of a project that wait for a claim, and the seq of each offer."""
        ...

    def agent_of(self, project: str, step: str) -> str:
        """Who did a step last. For the conductor's thread."""
        ...

    def job_in_flight(self, project: str, step: str, fence: int) -> Job | None:
        """The job of an attempt, made again; None when the fence is not current."""
        ...

    def judged(self, job: Job, outcome: Outcome) -> Result:
        """What an outcome comes to that was brought from outside."""
        ...

    def now(self) -> float:
        """Seconds since 1970, on the engine's clock."""
        ...

    def housekeeping(self) -> tuple[int, int, int]:
        """How often retention, the writing of a checkpoint, and that of a mark for other processes, failed."""
        ...

    def pulse(self) -> Pulse:
        """How the engine is; waits for nothing."""
        ...
