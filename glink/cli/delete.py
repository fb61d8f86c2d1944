"""`glink delete`."""

from __future__ import annotations

from glink.cli.shell import ConfigOption, JsonOption, Project, ServerOption, TokenFileOption, configured
from glink.cli.source import source_of
from glink.cli.speech import say, show


def command(
    project: Project,
    config: ConfigOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    json: JsonOption = False,
) -> None:
    """Want a project no more that came by a submission, or whose files are gone; its history stays on the bus.

    Example: glink delete hello-world
    """
    answer = source_of(configured(config), server, token_file).do("delete", project, {})
    if json:
        show(answer)
    else:
        say(f"{project}: deleted")
