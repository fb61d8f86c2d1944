"""`glink repair`."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from glink.bus.fsio import Disk, disk_errors
from glink.bus.repair import repair
from glink.cli.shell import ConfigOption, JsonOption, configured
from glink.cli.speech import say, show
from glink.clock import SystemClock
from glink.errors import NoState, UsageError


def command(
    accept_loss: Annotated[
        list[str] | None, typer.Option(metavar="A-B", help="Events that are lost for good; may be repeated.")
    ] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Make a damaged bus usable again, without the events that `glink fsck` calls lost. The daemon must be stopped.

    One that was stopped before its end is finished by the next.

    Example: glink repair --accept-loss 4711-4712
    """
    settings = configured(config)
    ranges = [_range(one) for one in accept_loss or []]
    disk = Disk()
    with disk_errors(f"the bus {settings.bus_dir} cannot be repaired"):
        if not disk.exists(settings.bus_dir):
            raise NoState(f"no bus at {settings.bus_dir}")
        gone = repair(disk, settings.bus_dir, settings.limits, ranges, clock=SystemClock(), network=settings.network)
    if json:
        show({"lost": [list(one) for one in gone]})
    else:
        said = ", ".join(f"{first}-{last}" for first, last in gone) or "none"
        say(f"the bus can be used again; events lost: {said}; the damaged files are in {settings.bus_dir}/quarantine")


def _range(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,19})-(\d{1,19})", text)
    if found is None:
        raise UsageError(f"--accept-loss {text}: write the first and the last seq, like 4711-4712")
    return int(found[1]), int(found[2])
