"""Accepts a loss that cannot be undone, so that the rest of the bus can be used again. Nothing is thrown away.

The damaged file goes to `quarantine/` byte for byte; in its place stands the same with a seal that says `damaged`, so
whole records after the damage stay; `log.gap` names what is gone. Called by `glink repair`.

    `repair` names what is accepted, synced → quarantine, sealed files, CLEAN away, all synced → the bus is opened →
    `log.gap` durable → `repair` away

From the moment that `repair` is there nobody else opens the bus, and the next repair finishes what was begun.
"""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

from glink.bus import fsck, holder, marks, record, redact, segment
from glink.bus.bus import Bus
from glink.bus.damage import Damage, flags
from glink.bus.fsio import Disk, chunks, discard, make_folder, write_new
from glink.bus.index import path_of
from glink.bus.recovery import copy
from glink.bus.segment import NO_CRC, Header
from glink.clock import Clock, text_of
from glink.errors import UsageError
from glink.limits import Limits

GAP = "log.gap"

Range = tuple[int, int]


def repair(
    disk: Disk, bus: Path, limits: Limits, accepted: list[Range], *, clock: Clock, network: bool = False
) -> list[Range]:
    """Seals what is damaged, if exactly its losses are accepted, and tells of them in `log.gap`; returns them.

    What is damaged without loss needs no acceptance, nor does what an earlier call accepted that was stopped before
    its end.

    Raises UsageError, and has changed nothing, when something else is lost than was accepted; BusHeld; BusError.
    """
    lock = holder.take(disk, bus)
    try:
        redact.finish(disk, bus)  # halfway it looks like damage
        begun = marks.read_repair(disk, bus)
        lost = _seal_all(disk, bus, limits, accepted, begun, text_of(clock.now()))
    finally:
        disk.close(lock)
    if lost is None:
        return []
    opened = Bus.open(bus, clock=clock, limits=limits, disk=disk, network=network, repairs=True)
    whole = False
    try:
        for first, last in sorted(set(lost) - (_told(opened, lost) if begun else set())):
            opened.stage({"type": GAP, "data": {"from": first, "to": last}})
        opened.commit()
        marks.remove_repair(disk, bus)
        whole = True
    finally:
        opened.close(clean=whole)
    return lost


def _seal_all(
    disk: Disk, bus: Path, limits: Limits, accepted: list[Range], begun: list[Range] | None, time: str
) -> list[Range] | None:
    """Everything up to the opening; returns all that is to be told, in order, or None where nothing is damaged."""
    damages, before = fsck.check(disk, bus, limits).damages, begun or []
    found = sorted(one.lost for one in damages if one.lost is not None and one.lost not in before)
    if found != sorted(one for one in accepted if one not in before):
        said = "\n".join(map(str, damages)) or "no record is lost: there is nothing to accept"
        left = [one for one in damages if one.lost not in before]
        raise UsageError(said + (f"\nto go on without them: glink repair {flags(left)}" if found else ""))
    if not damages and begun is None:
        return None
    lost = sorted([*before, *found])
    if begun is None or found:
        marks.write_repair(disk, bus, lost)
    make_folder(disk, bus / "quarantine")
    for damage in damages:
        _seal(disk, bus, damage, limits, time)
    discard(disk, bus / "CLEAN")
    disk.fsync_dir(bus)
    return lost


def _told(bus: Bus, lost: list[Range]) -> set[Range]:
    """Which of these losses a `log.gap` names already."""
    gaps = [one["data"] for one in bus.replay(min(lost)[0]) if one["type"] == GAP] if lost else []
    return {(gap["from"], gap["to"]) for gap in gaps}


def _seal(disk: Disk, bus: Path, damage: Damage, limits: Limits, time: str) -> None:
    header, body, crc, count = _whole_part(disk, bus, damage, limits, time)
    seal = segment.seal_line(
        count=count,
        last=damage.last,
        size=len(body),
        digest=sha256(body).hexdigest(),
        damaged=True,
        previous=damage.next_header.prev_crc if damage.next_header is not None else crc,
        seed=header.id,
    )
    path = damage.path
    if disk.exists(path):
        fd = disk.open(path, os.O_RDONLY)
        try:
            copy(disk, fd, 0, disk.fstat(fd).st_size, bus / "quarantine" / f"{path.name}.damaged")
        finally:
            disk.close(fd)
    fresh = path.with_name(f"{path.name}.tmp")
    discard(disk, fresh)
    write_new(disk, fresh, body + seal)
    discard(disk, path_of(path))
    disk.rename(fresh, path)
    disk.fsync_dir(path.parent)


def _whole_part(disk: Disk, bus: Path, damage: Damage, limits: Limits, time: str) -> tuple[Header, bytes, bytes, int]:
    """Header, bytes before the seal, the crc of the highest whole record, how many there are."""
    path, data = damage.path, b""
    if disk.exists(path):
        fd = disk.open(path, os.O_RDONLY)
        try:
            seal = segment.read_seal(disk, fd, damage.header) if damage.header is not None else None
            data = b"".join(chunks(disk, fd, 0, disk.fstat(fd).st_size if seal is None else seal.start))
        finally:
            disk.close(fd)
    header = damage.header
    if header is None:
        line = _new_header(disk, bus, damage, time)
        fields = segment.parse_header(line[:-1], path)
        # Records under a header that is gone can only be checked when the next segment tells its id.
        data = line + (data.partition(b"\n")[2] if damage.next_header is not None else b"")
        header = fields
    best = max(record.whole_records(data, header.id, limits.record_bytes), default=None, key=lambda one: one.seq)
    count = len({one.seq for one in record.whole_records(data, header.id, limits.record_bytes)})
    return header, data, NO_CRC if best is None else record.crc_of(data[best.start : best.end]), count


def _new_header(disk: Disk, bus: Path, damage: Damage, time: str) -> bytes:
    """In the place of one that is damaged or missing: the chain on both sides says what it was."""
    previous = (0, NO_CRC)
    before = [first for first in segment.firsts(disk, bus / "events") if first < damage.first]
    if before:
        fd, header = segment.open_segment(disk, bus / "events", before[-1])
        try:
            seal = segment.read_seal(disk, fd, header)
            prefix = segment.intact_prefix(disk, fd, header)
        finally:
            disk.close(fd)
        previous = (header.id, seal.previous if seal is not None else prefix.crc)
    known = damage.next_header.prev_id if damage.next_header is not None else 0
    segment_id = known or int.from_bytes(disk.entropy(4), "big") or 1
    return segment.header_line(
        segment_id=segment_id,
        first=damage.first,
        epoch=marks.read_epoch(disk, bus),
        time=time,
        previous=previous,
    )
