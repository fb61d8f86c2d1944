"""The kind `command`: a program of the operator's that takes a prompt and answers on stdout.

    lint: {type: command, command: [ruff, check, "-"], prompt: stdin, format: text, exit_codes: {1: agent_failed}}

`command` is an argv, never a line for a shell; an entry that begins with `./` is relative to the config's folder. The
prompt goes in by stdin, or (`prompt: file`) as a file whose path is the last argument. The answer is stdout: as text
without the newline at its end, or (`format: json`) as the JSON value that it is. Exit 0 with an answer is success; an
exit code in `exit_codes` means the class written there, 126 and 127 mean `config`, others `agent_failed`; an end by a
signal that nobody here sent is `internal`.

`exit_record: true` has the exit code written down, by a line of `sh` around the argv: then a program that ended while
no engine ran is judged by it; without it such an attempt is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from glink.agents import adoption, environment, process, verdict
from glink.agents.agent import Adoption, Control, ErrorClass, Outcome, Task
from glink.agents.process import Ended, Launch
from glink.agents.program import adopted, anchored, refused_variables, written
from glink.agents.program_text import reads_program_text
from glink.agents.waiting import Attempt
from glink.limits import Limits
from glink.roster import AgentSpec

Claimable = Literal[
    "throttled",
    "transient",
    "invalid_output",
    "agent_failed",
    "truncated",
    "limit",
    "refused",
    "too_large",
    "auth",
    "config",
]


def _exit_code(value: Any) -> Any:
    """A key of a mapping in YAML is text; `1` and `"1"` are the same code."""
    return int(value) if isinstance(value, str) and value.isdecimal() and value.isascii() else value


class CommandOptions(BaseModel):
    """The keys of the configuration that belong to this kind."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    command: Annotated[Sequence[str], Field(min_length=1)]
    prompt: Literal["stdin", "file"] = "stdin"
    format: Literal["text", "json"] = "text"
    exit_codes: dict[Annotated[int, BeforeValidator(_exit_code), Field(ge=1, le=255)], Claimable] = {}
    exit_record: bool = False

    @field_validator("command")
    @classmethod
    def _no_program_text(cls, argv: Sequence[str]) -> Sequence[str]:
        if not argv[0]:
            raise ValueError("the first entry names the program, it cannot be empty")
        if any("\0" in word for word in argv):
            raise ValueError("an argument cannot hold a NUL")
        if shell := reads_program_text(argv):
            raise ValueError(f"{shell} would run the task as program text; name a script file, or use a `run:` step")
        return argv


class CommandAgent:
    """A declared program. `passed` is what it gets of the engine's environment."""

    instant = False
    free = False
    adoptable = True
    foldered = True
    options = CommandOptions

    def __init__(self, options: CommandOptions, *, base: Path, passed: dict[str, str], limits: Limits) -> None:
        self._argv = anchored(options.command, base)
        self._prompt = options.prompt
        self._as_json = options.format == "json"
        self._exit_codes = {code: ErrorClass(cls) for code, cls in options.exit_codes.items()}
        self._record = process.RECORD if options.exit_record else None
        self._passed = passed
        self._limits = limits

    @classmethod
    def of(cls, spec: AgentSpec, *, base: Path, limits: Limits) -> CommandAgent:
        """The agent of a declaration; pydantic.ValidationError when its options are wrong."""
        options = CommandOptions.model_validate(dict(spec.options))
        return cls(options, base=base, passed=environment.inherited(spec.env), limits=limits)

    def run(self, task: Task, control: Control) -> Outcome:
        attempt = Attempt.of(task, self._limits)
        prompt = task.text.encode("utf-8", "replace")
        argv, stdin = self._argv, prompt
        if steering := environment.steering(task.env):
            return refused_variables(steering)
        try:
            if self._prompt == "file":
                argv, stdin = (*argv, written(attempt.folder, "prompt", prompt)), b""
            env = environment.of_attempt(task, attempt.folder, self._passed, task.env)
            ended = process.run(attempt, Launch(argv, env, stdin, self._record is not None), control)
        except (OSError, ValueError) as error:
            return verdict.not_started(error, argv[0], attempt)
        return self._judge(ended, attempt)

    def examine(self, folder: Path, *, same_boot: bool) -> Adoption:
        return adoption.examine(folder, same_boot=same_boot, record=self._record, synced=False)

    def adopt(self, task: Task, control: Control) -> Outcome:
        attempt = Attempt.of(task, self._limits)
        ended = adopted(attempt, control, self._record)
        return self._judge(ended, attempt)

    def _judge(self, ended: Ended, attempt: Attempt) -> Outcome:
        return verdict.judge(ended, attempt, exit_codes=self._exit_codes, as_json=self._as_json)
