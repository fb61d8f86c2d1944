"""The kind `python`: a function of the operator's, `call(task) -> str | dict | list`.

    counter: {type: python, call: "mypackage.agents:count"}

The function runs in a worker process that can be killed (`python_worker`). Its module is looked for where the engine's
Python finds modules, then in the config's folder. `inline: true` calls it in the agent's thread instead, without a
process: for tests and small glue. Nothing can kill it there: a cancel and a deadline are heard when it returns, and it
is gone with the engine. Costs nothing.

A function says no by raising `glink.agents.call.AgentFailed`; any other exception is class `internal`.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

import glink
from glink import jsontext
from glink.agents import adoption, environment, process, verdict
from glink.agents.agent import Adoption, Control, ErrorClass, Outcome, Task
from glink.agents.call import outcome_in, perform
from glink.agents.process import Ended, Launch
from glink.agents.program import refused_variables
from glink.agents.python_worker import RECORD
from glink.agents.waiting import Attempt, Ending
from glink.clock import SystemClock
from glink.limits import Limits
from glink.roster import AgentSpec

_CLOCK = SystemClock()

# -P: the working directory is the agents', no module is taken from there. The worker finds Glink, installed or not (last,
# so that nothing beside it takes an installed module's place), without a variable that its own children would inherit.
_START = "import sys; sys.path.append(sys.argv.pop(1)); from glink.agents.python_worker import main; main()"
_HOME = str(Path(glink.__file__).parents[1])

_NOT_HANDED_OVER = frozenset(("folder", "program"))


class PythonOptions(BaseModel):
    """The keys of the configuration that belong to this kind."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    call: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*\z")]
    inline: bool = False


class PythonAgent:
    """A declared function, each call in a worker process of its own."""

    instant = False
    free = True
    adoptable = False
    foldered = True
    options = PythonOptions

    def __init__(self, call: str, *, base: Path, passed: dict[str, str], limits: Limits) -> None:
        self._call = call
        self._base = str(base)
        self._passed = passed
        self._limits = limits

    @classmethod
    def of(cls, spec: AgentSpec, *, base: Path, limits: Limits) -> PythonAgent | InlineAgent:
        """The agent of a declaration; pydantic.ValidationError when its options are wrong."""
        options = PythonOptions.model_validate(dict(spec.options))
        if options.inline:
            return InlineAgent(options.call, base=base, limits=limits)
        return cls(options.call, base=base, passed=environment.inherited(spec.env), limits=limits)

    def run(self, task: Task, control: Control) -> Outcome:
        attempt = Attempt.of(task, self._limits)
        if steering := environment.steering(task.env):
            return refused_variables(steering)
        argv = (sys.executable, "-P", "-c", _START, _HOME, self._call, self._base)
        env = environment.of_attempt(task, attempt.folder, self._passed, task.env)
        try:
            ended = process.run(attempt, Launch(argv, env, _handed_over(task, self._limits)), control)
        except (OSError, ValueError) as error:
            return verdict.not_started(error, argv[0], attempt)
        return self._judge(ended, attempt)

    def examine(self, folder: Path, *, same_boot: bool) -> Adoption:
        return adoption.examine(folder, same_boot=same_boot, record=RECORD, synced=True)

    def adopt(self, task: Task, control: Control) -> Outcome:
        attempt = Attempt.of(task, self._limits)
        return self._judge(adoption.adopt(attempt, control, record=RECORD), attempt)

    def _judge(self, ended: Ended, attempt: Attempt) -> Outcome:
        """By its record; a worker that left none, by how it ended."""
        outcome = None
        if ended.ending is Ending.EXITED:
            # An answer is encoded once more in its record: quotes and escapes may make it longer than itself.
            record = adoption.read_record(attempt.folder, RECORD, 6 * self._limits.output_bytes)
            outcome = None if record is None else outcome_in(record, self._limits)
        if outcome is None:
            outcome = verdict.failure_of(ended, attempt)
        if outcome is None:
            outcome = Outcome.failed(ErrorClass.INVALID_OUTPUT, "no-record", "the worker exited without an answer")
        return dataclasses.replace(outcome, seconds=ended.seconds)


class InlineAgent:
    """A declared function, called where the agent's thread stands."""

    instant = False
    free = True
    adoptable = False
    foldered = False

    def __init__(self, call: str, *, base: Path, limits: Limits) -> None:
        self._call = call
        self._base = str(base)
        self._limits = limits

    def run(self, task: Task, control: Control) -> Outcome:
        start = _CLOCK.boot_time()
        outcome = perform(self._call, self._base, task, self._limits)
        seconds = _CLOCK.boot_time() - start
        if control.cancelled:
            outcome = Outcome.failed(ErrorClass.CANCELLED, "cancelled", "cancelled")
        elif task.run_seconds is not None and seconds > task.run_seconds:
            outcome = Outcome.failed(ErrorClass.TIMEOUT, "run", f"ran longer than {task.run_seconds} s")
        outcome.seconds = seconds
        return outcome

    def examine(self, folder: Path, *, same_boot: bool) -> Adoption:
        return Adoption.LOST

    def adopt(self, task: Task, control: Control) -> Outcome:
        return Outcome.failed(ErrorClass.LOST, "no-record", "a function called inline ends with its engine")


def _handed_over(task: Task, limits: Limits) -> bytes:
    """The task as the worker reads it: all of it but what belongs to the engine."""
    fields: dict[str, Any] = {
        field.name: getattr(task, field.name)
        for field in dataclasses.fields(task)
        if field.name not in _NOT_HANDED_OVER
    }
    fields = {name: dict(value) if isinstance(value, Mapping) else value for name, value in fields.items()}
    return jsontext.dumps({"task": fields, "limits": limits._asdict()})
