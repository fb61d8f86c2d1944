"""A python agent's call: finding the function, calling it with the task, and putting what it did into an outcome.

    from glink.agents.agent import Task
    from glink.agents.call import AgentFailed

    def count(task: Task) -> dict[str, int]:
        if not task.text:
            raise AgentFailed("there is nothing to count")
        return {"words": len(task.text.split())}

Called by `python_worker` in a process of its own and by `python` where `inline: true` is written. Imports little: a
worker's start is part of every step.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

from glink import jsontext
from glink.agents.agent import ErrorClass, Failure, Outcome, Task
from glink.agents.message import clipped
from glink.limits import Limits

Call = Callable[[Task], Any]


class AgentFailed(Exception):
    """Raised by an agent's function: the answer is no. `retry=True` has it tried again where the class alone would not.

    `retry_at` (seconds since 1970) goes with class `throttled`.
    """

    def __init__(
        self,
        message: str,
        *,
        cls: ErrorClass = ErrorClass.AGENT_FAILED,
        code: str = "refused",
        retry: bool = False,
        retry_at: float | None = None,
    ) -> None:
        super().__init__(message)
        self.failure = Failure(cls, code, message, retry_at, retry)


def find(name: str, base: str) -> Call:
    """The function `module:function`; ImportError when there is none.

    The config's folder `base` is looked into last, so that a file there cannot take the place of an installed module.
    """
    if base not in sys.path:
        sys.path.append(base)
    module_name, _, path = name.partition(":")
    found: Any = importlib.import_module(module_name)
    for part in path.split("."):
        found = getattr(found, part, None)
    if callable(found):
        call: Call = found
        return call
    raise ImportError(f"module {module_name} has no function {path}")


def perform(name: str, base: str, task: Task, limits: Limits) -> Outcome:
    """Call the function and put what it returned or raised (an attempt to exit included) into an outcome."""
    try:
        call = find(name, base)
    except (Exception, SystemExit) as error:  # a module runs code of its author's when it is imported
        return failed(ErrorClass.CONFIG, "call", f"cannot import {name}: {error}", limits)
    try:
        answer = call(task)
    except AgentFailed as refusal:
        failure = refusal.failure
        more = {"retry": failure.retry, "retry_at": failure.retry_at}
        return failed(failure.cls, failure.code, failure.message, limits, **more)
    except (Exception, SystemExit) as error:  # whatever the author's function raises is its failure, not the engine's
        what = f"{type(error).__name__}: {error} ({_place_of(error)})"
        return failed(ErrorClass.INTERNAL, type(error).__name__, what, limits)
    return outcome_of(answer, limits)


def outcome_of(answer: Any, limits: Limits) -> Outcome:
    """An answer as plain data: text without NUL, or the JSON of a dict or list."""
    if isinstance(answer, str):
        text = answer.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
        if not text.strip():
            return failed(ErrorClass.INVALID_OUTPUT, "empty", "the answer is empty", limits)
        return _within(Outcome(output=text), len(text.encode()), limits)
    if not isinstance(answer, (dict, list)):
        what = f"the function returned {type(answer).__name__}; return text, a dict or a list"
        return failed(ErrorClass.INVALID_OUTPUT, "type", what, limits)
    try:
        data = jsontext.dumps(answer)
        _no_infinity(answer)
    except (TypeError, ValueError, RecursionError) as error:  # orjson's own encoding error is a TypeError
        return failed(ErrorClass.INVALID_OUTPUT, "json", f"the answer is not JSON: {error}", limits)
    return _within(Outcome(output=jsontext.loads(data)), len(data), limits)


def failed(cls: ErrorClass, code: str, message: str, limits: Limits, **more: Any) -> Outcome:
    """A failed outcome with its message cut to size and made harmless."""
    return Outcome.failed(cls, code, clipped(message, limits.message_bytes), **more)


def record_of(outcome: Outcome) -> bytes:
    """The outcome as the worker's final record: one line of JSON."""
    failure = outcome.failure
    if failure is None:
        return jsontext.dumps({"output": outcome.output}) + b"\n"
    return (
        jsontext.dumps(
            {
                "failure": {
                    "cls": failure.cls,
                    "code": failure.code,
                    "message": failure.message,
                    "retry": failure.retry,
                    "retry_at": failure.retry_at,
                }
            }
        )
        + b"\n"
    )


def outcome_in(record: bytes, limits: Limits) -> Outcome:
    """The outcome that a final record holds; the agent's code may have written it itself, so it is not trusted."""
    try:
        value: Any = jsontext.loads(record)
        failure: Mapping[str, Any] | None = value.get("failure")
        if failure is None:
            return outcome_of(value["output"], limits)
        more = {"retry": failure["retry"] is True, "retry_at": failure["retry_at"]}
        return failed(ErrorClass(failure["cls"]), str(failure["code"]), str(failure["message"]), limits, **more)
    except (jsontext.JSONError, AttributeError, KeyError, TypeError, ValueError) as error:
        return failed(ErrorClass.INVALID_OUTPUT, "record", f"the worker's record cannot be read: {error}", limits)


def _place_of(error: BaseException) -> str:
    """The innermost `file:line` that the error came through."""
    innermost = traceback.extract_tb(error.__traceback__)[-1]
    return f"{os.path.basename(innermost.filename)}:{innermost.lineno}"


def _no_infinity(value: Any) -> None:
    """Numbers that JSON does not have would be written as null: another answer than the function gave."""
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"it holds {value}")
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _no_infinity(one)


def _within(outcome: Outcome, size: int, limits: Limits) -> Outcome:
    if size <= limits.output_bytes:
        return outcome
    return failed(ErrorClass.TOO_LARGE, "output", f"the answer has {size} bytes, over {limits.output_bytes}", limits)
