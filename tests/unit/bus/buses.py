"""How tests open a bus and put something on it."""

from __future__ import annotations

from pathlib import Path

from glink.bus import segment
from glink.bus.bus import Bus
from glink.bus.fsio import Disk
from glink.clock import SystemClock
from glink.limits import Limits

FIRST = segment.name_of(1)


class UnsyncedDisk(Disk):
    """The real disk without waiting for it: for tests that open a bus thousands of times."""

    def fsync(self, fd):
        return

    def fdatasync(self, fd):
        return

    def fsync_dir(self, path):
        return


def open_bus(path: Path, **options) -> Bus:
    return Bus.open(path, **{"clock": SystemClock(), "limits": Limits(), **options})


def commit_notes(bus: Bus, *names: str) -> None:
    """One batch of events, one for each name."""
    for name in names:
        bus.stage({"type": name})
    bus.commit()


def notes(records) -> list[tuple[int, str]]:
    return [(found["seq"], found["type"]) for found in records]


def seal_and_start_next(bus_path: Path) -> None:
    """Closes the newest segment of a stopped bus and begins the next one, as rolling does."""
    disk, events = Disk(), bus_path / "events"
    first = segment.firsts(disk, events)[-1]
    seal(bus_path, first)
    fd, header = segment.open_segment(disk, events, first)
    found = segment.read_seal(disk, fd, header)
    disk.close(fd)
    segment.create(
        disk,
        events,
        first=found.last + 1,
        epoch=1,
        time="2026-11-24T00:00:00.000000Z",
        previous=(header.id, found.previous),
    )


def seal(bus_path: Path, first: int) -> None:
    disk, events = Disk(), bus_path / "events"
    fd, header = segment.open_segment(disk, events, first)
    prefix = segment.intact_prefix(disk, fd, header)
    line = segment.seal_line(
        count=prefix.seq - first + 1,
        last=prefix.seq,
        size=prefix.end,
        digest=segment.digest_of(disk, fd, prefix.end),
        damaged=False,
        previous=prefix.crc,
        seed=header.id,
    )
    disk.close(fd)
    with (events / segment.name_of(first)).open("ab") as file:
        file.write(line)
