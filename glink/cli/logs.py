"""`glink logs`."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from glink.answers.logs import STREAMS
from glink.cli.shell import ConfigOption, JsonOption, Project, ServerOption, TokenFileOption, configured
from glink.cli.source import source_of
from glink.cli.speech import show
from glink.clock import wait_for
from glink.words import escaped_block

LOOK_SECONDS = 0.3


def command(
    project: Project,
    step: Annotated[str, typer.Argument(help="A step.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the attempt ends.")] = False,
    config: ConfigOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    json: JsonOption = False,
) -> None:
    """Print what the newest attempt of a step wrote to stdout and stderr.

    Example: glink logs dependency-report 1 -f
    """
    source = source_of(configured(config), server, token_file)
    answer = source.ask("logs", project=project, step=step)
    if json:
        show({name: answer[name] for name in ("fence", *STREAMS)})
        return
    fence = answer["fence"]
    _print(answer)
    while follow and answer["running"] and answer["fence"] == fence:
        wait_for(lambda: False, seconds=LOOK_SECONDS, every=LOOK_SECONDS)
        answer = source.ask("logs", project=project, step=step, **answer["ends"])
        if answer["fence"] == fence:
            _print(answer)


def _print(answer: dict[str, Any]) -> None:
    for name in STREAMS:
        target = sys.stderr if name == "stderr" else sys.stdout
        target.write(escaped_block(answer[name]) if target.isatty() else answer[name])
        target.flush()
