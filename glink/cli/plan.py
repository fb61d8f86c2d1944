"""`glink plan`."""

from __future__ import annotations

from typing import Annotated

import typer

from glink.cli.plantext import tell
from glink.cli.shell import ConfigOption, JsonOption, MaybeProject, ServerOption, TokenFileOption, configured
from glink.cli.source import source_of


def command(
    project: MaybeProject = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 1 when something would run.")] = False,
    config: ConfigOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    json: JsonOption = False,
) -> int:
    """What would run now, and why; nothing is run.

    Example: glink plan release-notes
    """
    source = source_of(configured(config), server, token_file)
    answer = source.ask("plan", project=project) if project is not None else source.ask("plans")
    return tell(answer, project=project, as_json=json, exit_code=exit_code)
