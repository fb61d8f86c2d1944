"""`glink resume`."""

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
    """Go on with a suspended project.

    Example: glink resume hello-world
    """
    answer = source_of(configured(config), server, token_file).do("resume", project, {})
    if json:
        show(answer)
    else:
        say(f"{project}: resumed")
