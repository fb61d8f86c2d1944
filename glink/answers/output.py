"""What a step answered, and what it was given. Called by `questions`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from glink.errors import NoState, NotThere
from glink.event import Record
from glink.reconciler.fingerprint import value_of
from glink.state import StepState
from glink.view import View


def output(view: View, project: str, step: str) -> Callable[[], Any]:
    """The standing answer."""
    past = _past(view, project, step)
    if past.answer is None:
        raise NoState(f"step {step} of {project} has no answer yet; see `glink why {project} {step}`")
    answer, bodies = past.answer, view.bodies
    return lambda: {
        "project": project,
        "step": step,
        "output": value_of(answer, bodies),
        "digest": answer.digest,
        "artifacts": answer.artifacts,
        "time": answer.time,
    }


def prompt(view: View, project: str, step: str) -> Callable[[], Any]:
    """What the newest attempt was given."""
    past = _past(view, project, step)
    fence, record = past.given, view.past.read(past.given) if view.past is not None and past.given else None
    if record is None:
        raise NoState(f"step {step} of {project} was given to nobody yet")
    return lambda: {
        "project": project,
        "step": step,
        "attempt": record.get("attempt", 1),
        "given": fence,
        "prompt": prompt_in(record, view.bodies),
        "args": record["data"].get("args", []),
    }


def prompt_in(record: Record, bodies: Callable[[str], bytes]) -> str:
    """The prompt that a dispatch or an offer holds, or names; KeyError when its body is gone."""
    data = record["data"]
    if "task" in data:
        text: str = data["task"]
        return text
    return bodies(data["prompt"]).decode()


def _past(view: View, project: str, step: str) -> StepState:
    desk = view.desk(project)
    past = desk.state.steps.get(step)
    if past is None and (desk.workflow is None or step not in desk.workflow.steps):
        known = desk.workflow.steps if desk.workflow is not None else desk.state.steps
        raise NotThere(f"{project} has no step {step}; it has: {', '.join(known)}")
    return past or StepState()
