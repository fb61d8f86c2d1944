"""What is done to the bus directory between taking its lock and showing anything in it.

Walk the last segment to its first bad byte · check the chain of segments · sweep what was half made · decide whether
that byte is in the torn end of a batch that nobody was told of, or damage inside what was acknowledged · after an
unclean stop copy the good part to a new file, since the page cache may hold what the disk does not · only then finish
the trims that it names. Called once, when the bus is opened.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from glink.bus import marks, record, redact, retention, segment
from glink.bus.checkpoints import read_manifest
from glink.bus.fsio import Disk, chunks, discard, make_folder, sync_names, write_on
from glink.bus.segment import Header, Prefix
from glink.errors import BusCorrupt
from glink.limits import Limits

FOLDERS = ("events", "checkpoints", "blobs/sha256", "quarantine")
_LEAST_BATCH = 4 << 20
_LEAST_RECORD = 64 << 10


@dataclass(frozen=True, slots=True)
class Recovered:
    """Where writing goes on: the segment, its end, the last seq and crc in it, the epoch of this opening."""

    header: Header
    end: int
    seq: int
    crc: bytes
    epoch: int
    clean: bool


def recover(disk: Disk, bus: Path, *, time: str, limits: Limits) -> Recovered:
    """Raises BusFormat before anything is touched, BusCorrupt before anything in the log is."""
    has_format = marks.check_format(disk, bus)
    for folder in FOLDERS:
        make_folder(disk, bus / folder)
    if not has_format:
        sync_names(disk, bus / "blobs" / "sha256")
    redact.finish(disk, bus)
    clean, floor = marks.read_clean(disk, bus), known_floor(disk, bus)
    epoch = marks.read_epoch(disk, bus) + 1
    events = bus / "events"
    firsts = segment.firsts(disk, events)
    if not firsts and floor:
        raise BusCorrupt(f"{events}: no segment is there, and records 1-{floor} are due")
    last = read_last(disk, events, firsts[-1]) if firsts else None
    try:
        through = check_chain(disk, events, firsts, last.trimmed) if last else 0

        sweep(disk, bus)
        if not has_format:
            marks.write_format(disk, bus)
        if last is None:
            marks.write_epoch(disk, bus, epoch)
            return _start(disk, events, epoch=epoch, time=time)
        was_clean = mend_last(disk, bus, last, clean=clean, floor=floor, limits=limits)
    finally:
        if last is not None:
            disk.close(last.fd)
    retention.trim(disk, events, through)
    epoch = max(epoch, last.prefix.epoch + 1)
    marks.write_epoch(disk, bus, epoch)
    return go_on(disk, events, last, epoch=epoch, time=time, clean=was_clean)


def known_floor(disk: Disk, bus: Path) -> int:
    """Every record up to here is known to have been durable: CLEAN or the manifest names it."""
    clean, manifest = marks.read_clean(disk, bus), read_manifest(disk, bus / "checkpoints")
    return max(clean[0] if clean else 0, manifest.seq if manifest else 0)


def judge(fd: int, header: Header, at: int, due: int, *, disk: Disk, events: Path, floor: int, limits: Limits) -> None:
    """Returns when the bytes from `at` on, where record `due` is due, are a torn batch; raises BusCorrupt otherwise.

    They are damage when a whole record of a later batch stands after them, and when records up to `floor` are known
    to have been durable.
    """
    path = events / segment.name_of(header.first)
    if due <= floor:
        raise BusCorrupt(f"{path}: damaged at byte {at}: records {due}-{floor} were durable and are not readable")
    longest = max(limits.record_bytes, _LEAST_RECORD)
    size = max(limits.batch_bytes, _LEAST_BATCH) + longest
    window = b"".join(chunks(disk, fd, at, at + size))
    for found in record.whole_records(window, header.id, longest):
        if found.batch > due:
            raise BusCorrupt(
                f"{path}: damaged at byte {at}: record {due} is due there and the later batch {found.batch} is whole, "
                f"so records {due}-{found.seq - 1} or some of them are lost"
            )


def check_chain(disk: Disk, events: Path, firsts: list[int], trimmed: int) -> int:
    """Each segment but the last is sealed, and the header of the next one names it; raises BusCorrupt.

    What a `log.trimmed` names may be there, or not, or in part. `trimmed` is what the newest one in the last segment
    says; returns up to where retention is to be finished.
    """
    through = trimmed
    if not through and (firsts[0] != 1 or _has_hole(disk, events, firsts)):
        through = retention.vouched(disk, events, firsts)
    kept = [first for first in firsts if first > through]
    expected = None
    for first in kept:
        path = events / segment.name_of(first)
        fd, header = segment.open_segment(disk, events, first)
        try:
            seal = None if first == firsts[-1] else segment.read_seal(disk, fd, header)
        finally:
            disk.close(fd)
        if expected is None:
            expected = (1, 0, segment.NO_CRC) if not through else (through + 1, header.prev_id, header.prev_crc)
        if (header.first, header.prev_id, header.prev_crc) != expected or header.prev_seq != first - 1:
            raise BusCorrupt(f"{path}: does not follow the segment before it: record {expected[0]} is due")
        if first == firsts[-1]:
            break
        if seal is None:
            raise BusCorrupt(f"{path}: the seal is missing or damaged though a later segment is there")
        expected = (seal.last + 1, header.id, seal.previous)
    return through


def _has_hole(disk: Disk, events: Path, firsts: list[int]) -> bool:
    for first, following in pairwise(firsts):
        fd, header = segment.open_segment(disk, events, first)
        try:
            seal = segment.read_seal(disk, fd, header)
        finally:
            disk.close(fd)
        if seal is not None and seal.last + 1 != following:
            return True
    return False


@dataclass(frozen=True, slots=True)
class Last:
    """The last segment, open, as far as it is intact, and what the newest `log.trimmed` in that part names."""

    fd: int
    header: Header
    prefix: Prefix
    trimmed: int


def read_last(disk: Disk, events: Path, first: int) -> Last:
    """Walks it; the caller closes its descriptor."""
    fd, header = segment.open_segment(disk, events, first)
    try:
        prefix = segment.intact_prefix(disk, fd, header)
        return Last(fd, header, prefix, retention.newest_trim(disk, fd, header.size, prefix.end))
    except BaseException:
        disk.close(fd)
        raise


def sweep(disk: Disk, bus: Path) -> None:
    """Removes what was half made."""
    for folder in (bus, *(bus / name for name in FOLDERS)):
        for name in disk.listdir(folder):
            if name.endswith((".new", ".tmp")):
                disk.unlink(folder / name)


def _start(disk: Disk, events: Path, *, epoch: int, time: str) -> Recovered:
    header = segment.create(disk, events, first=1, epoch=epoch, time=time, previous=(0, segment.NO_CRC))
    return at_header(header, epoch=epoch, clean=True)


def go_on(disk: Disk, events: Path, last: Last, *, epoch: int, time: str, clean: bool) -> Recovered:
    """Writing goes on at the end of the last segment, in a new one where that is sealed."""
    header, prefix = last.header, last.prefix
    if not prefix.sealed:
        return Recovered(header=header, end=prefix.end, seq=prefix.seq, crc=prefix.crc, epoch=epoch, clean=clean)
    previous = (header.id, prefix.crc)
    header = segment.create(disk, events, first=prefix.seq + 1, epoch=epoch, time=time, previous=previous)
    return at_header(header, epoch=epoch, clean=clean)


def at_header(header: Header, *, epoch: int, clean: bool) -> Recovered:
    """Writing goes on in a segment that holds nothing yet."""
    return Recovered(header=header, end=header.size, seq=header.first - 1, crc=header.crc, epoch=epoch, clean=clean)


def mend_last(
    disk: Disk, bus: Path, last: Last, *, clean: tuple[int, bytes] | None, floor: int, limits: Limits
) -> bool:
    """Sets aside what is torn, and copies the intact part after an unclean stop; whether the last stop was clean."""
    fd, header, prefix = last.fd, last.header, last.prefix
    path = bus / "events" / segment.name_of(header.first)
    size = disk.fstat(fd).st_size
    torn = prefix.end < size
    if torn or prefix.seq < floor:
        judge(fd, header, prefix.end, prefix.seq + 1, disk=disk, events=path.parent, floor=floor, limits=limits)
    was_clean = not torn and clean == (prefix.seq, prefix.crc)
    if torn:
        copy(disk, fd, prefix.end, size, bus / "quarantine" / f"{path.name}.{prefix.end}.torn")
    if not was_clean:
        copy(disk, fd, 0, prefix.end, path)
    return was_clean


def copy(disk: Disk, source: int, start: int, end: int, target: Path) -> None:
    """The bytes [start, end) in a file of their own, synced, under the name of `target`."""
    fresh = target.with_name(f"{target.name}.tmp")
    discard(disk, fresh)
    fd = disk.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        for piece in chunks(disk, source, start, end):
            write_on(disk, fd, piece)
        disk.fsync(fd)
    finally:
        disk.close(fd)
    disk.rename(fresh, target)
    disk.fsync_dir(target.parent)
