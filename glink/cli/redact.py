"""`glink redact`."""

from __future__ import annotations

import sys

from glink.bus.bus import Bus
from glink.bus.damage import in_words
from glink.bus.fsio import Disk, disk_errors
from glink.bus.reader import BusReader
from glink.bus.redact import redact
from glink.cli.shell import ConfigOption, JsonOption, configured
from glink.cli.speech import say, show
from glink.clock import SystemClock
from glink.errors import BusCorrupt, UsageError


def command(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Take a secret out of every event and body; it is read from standard input. The daemon must be stopped.

    Example: glink redact < leaked-key.txt
    """
    settings = configured(config)
    BusReader(settings.bus_dir, limits=settings.limits)
    secrets = [line for line in sys.stdin.read().splitlines() if line]
    if not secrets:
        raise UsageError("no secret on standard input: one a line")
    bus = Bus.open(settings.bus_dir, clock=SystemClock(), limits=settings.limits, network=settings.network)
    try:
        if bus.damages:
            raise BusCorrupt(f"what is left of a damaged bus is not written anew; {in_words(bus.damages)}")
        with disk_errors("the bus cannot be redacted"):
            done = redact(Disk(), settings.bus_dir, secrets, settings.limits)
    finally:
        bus.close(clean=False)
    if json:
        show({"records": done.records, "blobs": done.blobs, "segments": done.segments})
        return
    say(f"{done.records} events and {done.blobs} bodies had it; {done.segments} segments are written anew")
    say(f"look for it yourself in {settings.bus_dir / 'out'}, in {settings.work_dir} and in backups")
