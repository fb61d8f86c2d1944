"""`glink retry`."""

from __future__ import annotations

from typing import Annotated

import typer

from glink.cli.shell import ConfigOption, JsonOption, Project, ServerOption, TokenFileOption, configured
from glink.cli.source import source_of
from glink.cli.speech import say, show


def command(
    project: Project,
    step: Annotated[str | None, typer.Argument(help="A step; without it all that failed or were cancelled.")] = None,
    config: ConfigOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    json: JsonOption = False,
) -> None:
    """Run a step again, from attempt 1.

    Example: glink retry dependency-report 2
    """
    answer = source_of(configured(config), server, token_file).do("retry", project, {"step": step})
    if json:
        show(answer)
    else:
        say(f"{project}: will run again in run {answer['run']}: {', '.join(answer['steps'])}")
