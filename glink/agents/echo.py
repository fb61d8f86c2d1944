"""The kind `echo`: answers with the task's own text. For trying things out, rehearsals and tests.

    agent-a: {type: echo}
    slow: {type: echo, delay: 2s}
    broken: {type: echo, fail: transient}        # or a message: then it is agent_failed

Instant unless it has a `delay`. Costs nothing, keeps nothing, is never adopted.
"""

from __future__ import annotations

import math
import select
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from glink.agents.agent import Adoption, Control, ErrorClass, Outcome, Task
from glink.agents.message import clipped
from glink.clock import SystemClock
from glink.limits import Limits
from glink.loading.duration import Duration
from glink.roster import AgentSpec

_CLOCK = SystemClock()


class EchoOptions(BaseModel):
    """The keys of the configuration that belong to this kind. `delay` is a duration (`250ms`, `2s`, 3)."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    delay: Duration = 0.0
    fail: Annotated[str, Field(min_length=1)] | None = None


class EchoAgent:
    """Answers with the task without its appended context, or fails as it was told to."""

    free = True
    adoptable = False
    foldered = False
    options = EchoOptions

    def __init__(self, options: EchoOptions, limits: Limits) -> None:
        self.instant = options.delay == 0
        self._delay = options.delay
        self._failure = _failure_of(options.fail, limits)

    @classmethod
    def of(cls, spec: AgentSpec, *, base: Path, limits: Limits) -> EchoAgent:  # noqa: ARG003 - every kind has them
        """The agent of a declaration; pydantic.ValidationError when its options are wrong."""
        return cls(EchoOptions.model_validate(dict(spec.options)), limits)

    def run(self, task: Task, control: Control) -> Outcome:
        if self.instant:
            return self._failure or Outcome(output=task.bare)
        start = _CLOCK.boot_time()
        outcome = self._interruption(task, control) or self._failure or Outcome(output=task.bare)
        return replace(outcome, seconds=_CLOCK.boot_time() - start)

    def examine(self, folder: Path, *, same_boot: bool) -> Adoption:
        return Adoption.NEVER_STARTED

    def adopt(self, task: Task, control: Control) -> Outcome:
        return Outcome.failed(ErrorClass.LOST, "no-record", "an echo ends with its engine")

    def _interruption(self, task: Task, control: Control) -> Outcome | None:
        """Wait as long as was asked for; what ended it before, if anything did."""
        # Nothing is written while it waits, so the idle limit counts from the start as well.
        bounds = {"run": task.run_seconds, "idle": task.idle_seconds}
        nearest = min((seconds, code) for code, seconds in {**bounds, "": self._delay}.items() if seconds is not None)
        poller = select.poll()
        poller.register(control.fileno(), select.POLLIN)
        poller.poll(math.ceil(nearest[0] * 1000))
        if control.cancelled:
            return Outcome.failed(ErrorClass.CANCELLED, "cancelled", "cancelled")
        if control.detached:
            return Outcome.failed(ErrorClass.LOST, "detached", "ends with its engine")
        if nearest[1]:
            return Outcome.failed(ErrorClass.TIMEOUT, nearest[1], f"said nothing for {nearest[0]} s")
        return None


def _failure_of(fail: str | None, limits: Limits) -> Outcome | None:
    """`fail` is a class of the closed set, or the message of an `agent_failed`."""
    if fail is None:
        return None
    if fail in set(ErrorClass):
        return Outcome.failed(ErrorClass(fail), "rehearsal", "a rehearsed failure")
    return Outcome.failed(ErrorClass.AGENT_FAILED, "rehearsal", clipped(fail, limits.message_bytes))
