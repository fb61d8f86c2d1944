"""`glink plan`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from glink.app import View
from glink.cli.shell import ConfigOption, JsonOption, MaybeProject, configured, say, show, table
from glink.reconciler.desk import Desk
from glink.reconciler.survey import surveyed
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
    report, made = surveyed(desk, now)
    deeds = {action.step: action for action in made.actions}
    steps = []
    for row in report.steps:
        deed = deeds.get(row.step)
        steps.append(
            {
                "step": row.step,
                "decision": deed.verb if deed is not None else "may run" if row.may_run else row.decision,
                "reason": row.reason,
                "agent": row.agent,
                "holder": row.holder,
                "detail": row.detail,
                "due": row.due,
                "changed": row.changed,
                "after": row.after,
                "implied": row.implied,
            }
        )
    return {"project": desk.name, "generation": report.generation, "steps": steps, "wake_at": made.wake_at}


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
            escaped(in_words(step["reason"], holder=step["holder"], detail=step["detail"], due=step["due"])),
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
