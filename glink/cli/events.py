"""`glink events`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from glink.bus.reader import BusReader
from glink.cli.shell import ConfigOption, JsonOption, MaybeProject, configured
from glink.event import Record
from glink.jsontext import dumps
from glink.reporters.console import line_of
from glink.words import escaped


def command(
    project: MaybeProject = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as events come.")] = False,
    since: Annotated[int, typer.Option(help="Only events after this seq.")] = 0,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Print the bus: as lines for people, with --json as the records themselves, one a line.

    Example: glink events hello-world --json
    """
    settings = configured(config)
    reader = BusReader(settings.bus_dir, limits=settings.limits)
    if since and (first := reader.first_seq) > since + 1:
        print(f"glink: events {since + 1}-{first - 1} are past bus.retention_days and gone", file=sys.stderr)
        since = first - 1
    records = reader.follow(since, stop=lambda: False) if follow else reader.replay(since, project=project)
    for record in records:
        if project in (None, record.get("project")):
            print(dumps(record).decode() if json else _line(record), flush=follow)
    sys.stdout.flush()


def _line(record: Record) -> str:
    told = line_of(record)
    return (
        f"{record['seq']:>6} {told}"
        if told
        else escaped(f"{record['seq']:>6} {record['time'][11:19]} {record['type']}")
    )
