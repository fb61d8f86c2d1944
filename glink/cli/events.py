"""`glink events`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from glink.cli.shell import ConfigOption, JsonOption, MaybeProject, ServerOption, TokenFileOption, configured
from glink.cli.source import source_of
from glink.event import Record, as_shown
from glink.jsontext import dumps
from glink.reporters.console import line_of
from glink.words import escaped


def command(
    project: MaybeProject = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as events come.")] = False,
    since: Annotated[int, typer.Option(help="Only events after this seq.")] = 0,
    config: ConfigOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    json: JsonOption = False,
) -> None:
    """Print the bus: as lines for people, with --json as the records themselves, one a line.

    Example: glink events hello-world --json
    """
    source = source_of(configured(config), server, token_file)
    for record in source.events(project, since, follow=follow, stop=lambda: False):
        print(dumps(as_shown(record)).decode() if json else _line(record), flush=follow)
    sys.stdout.flush()


def _line(record: Record) -> str:
    told = line_of(record)
    return (
        f"{record['seq']:>6} {told}"
        if told
        else escaped(f"{record['seq']:>6} {record['time'][11:19]} {record['type']}")
    )
