"""An agent that does nothing, for the pool: `call: "bench.noop:answer"`."""

from __future__ import annotations

from glink.agents.agent import Task


def answer(task: Task) -> str:
    """The task itself."""
    return task.bare
