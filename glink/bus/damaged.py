"""Opens a bus whose log is damaged, so that what is known can go on. Nothing damaged is touched: its bytes stay in place.

Damage before the last segment leaves the last one to be appended to. One that is damaged itself, or gone, is left as it
is, without a seal (that comes with `glink repair`, when the loss is accepted), and a new one begins after it: its header
names the highest seq there can have been, so no seq is given out twice. No trim is finished. Called by the bus.
"""

from __future__ import annotations

import os
from pathlib import Path

from glink.bus import fsck, marks, record, segment
from glink.bus.damage import Damage
from glink.bus.fsio import Disk
from glink.bus.recovery import Recovered, at_header, copy, go_on, known_floor, mend_last, read_last, sweep
from glink.bus.segment import NO_CRC
from glink.errors import BusCorrupt
from glink.limits import Limits

_LEAST_RECORD = 64  # bytes; no record is shorter


def open_around(disk: Disk, bus: Path, error: BusCorrupt, *, time: str, limits: Limits) -> Recovered:
    """After `recover` raised `error`; raises it again where the log is not what is damaged."""
    damages = fsck.damages(disk, bus, limits)
    if not damages:
        raise error
    events, epoch = bus / "events", marks.read_epoch(disk, bus) + 1
    firsts = segment.firsts(disk, events)
    sweep(disk, bus)
    if not marks.check_format(disk, bus):
        marks.write_format(disk, bus)
    if not firsts or damages[-1].first >= firsts[-1]:
        marks.write_epoch(disk, bus, epoch)
        return _after(disk, bus, damages[-1], epoch=epoch, time=time, limits=limits)
    last = read_last(disk, events, firsts[-1])
    try:
        clean, floor = marks.read_clean(disk, bus), known_floor(disk, bus)
        was_clean = mend_last(disk, bus, last, clean=clean, floor=floor, limits=limits)
    finally:
        disk.close(last.fd)
    epoch = max(epoch, last.prefix.epoch + 1)
    marks.write_epoch(disk, bus, epoch)
    return go_on(disk, events, last, epoch=epoch, time=time, clean=was_clean)


def _after(disk: Disk, bus: Path, damage: Damage, *, epoch: int, time: str, limits: Limits) -> Recovered:
    """A new segment behind one that is damaged or gone, which is first copied byte for byte to where the disk has it:
    after a crash the page cache may hold what the disk does not."""
    events, clean = bus / "events", marks.read_clean(disk, bus)
    segment_id, last, crc = int.from_bytes(disk.entropy(4), "big") or 1, damage.last, NO_CRC
    ends_whole = damage.lost is None or damage.lost[1] < last
    if disk.exists(damage.path):
        fd = disk.open(damage.path, os.O_RDONLY)
        try:
            size = disk.fstat(fd).st_size
            copy(disk, fd, 0, size, damage.path)
            if damage.header is not None:
                segment_id = damage.header.id
                seal = segment.read_seal(disk, fd, damage.header)
                ends_whole = ends_whole or (seal is not None and seal.last == last)
                crc = seal.previous if seal is not None else _highest(disk, fd, damage, size, limits)
        finally:
            disk.close(fd)
    if clean is not None and clean[0] == last:
        crc = clean[1]
    elif not ends_whole:
        # Nobody knows how many records there were: as many as a segment can hold may have been given out.
        last += max(limits.segment_bytes, limits.batch_bytes) // _LEAST_RECORD
    header = segment.create(disk, events, first=last + 1, epoch=epoch, time=time, previous=(segment_id, crc))
    return at_header(header, epoch=epoch, clean=False)


def _highest(disk: Disk, fd: int, damage: Damage, size: int, limits: Limits) -> bytes:
    """The crc of the highest whole record."""
    assert damage.header is not None
    crc = NO_CRC
    for _, line in segment.survivors(disk, fd, damage.header, size, limits.record_bytes):
        crc = record.crc_of(line)
    return crc
