"""What an `http` agent is sent for a task: the fields as JSON, or the operator's own `body:` with them filled in.

Called by `http`. The key goes along as `Idempotency-Key`: it is the same for all tries of one question, so that a
service that has answered already need not work, or charge, twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import glink
from glink.agents.agent import Task
from glink.agents.environment import traceparent
from glink.clock import Clock, text_of
from glink.jsontext import dumps
from glink.templates.body import Body

VERSION: Final = 1
_ALWAYS: Final = {
    "User-Agent": f"glink/{glink.__version__}",
    "Accept": "application/json, text/plain;q=0.9, */*;q=0.5",
}


def fields_of(task: Task, clock: Clock) -> dict[str, Any]:
    """The task as a service sees it. `deadline` is RFC 3339, None without a bound."""
    return {
        "project": task.project.partition("@")[0],
        "instance": task.project,
        "run": task.run,
        "step": task.step,
        "attempt": task.attempt,
        "fence": task.fence,
        "key": task.key,
        "deadline": None if task.run_seconds is None else text_of(clock.now() + task.run_seconds),
        "task": task.text,
        "context": task.context,
        "schema": task.schema,
        "with": dict(task.with_),
    }


def body_of(task: Task, clock: Clock, shape: Body | None) -> bytes:
    """The JSON that is sent; raises RenderProblem where a template of `shape` cannot be filled in."""
    fields = fields_of(task, clock)
    return dumps({"v": VERSION, **fields} if shape is None else shape.render(fields))


def headers_of(task: Task, own: Mapping[str, str]) -> dict[str, str]:
    """The headers of every request of one attempt: the operator's `own` over the usual ones."""
    assert task.folder is not None
    named = {name.lower() for name in own}
    usual = {name: value for name, value in _ALWAYS.items() if name.lower() not in named}
    return {**usual, **own, "traceparent": traceparent(task, task.folder)}


def headers_with_body(task: Task, own: Mapping[str, str]) -> dict[str, str]:
    """The same for the request that brings the task."""
    headers = headers_of(task, own)
    if "content-type" not in {name.lower() for name in own}:
        headers["Content-Type"] = "application/json"
    return {**headers, "Idempotency-Key": task.key}
