"""`glink gc`."""

from __future__ import annotations

from glink.bus.bus import Bus
from glink.bus.reader import BusReader
from glink.cli.shell import ConfigOption, JsonOption, configured
from glink.cli.speech import say, show
from glink.clock import SystemClock, seconds_of
from glink.reconciler.attempts import Attempts, Ends
from glink.reconciler.memory import Memory


def command(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Take away bodies that no event names, and folders of attempts that are past their time. A daemon does it by itself.

    Example: glink gc
    """
    settings = configured(config)
    BusReader(settings.bus_dir, limits=settings.limits)  # says so where there is no bus, instead of making one
    clock = SystemClock()
    bus = Bus.open(settings.bus_dir, clock=clock, limits=settings.limits, network=settings.network)
    try:
        bus.blobs.watch()
        bus.blobs.condemn(bus.unnamed())
        blobs = bus.blobs.execute()

        def dispatched(fence: int) -> float | None:
            record = bus.read(fence)
            return None if record is None else seconds_of(record["time"])

        ends = Ends.of(Memory.read(bus).states.values(), bus.durable_seq)
        attempts = Attempts(settings.work_dir / "attempts", settings.limits, dispatched).tidy(ends, clock.now())
    finally:
        bus.close()
    if json:
        show({"blobs": blobs, "attempts": attempts})
    else:
        say(f"{blobs} bodies that nothing names and {attempts} folders of attempts are gone")
