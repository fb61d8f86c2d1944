"""`glink plan`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from glink.cli.shell import (
    ConfigOption,
    JsonOption,
    MaybeProject,
    ServerOption,
    TokenFileOption,
    configured,
    say,
    show,
    table,
)
from glink.cli.source import source_of
from glink.words import escaped, in_words


def command(
    project: MaybeProject = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 1 when something would run.")] = False,
    config: ConfigOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    json: JsonOption = False,
) -> int:
    """What would run now, and why; nothing is run.

    Example: glink plan release-notes
    """
    source = source_of(configured(config), server, token_file)
    answer = source.ask("plan", project=project) if project is not None else source.ask("plans")
    if json:
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
