"""`glink release`."""

from __future__ import annotations

from typing import Annotated

import typer

from glink.cli.control import perform
from glink.cli.shell import ConfigOption, JsonOption, Project, configured, say, show


def command(
    project: Project,
    generation: Annotated[int | None, typer.Option(help="Refuse unless this is the generation that is held.")] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Let held steps go (`on_change: hold`): they run with the edit.

    Example: glink release release-notes --generation 7
    """
    answer = perform(configured(config), "release", project, {"generation": generation})
    if json:
        show(answer)
    else:
        say(f"{project}: generation {answer['generation']} is released")
