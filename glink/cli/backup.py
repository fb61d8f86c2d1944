"""`glink backup`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glink.bus.backup import Copied, backup
from glink.bus.fsio import Disk
from glink.cli.shell import ConfigOption, JsonOption, configured
from glink.cli.speech import say, show


def command(
    folder: Annotated[Path, typer.Argument(help="Where to: a folder that is empty or not there yet.")],
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Copy the bus, also while a daemon is at work, and check the copy.

    Example: glink backup /mnt/backups/2026-11-26
    """
    settings = configured(config)
    tell(backup(Disk(), settings.bus_dir, folder.absolute(), settings.limits), json)


def tell(copied: Copied, json: bool) -> None:
    """What was copied."""
    report = copied.report
    if json:
        show({"files": copied.files, "bytes": copied.bytes, "records": report.records, "blobs": report.blobs})
    else:
        say(
            f"{report.records} events and {report.blobs} bodies in {copied.files} files, {copied.bytes} bytes, all sound"
        )
