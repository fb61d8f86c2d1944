"""`glink output`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from glink.cli.shell import ConfigOption, JsonOption, Project, ServerOption, TokenFileOption, configured
from glink.cli.source import source_of
from glink.cli.speech import show
from glink.jsontext import pretty
from glink.words import escaped_block


def command(
    project: Project,
    step: Annotated[str, typer.Argument(help="A step.")],
    config: ConfigOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    json: JsonOption = False,
) -> None:
    """Print the standing answer of a step: as it is into a pipe, with control characters shown on a terminal.

    Example: glink output hello-world 1
    """
    answer = source_of(configured(config), server, token_file).ask("output", project=project, step=step)
    if json:
        show(answer)
        return
    value = answer["output"]
    text = value if isinstance(value, str) else pretty(value)
    sys.stdout.write(escaped_block(text) if sys.stdout.isatty() else text)
    if not text.endswith("\n"):
        sys.stdout.write("\n")
