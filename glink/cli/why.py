"""`glink why`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from glink.cli.shell import (
    ConfigOption,
    JsonOption,
    Project,
    ServerOption,
    TokenFileOption,
    configured,
    say,
    show,
)
from glink.cli.source import source_of


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
    elif step is None:
        _whole(answer)
    else:
        _print(answer)


def _whole(answer: dict[str, Any]) -> None:
    run = answer["run"]
    say(f"{answer['project']}: {answer['sync']}, {answer['health']}; revision {answer['revision'] or 'none yet'}")
    say(f"last run: #{run['number']} {run['status']}, since {run['since']}" if run else "never ran")
    for error in answer["errors"]:
        say(f"invalid: {error['path']}:{error['line']}:{error['column']}: {error['what']}; {error['cure']}")
    for row in answer["steps"]:
        say(f"  {row['step']}: {row['status']}: {row['in_words']}")


def _print(cause: dict[str, Any]) -> None:
    say(f"{cause['project']} step {cause['step']}: {cause['status']}: {cause['in_words']}")
    say(f"  decision: {cause['decision']} ({cause['reason']})")
    say(f"  revision: {cause['revision'] or 'none yet'}, generation {cause['generation']}")
    if cause["differs"]:
        say(f"  differs in: {', '.join(cause['differs'])}")
    for line in cause["task_diff"]:
        say(f"    {line}")
    for one in cause["chain"]:
        say(f"  before it, step {one['step']}: {one['status']}: {one['in_words']}")
