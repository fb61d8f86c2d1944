"""What would run now, and why. Called by `questions`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from glink.reconciler.actions import Dispatch
from glink.reconciler.desk import Desk
from glink.reconciler.plan import plan, waits_for
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
        "invalid": [problem.as_data() | {"text": str(problem)} for desk in desks for problem in desk.problems],
    }
    return lambda: answer


def _planned(desk: Desk, now: float) -> dict[str, Any]:
    board = desk.board
    assert board is not None
    made = plan(board, now=now)
    acts = {action.step: action for action in made.actions}
    steps = []
    for step, spec in board.workflow.steps.items():
        decision, action = board.decisions[step], acts.get(step)
        reason, holder = decision.reason, ""
        word = "stay" if decision.final else "wait"
        if action is not None:
            word, reason = action.verb, action.reason
        elif not decision.final:
            reason, holder = waits_for(board, step)
            word = "may run" if decision.reason == "waiting_for" else "wait"
        steps.append(
            {
                "step": step,
                "decision": word,
                "reason": str(reason),
                "agent": spec.agent or f"run:{spec.run.using if spec.run else ''}",
                "holder": holder,
                "detail": decision.detail,
                "changed": list(action.wish.changed) if isinstance(action, Dispatch) else [],
                "after": list(spec.after),
                "implied": spec.implied,
            }
        )
    return {"project": desk.name, "generation": desk.state.generation, "steps": steps, "wake_at": made.wake_at}
