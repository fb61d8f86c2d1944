"""`glink sync`."""

from __future__ import annotations

from glink.cli.attend import attend
from glink.cli.shell import ConfigOption, JsonOption, Project, ServerOption, TokenFileOption, configured
from glink.cli.source import source_of


def command(
    project: Project,
    config: ConfigOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    json: JsonOption = False,
) -> int:
    """Settle what is out of date, nothing else, and follow it to its end.

    Example: glink sync hello-world
    """
    return attend(source_of(configured(config), server, token_file), project, "sync", {}, as_json=json)
