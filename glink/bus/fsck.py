"""Looks at every byte of a bus and changes none: segments, indexes, checkpoints, blobs. Damage is named, not mended.

Called by `glink fsck`, by `repair`, which accepts the losses that are found here, and by `backup` and `restore`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from glink.bus import checkpoints, index, marks, record, retention, segment
from glink.bus.blobs import StoredBlobs
from glink.bus.damage import Damage
from glink.bus.fsio import Disk, chunks, read_file
from glink.bus.recovery import judge, known_floor
from glink.bus.segment import Header, Seal
from glink.errors import BusCorrupt, BusError
from glink.limits import Limits

UNFINISHED = "a repair did not come to its end; `glink repair` finishes it"
_HEADER = "the header is damaged, or another bus's"


@dataclass(slots=True)
class Report:
    """What was looked at and what was found. `others` cost time, not events: bad indexes, checkpoints, unnamed litter.

    `unfinished`: a repair was stopped before its end.
    """

    segments: int = 0
    records: int = 0
    checkpoints: int = 0
    blobs: int = 0
    torn_bytes: int = 0
    damages: list[Damage] = field(default_factory=list)
    bad_blobs: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    unfinished: bool = False

    @property
    def sound(self) -> bool:
        return not self.damages and not self.bad_blobs and not self.unfinished


def check(disk: Disk, bus: Path, limits: Limits, *, end: tuple[int, int] | None = None) -> Report:
    """The whole bus; up to `end` (segment, offset), where a daemon goes on writing behind it. Raises BusFormat."""
    marks.check_format(disk, bus)
    report = Report(unfinished=marks.read_repair(disk, bus) is not None)
    _log(disk, bus, limits, end, report)
    _checkpoints(disk, bus / "checkpoints", report)
    _blobs(disk, bus, report)
    return report


def damages(disk: Disk, bus: Path, limits: Limits, *, end: tuple[int, int] | None = None) -> tuple[Damage, ...]:
    """What is wrong with the log alone, by reading all of it."""
    report = Report()
    _log(disk, bus, limits, end, report)
    return tuple(report.damages)


def _log(disk: Disk, bus: Path, limits: Limits, end: tuple[int, int] | None, report: Report) -> None:
    events = bus / "events"
    firsts = [first for first in segment.firsts(disk, events) if end is None or first <= end[0]]
    floor = known_floor(disk, bus) if end is None else 0
    headers = {first: _header(disk, events, first) for first in firsts}
    due = _first_due(disk, events, firsts, headers)
    firsts = [first for first in firsts if first >= due]
    for first in _strangers(disk, events, firsts, headers):
        headers[first] = None  # what it says of itself is about another bus
    for first, following in [*pairwise(firsts), (firsts[-1], None)] if firsts else []:
        if first > due:
            report.damages.append(_missing(events, due, first - 1, headers[first]))
        report.segments += 1
        if following is not None:
            found = _sealed(disk, events, first, headers, following, limits, report)
        else:
            found = _last(disk, events, first, headers[first], floor, limits, report, end)
        due = found + 1
    if due <= floor:
        report.damages.append(_missing(events, due, floor, None))


def _header(disk: Disk, events: Path, first: int) -> Header | None:
    try:
        fd, header = segment.open_segment(disk, events, first)
    except BusCorrupt:
        return None
    disk.close(fd)
    return header


def _first_due(disk: Disk, events: Path, firsts: list[int], headers: dict[int, Header | None]) -> int:
    """1, or the first seq after the newest trim that a readable record names."""
    through = 0
    for first in reversed(firsts):
        header = headers[first]
        if header is not None:
            fd = disk.open(events / segment.name_of(first), os.O_RDONLY)
            try:
                through = retention.newest_trim(disk, fd, header.size, segment.intact_prefix(disk, fd, header).end)
            finally:
                disk.close(fd)
        if through:
            break
    return through + 1


def _strangers(disk: Disk, events: Path, firsts: list[int], headers: dict[int, Header | None]) -> set[int]:
    """Segments that belong to neither of their neighbours, as a mixed backup brings them."""
    broken = [_is_broken(disk, events, headers[one], headers[two]) for one, two in pairwise(firsts)]
    found: set[int] = set()
    for at, is_broken in enumerate(broken):
        if is_broken and not found & {firsts[at]}:
            # the later one, when it does not fit its own successor either, or has none; else the earlier one
            later = at + 1 == len(broken) or broken[at + 1]
            found.add(firsts[at + 1] if later else firsts[at])
    return found


def _is_broken(disk: Disk, events: Path, one: Header | None, two: Header | None) -> bool:
    """Whether both are whole and adjacent, and the second names another one than the first."""
    if one is None or two is None:
        return False
    fd = disk.open(events / segment.name_of(one.first), os.O_RDONLY)
    try:
        seal = segment.read_seal(disk, fd, one)
    finally:
        disk.close(fd)
    return seal is not None and seal.last + 1 == two.first and (two.prev_id, two.prev_crc) != (one.id, seal.previous)


def _missing(events: Path, first: int, last: int, following: Header | None) -> Damage:
    return Damage(
        events / segment.name_of(first), first, last, (first, last), "the file is not there", next_header=following
    )


def _sealed(
    disk: Disk,
    events: Path,
    first: int,
    headers: dict[int, Header | None],
    following: int,
    limits: Limits,
    report: Report,
) -> int:
    """Returns the last seq of the segment, as the next one says."""
    path, header, after = events / segment.name_of(first), headers[first], headers[following]
    last = after.prev_seq if after is not None else following - 1
    if header is None:
        report.damages.append(Damage(path, first, last, (first, last), _HEADER, None, after))
        return last
    fd = disk.open(path, os.O_RDONLY)
    try:
        seal, size = segment.read_seal(disk, fd, header), disk.fstat(fd).st_size
        if seal is not None and segment.digest_of(disk, fd, seal.start) == seal.sha256:
            report.records += seal.count
            _index(disk, path, header, seal, size, report)
            if seal.damaged:
                report.others.append(f"{path}: sealed as damaged; the loss was accepted")
            return seal.last
        end = size if seal is None else seal.start
        at = segment.intact_prefix(disk, fd, header, end).end
        lost = _lost(disk, fd, header, end, last, limits)
        what = f"damaged at byte {at}" if at < end else "the seal is missing or damaged"
        report.damages.append(Damage(path, first, last, lost, what, header, after))
        return last
    finally:
        disk.close(fd)


def _last(
    disk: Disk,
    events: Path,
    first: int,
    header: Header | None,
    floor: int,
    limits: Limits,
    report: Report,
    end: tuple[int, int] | None,
) -> int:
    path = events / segment.name_of(first)
    fd = disk.open(path, os.O_RDONLY)
    try:
        size = disk.fstat(fd).st_size if end is None else end[1]
        if header is None:
            last = max(floor, first, _highest_text(disk, fd, size))
            report.damages.append(Damage(path, first, last, (first, last), _HEADER))
            return last
        prefix = segment.intact_prefix(disk, fd, header, size)
        report.records += prefix.seq - first + 1
        if prefix.end == size and (prefix.sealed or prefix.seq >= floor):
            return prefix.seq
        try:
            judge(fd, header, prefix.end, prefix.seq + 1, disk=disk, events=events, floor=floor, limits=limits)
        except BusCorrupt:
            whole = [record.seq_of(line) for _, line in segment.survivors(disk, fd, header, size, limits.record_bytes)]
            seal = segment.read_seal(disk, fd, header)
            last = max(floor, *whole, prefix.seq, 0 if seal is None else seal.last)
            lost = _lost(disk, fd, header, size, last, limits)
            report.damages.append(Damage(path, first, last, lost, f"damaged at byte {prefix.end}", header))
            return last
        report.torn_bytes = size - prefix.end
        return prefix.seq
    finally:
        disk.close(fd)


def _lost(disk: Disk, fd: int, header: Header, size: int, last: int, limits: Limits) -> tuple[int, int] | None:
    """From the first to the last seq that no whole record bears."""
    whole = {record.seq_of(line) for _, line in segment.survivors(disk, fd, header, size, limits.record_bytes)}
    gone = [seq for seq in range(header.first, last + 1) if seq not in whole]
    return (gone[0], gone[-1]) if gone else None


def _highest_text(disk: Disk, fd: int, size: int) -> int:
    """The highest seq that stands anywhere, whole or not: so that none is given out twice."""
    data = b"".join(chunks(disk, fd, 0, size))
    return max((int(found[1]) for found in record.starts(data)), default=0)


def _index(disk: Disk, path: Path, header: Header, seal: Seal, size: int, report: Report) -> None:
    if not seal.damaged and not index.is_whole(disk, path, header.id, size):
        report.others.append(f"{index.path_of(path)}: missing or damaged; it is made again when it is needed")


def _checkpoints(disk: Disk, folder: Path, report: Report) -> None:
    if not disk.exists(folder):
        return
    for name in sorted(disk.listdir(folder)):
        if name.endswith((".json", ".prev")) or name == checkpoints.REST:
            report.checkpoints += 1
            if checkpoints.decode(read_file(disk, folder / name) or b"") is None:
                report.others.append(f"{folder / name}: damaged; the log has it all")


def _blobs(disk: Disk, bus: Path, report: Report) -> None:
    store = StoredBlobs(disk, bus / "blobs" / "sha256")
    for digest in _stored(disk, bus / "blobs" / "sha256"):
        report.blobs += 1
        try:
            store.get(digest)
        except BusError:
            report.bad_blobs.append(digest)


def _stored(disk: Disk, folder: Path) -> Iterator[str]:
    for prefix in sorted(disk.listdir(folder)) if disk.exists(folder) else []:
        if len(prefix) == 2:
            yield from (prefix + rest for rest in sorted(disk.listdir(folder / prefix)) if len(rest) == 62)
