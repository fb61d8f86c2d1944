"""`glink cancel`."""

from __future__ import annotations

from typing import Annotated

import typer

from glink.cli.control import perform
from glink.cli.shell import ConfigOption, JsonOption, Project, configured, say, show


def command(
    project: Project,
    step: Annotated[str | None, typer.Argument(help="A step; without it all that run or wait.")] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """End a step that runs or waits; an edit, `retry` or `run` frees it.

    Example: glink cancel dependency-report 1
    """
    answer = perform(configured(config), "cancel", project, {"step": step})
    if json:
        show(answer)
    else:
        say(f"{project}: cancelled: {', '.join(answer['steps']) or 'nothing was running or waiting'}")
