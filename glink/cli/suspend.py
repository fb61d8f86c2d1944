"""`glink suspend`."""

from __future__ import annotations

from glink.cli.control import perform
from glink.cli.shell import ConfigOption, JsonOption, Project, configured, say, show


def command(project: Project, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Dispatch nothing more of a project until `resume`; what runs finishes.

    Example: glink suspend hello-world
    """
    answer = perform(configured(config), "suspend", project)
    if json:
        show(answer)
    else:
        say(f"{project}: suspended")
