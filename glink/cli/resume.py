"""`glink resume`."""

from __future__ import annotations

from glink.cli.control import perform
from glink.cli.shell import ConfigOption, JsonOption, Project, configured, say, show


def command(project: Project, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Go on with a suspended project.

    Example: glink resume hello-world
    """
    answer = perform(configured(config), "resume", project)
    if json:
        show(answer)
    else:
        say(f"{project}: resumed")
