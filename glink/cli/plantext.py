"""How a plan is told: its text, its JSON, its exit code. Called by `glink plan`, whichever way it came to its answer."""

from __future__ import annotations

from typing import Any

from glink.cli.speech import say, show, table
from glink.words import escaped, in_words


def tell(answer: dict[str, Any], *, project: str | None, as_json: bool, exit_code: bool) -> int:
    """Print an answer to `plans`, or to `plan` of a project; the exit code of the command."""
    if as_json:
        show(answer)
    else:
        for one in answer["unknown"]:
            say(f"{one['project']}: its state is not known: {one['text']}")
        for problem in answer["invalid"]:
            say(f"invalid: {problem['text']}")
        for one in answer["plans"]:
            _print(one, alone=project is not None)
    pending = any(step["decision"] in ("run", "may run") for one in answer["plans"] for step in one["steps"])
    if answer["invalid"] and project:
        return 2
    return 1 if exit_code and pending else 0


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
