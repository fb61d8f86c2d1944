"""`glink sync`."""

from __future__ import annotations

from glink.cli.attend import attend
from glink.cli.shell import ConfigOption, JsonOption, Project, configured


def command(project: Project, config: ConfigOption = None, json: JsonOption = False) -> int:
    """Settle what is out of date, nothing else, and follow it to its end.

    Example: glink sync hello-world
    """
    return attend(configured(config), project, "sync", {}, as_json=json)
