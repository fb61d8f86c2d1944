"""`glink plan`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from glink.app import View
from glink.cli.shell import ConfigOption, JsonOption, MaybeProject, configured, say, show, table
from glink.reconciler.actions import Dispatch
from glink.reconciler.desk import Desk
from glink.reconciler.plan import plan, waits_for
from glink.words import escaped, in_words


def command(
    project: MaybeProject = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 1 when something would run.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> int:
    """What would run now, and why; nothing is run.

    Example: glink plan release-notes
    """
    view = View.take(configured(config), [project] if project else [])
    now = view.clock.now()
    plans = [_planned(view.desks[name], now) for name in sorted(view.desks) if view.desks[name].board is not None]
    invalid = [str(problem) for desk in view.desks.values() for problem in desk.problems]
    if json:
        show({"revision": view.observation.revision, "plans": plans, "invalid": invalid})
    else:
        for problem in invalid:
            say(f"invalid: {problem}")
        for one in plans:
            _print(one, alone=project is not None)
    pending = any(step["decision"] in ("run", "may run") for one in plans for step in one["steps"])
    if invalid and project:
        return 2
    return 1 if exit_code and pending else 0


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


def _print(one: dict[str, Any], *, alone: bool) -> None:
    steps = one["steps"]
    runs = sum(step["decision"] == "run" for step in steps)
    may = sum(step["decision"] == "may run" for step in steps)
    say(f"{one['project']}: {runs} to run, {may} may run, {len(steps) - runs - may} stay or wait")
    rows = [
        (
            f"  {step['step']}",
            step["decision"],
            step["agent"],
            _edges(step),
            escaped(in_words(step["reason"], holder=step["holder"], detail=step["detail"])),
        )
        for step in steps
        if alone or step["decision"] != "stay"
    ]
    if rows:
        say(table(rows, ("  STEP", "", "AGENT", "AFTER", "REASON")))


def _edges(step: dict[str, Any]) -> str:
    if not step["after"]:
        return "-"
    return ",".join(step["after"]) + (" (implied)" if step["implied"] else "")
