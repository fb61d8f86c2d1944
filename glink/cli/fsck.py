"""`glink fsck`."""

from __future__ import annotations

from glink.bus import fsck, holder, marks
from glink.bus.fsck import UNFINISHED, Report
from glink.bus.fsio import Disk, disk_errors
from glink.cli.shell import ConfigOption, JsonOption, configured
from glink.cli.speech import say, show
from glink.errors import NoState


def command(config: ConfigOption = None, json: JsonOption = False) -> int:
    """Check every segment, record, checkpoint and body of the bus; change nothing. Works beside a daemon.

    Example: glink fsck
    """
    settings = configured(config)
    disk, bus = Disk(), settings.bus_dir
    with disk_errors(f"the bus {bus} cannot be read"):
        if not marks.check_format(disk, bus):
            raise NoState(f"no bus at {bus}")
        end = marks.read_durable(disk, bus) if holder.is_held(disk, bus) else None
        report = fsck.check(disk, bus, settings.limits, end=end)
    if json:
        show(as_data(report))
    else:
        _print(report)
    return 0 if report.sound else 74


def as_data(report: Report) -> dict[str, object]:
    """The report as JSON data."""
    return {
        "sound": report.sound,
        "segments": report.segments,
        "records": report.records,
        "checkpoints": report.checkpoints,
        "blobs": report.blobs,
        "torn_bytes": report.torn_bytes,
        "damages": [
            {"path": str(one.path), "what": one.what, "lost": list(one.lost) if one.lost else None}
            for one in report.damages
        ],
        "bad_blobs": report.bad_blobs,
        "unfinished_repair": report.unfinished,
        "others": report.others,
    }


def _print(report: Report) -> None:
    say(
        f"{report.segments} segments, {report.records} records, {report.checkpoints} checkpoints, {report.blobs} bodies: "
        f"{'sound' if report.sound else 'DAMAGED'}"
    )
    for line in [*map(str, report.damages), *(f"body {one}: damaged" for one in report.bad_blobs), *report.others]:
        say(f"  {line}")
    if report.unfinished:
        say(f"  {UNFINISHED}")
    if report.torn_bytes:
        say(
            f"  {report.torn_bytes} bytes of a batch that nobody was told of stand at the end; the next start sets them aside"
        )
    if report.damages:
        say("to go on without what is lost: stop the daemon, take a copy of the bus, then `glink repair`")
