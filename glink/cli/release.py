"""`glink release`."""

from __future__ import annotations

from typing import Annotated

import typer

from glink.cli.shell import ConfigOption, JsonOption, Project, ServerOption, TokenFileOption, configured
from glink.cli.source import source_of
from glink.cli.speech import say, show


def command(
    project: Project,
    generation: Annotated[int | None, typer.Option(help="Refuse unless this is the generation that is held.")] = None,
    config: ConfigOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    json: JsonOption = False,
) -> None:
    """Let held steps go (`on_change: hold`): they run with the edit.

    Example: glink release release-notes --generation 7
    """
    answer = source_of(configured(config), server, token_file).do("release", project, {"generation": generation})
    if json:
        show(answer)
    else:
        say(f"{project}: generation {answer['generation']} is released")
