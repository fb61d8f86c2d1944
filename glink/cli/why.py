"""`glink why`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from glink.cli.shell import ConfigOption, JsonOption, Project, ServerOption, TokenFileOption, configured
from glink.cli.source import source_of
from glink.cli.speech import say, show
from glink.errors import Problem
from glink.jsontext import dumps
from glink.words import in_words


def command(
    project: Project,
    step: Annotated[str | None, typer.Argument(help="A step; without it the whole project.")] = None,
    config: ConfigOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    json: JsonOption = False,
) -> None:
    """Why a step runs, does not run, or waits: the reason, who holds it, what changed, and the chain before it.

    Example: glink why release-notes page
    """
    source = source_of(configured(config), server, token_file)
    answer = source.ask("why_step" if step is not None else "why", project=project, step=step)
    if json:
        show(answer)
    elif "causes" not in answer:
        _print_whole(answer)
    else:
        _print(answer)


def _print_whole(answer: dict[str, Any]) -> None:
    run = answer["run"]
    say(f"{answer['project']}: {answer['sync']}, {answer['health']}; revision {answer['revision'] or 'none yet'}")
    say(f"last run: #{run['number']} {run['status']}, since {run['since']}" if run else "never ran")
    if (asked := answer["asked"]) is not None:
        say(f"last asked for: #{asked['run']} by {asked['by'] or 'nobody'}, {asked['time']}: {_request(asked)}")
    for one in answer["waiting"]:
        say(f"waits for its turn: #{one['run']}: {_request(one)}")
    for one in answer["passed_over"]:
        say(f"passed over: generation {one['generation']} of {one['revision']}, replaced before it settled")
    if answer["next"] is not None:
        say(f"looked at again by itself: {answer['next']}")
    for one in answer["conditions"]:
        if one["type"] == "BusCorrupt":
            say(f"{one['type']}: {one['message']}")
    for error in answer["errors"]:
        say(f"invalid: {Problem(**error)}")
    for row in answer["steps"]:
        say(f"  {row['step']}: {row['status']}: {row['in_words']}")


def _request(asked: dict[str, Any]) -> str:
    what = f"{asked['cause']}, every step" if asked["force"] else str(asked["cause"])
    if asked.get("steps"):
        what = f"{what} of {', '.join(asked['steps'])}"
    return f"{what}, with {dumps(asked['params']).decode()}" if asked["params"] else what


def _print(cause: dict[str, Any]) -> None:
    say(f"{cause['project']} step {cause['step']}: {cause['status']}: {cause['in_words']}")
    say(f"  decision: {cause['decision']} ({cause['reason']})")
    say(f"  revision: {cause['revision'] or 'none yet'}, generation {cause['generation']}")
    _print_causes("differs in", cause["causes"], "  ")
    for line in cause["task_diff"]:
        say(f"    {line}")
    _print_ran(cause["ran"], "  ")
    for one in cause["chain"]:
        say(f"  before it, step {one['step']}: {one['status']}: {one['in_words']}")
        _print_causes("differs in", one["causes"], "    ")
        _print_ran(one["ran"], "    ")


def _print_ran(before: dict[str, Any] | None, margin: str) -> None:
    if before is None:
        return
    run, attempt, generation = before["run"], before["attempt"], before["generation"]
    say(f"{margin}its answer is of run #{run}, attempt {attempt}, {before['time']}, generation {generation}")
    say(f"{margin}given away then because: {in_words(before['reason'])}")
    _print_causes("differed in", before["causes"], margin)


def _print_causes(word: str, causes: list[dict[str, Any]], margin: str) -> None:
    for one in causes:
        say(f"{margin}{word} {one['part']}: {_BROUGHT[one['by']](one)}")
        if (commit := one["commit"]) is not None:
            say(f"{margin}  commit {commit['sha']} by {commit['author']}, {commit['time']}: {commit['subject']}")


_BROUGHT: dict[str, Callable[[dict[str, Any]], str]] = {
    "edit": lambda one: f"edited in generation {one['generation']}, {one['revision'] or 'a revision before the log'}",
    "step": lambda one: f"another answer of step {', '.join(one['steps'])}",
    "request": lambda one: f"what run #{one['run']} was asked for with, by {one['who'] or 'nobody'}",
    "": lambda _: "what it reads on the bus",
}
