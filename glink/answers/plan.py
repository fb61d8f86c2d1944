"""What would run now, and why. Called by `questions`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from glink.answers.planned import planned_step
from glink.reconciler.desk import Desk
from glink.reconciler.survey import surveyed
from glink.view import View


def plans(view: View) -> Callable[[], Any]:
    """Of every project."""
    return _answer(view, [view.desks[name] for name in sorted(view.desks) if not view.desks[name].state.deleted])


def plan_of(view: View, project: str) -> Callable[[], Any]:
    """Of one project."""
    return _answer(view, [view.desk(project)])


def _answer(view: View, desks: list[Desk]) -> Callable[[], Any]:
    now = view.clock.now()
    answer = {
        "revision": view.revision,
        "plans": [_planned(desk, now) for desk in desks if desk.board is not None],
        "unknown": [{"project": desk.name, "text": desk.unknown} for desk in desks if desk.unknown],
        "invalid": [problem.as_data() | {"text": str(problem)} for desk in desks for problem in desk.problems],
    }
    return lambda: answer


def _planned(desk: Desk, now: float) -> dict[str, Any]:
    report, made = surveyed(desk, now)
    deeds = {action.step: action for action in made.actions}
    steps = []
    for row in report.steps:
        deed = deeds.get(row.step)
        steps.append(
            planned_step(
                row.step,
                deed.verb if deed is not None else "may run" if row.may_run else row.decision,
                row.reason,
                row.agent,
                after=row.after,
                implied=row.implied,
                holder=row.holder,
                detail=row.detail,
                due=row.due,
                changed=row.changed,
            )
        )
    return {"project": desk.name, "generation": report.generation, "steps": steps, "wake_at": made.wake_at}
