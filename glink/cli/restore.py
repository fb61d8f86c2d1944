"""`glink restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glink.bus.backup import restore
from glink.bus.fsio import Disk
from glink.cli.backup import tell
from glink.cli.shell import ConfigOption, JsonOption, configured


def command(
    folder: Annotated[Path, typer.Argument(help="A backup.")],
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Put a backup where the bus is to be; nothing may be there. Folders of attempts made since are set aside.

    Example: glink restore /mnt/backups/2026-11-26
    """
    settings = configured(config)
    attempts = settings.work_dir / "attempts"
    tell(restore(Disk(), folder.absolute(), settings.bus_dir, attempts, settings.limits), json)
