"""How a step reaches an agent: the protocol, the task handed over, the outcome that comes back.

Called by `glink.reconciler.dispatch` in an agent's thread (or, for an `instant` agent, where the conductor stands).
A kind of agent is one module and one row of `glink.agents.registry`; other distributions add kinds by the
entry-point group `glink.agents`. All kinds pass `tests/unit/agents/test_contract.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol


class ErrorClass(StrEnum):
    """The closed set of failures; `reconciler.policy` says which are tried again and which use an attempt."""

    THROTTLED = "throttled"
    TRANSIENT = "transient"
    TIMEOUT = "timeout"
    QUEUE_TIMEOUT = "queue_timeout"
    LOST = "lost"
    INVALID_OUTPUT = "invalid_output"
    AGENT_FAILED = "agent_failed"
    TRUNCATED = "truncated"
    LIMIT = "limit"
    REFUSED = "refused"
    TOO_LARGE = "too_large"
    AUTH = "auth"
    CONFIG = "config"
    TEMPLATE = "template"
    BUDGET = "budget"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed. `code` is short and stable (`exit-3`, `run`); `message` is for people, <= 2 KiB.

    `retry` is what a structured refusal asked for: True tries again although the class alone would not.
    `retry_at` is seconds since 1970 (throttled only).
    """

    cls: ErrorClass
    code: str
    message: str
    retry_at: float | None = None
    retry: bool = False


@dataclass(frozen=True, slots=True)
class Program:
    """What a `run:` step runs: `exec` (interpreter's argv) + script file + `args`; `stdin` is text or nothing.

    `exit_record` keeps the exit code on disk, so that the program can be judged after the engine ended before it.
    """

    exec: tuple[str, ...]
    name: str
    content: bytes
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    pass_env: tuple[str, ...] = ()
    stdin: str | None = None
    exit_record: bool = False


@dataclass(slots=True)
class Task:
    """All that an agent is given; to be read only. Not frozen: that would cost each step four times the making of it.

    `text` is the rendered task with its appended context; `bare` the same without the context. `context` is the JSON
    value of the context file ({"project", "run", "step", "params", "steps": {id: {status, output, files}}}) or None.
    `run_seconds` and `idle_seconds` bound the attempt (None: no bound). `key` is the idempotency key.
    `folder` is the attempt's own fresh folder: the working directory, with `inputs/` and `in/<step>/` filled in;
    the caller has written `context` to `folder/context.json` when it is not None. None where `Agent.foldered` gives none.
    """

    project: str
    step: str
    run: int
    attempt: int
    fence: int
    key: str
    agent: str
    text: str
    bare: str = ""
    context: Any = None
    schema: Any = None
    format: str = "text"
    with_: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    program: Program | None = None
    folder: Path | None = None
    run_seconds: float | None = None
    idle_seconds: float | None = None


@dataclass(slots=True)
class Outcome:
    """What came back; to be read only once it is handed on.

    `output` is text, or any JSON value where the agent answers with data; None when it failed.

    `usage` may hold input, output, cached, calls, cost_usd, basis. `session` names a conversation to resume.
    `artifacts` maps relative path -> sha256; the caller fills it from the attempt's folder.
    """

    output: Any = None
    failure: Failure | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Mapping[str, str] = field(default_factory=dict)
    session: str | None = None
    seconds: float = 0.0

    @classmethod
    def failed(cls, error: ErrorClass, code: str, message: str, **more: Any) -> Outcome:
        """An outcome that failed; `more` are further fields of `Failure`."""
        return cls(failure=Failure(error, code, message, **more))


class Control(Protocol):
    """What an agent hears from the engine while it works."""

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked the attempt to end: kill it, return class `cancelled`."""
        ...

    @property
    def detached(self) -> bool:
        """Whether the engine goes and leaves the attempt running: return at once, the outcome is not looked at.

        Unless its class is `cancelled`: this attempt could not be left running, and uses none.
        """
        ...

    def fileno(self) -> int:
        """A descriptor that becomes readable when `cancelled` or `detached` turns true: for poll beside a pidfd."""
        ...


class Adoption(StrEnum):
    """What became of an attempt that was in flight when the engine ended."""

    RUNNING = "running"
    FINISHED = "finished"
    NEVER_STARTED = "never_started"
    LOST = "lost"


class Agent(Protocol):
    """One kind of agent, configured. Thread-safe: `run` is called from many threads at once.

    `instant` agents only answer, from the task alone and at once: no folder, no process, no waiting, no effect. The
    conductor calls them where it stands, before the dispatch is durable, and again if the disk does not take it.
    `free` ones cost nothing (echo, scripts, python): brakes pass them by.
    `foldered` ones work in a folder of their own; the others get one only where files go in or out.
    `adoptable` ones outlive the engine when it goes (`Control.detached`); the others are cancelled then.
    """

    instant: bool
    free: bool
    adoptable: bool
    foldered: bool

    def run(self, task: Task, control: Control) -> Outcome:
        """Do the task. Never raises for what the agent did: a failure is an outcome."""
        ...

    def examine(self, folder: Path, *, same_boot: bool) -> Adoption:
        """What became of an earlier attempt, by what it left in its folder. Touches nothing."""
        ...

    def adopt(self, task: Task, control: Control) -> Outcome:
        """Wait for an attempt that `examine` called RUNNING or FINISHED, and judge it by its final record."""
        ...
