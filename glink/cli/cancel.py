"""`glink cancel`."""

from __future__ import annotations

from typing import Annotated

import typer

from glink.cli.shell import ConfigOption, JsonOption, Project, ServerOption, TokenFileOption, configured
from glink.cli.source import source_of
from glink.cli.speech import say, show


def command(
    project: Project,
    step: Annotated[str | None, typer.Argument(help="A step; without it all that run or wait.")] = None,
    config: ConfigOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    json: JsonOption = False,
) -> None:
    """End a step that runs or waits; an edit, `retry` or `run` frees it.

    Example: glink cancel dependency-report 1
    """
    answer = source_of(configured(config), server, token_file).do("cancel", project, {"step": step})
    if json:
        show(answer)
    else:
        say(f"{project}: cancelled: {', '.join(answer['steps']) or 'nothing was running or waiting'}")
