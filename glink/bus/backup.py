"""A copy of the bus, also of one that a daemon is writing, and the way back.

    backup    checkpoints → the log up to what is durable → blobs → published files → FORMAT, each file synced
    restore   the same into an empty place; attempts' folders of the time since are set aside

The order makes the copy whole: no checkpoint is ahead of the copied log, every blob that it names is copied after it,
and without FORMAT a copy that was interrupted is no bus.
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from glink.bus import fsck, holder, marks, segment
from glink.bus.fsck import Report
from glink.bus.fsio import Disk, chunks, disk_errors, make_folder, write_on
from glink.errors import BusCorrupt, BusHeld, NoState, UsageError
from glink.limits import Limits

_OWN = ("secret", "token", "epoch")
_ASIDE = "attempts.before-restore"


@dataclass(frozen=True, slots=True)
class Copied:
    """How many files and bytes, and up to which record."""

    files: int
    bytes: int
    report: Report


class _Copying:
    def __init__(self, disk: Disk, source: Path, target: Path) -> None:
        self._disk, self._source, self.target = disk, source, target
        self.files = self.bytes = 0

    def file(self, name: str, end: int | None = None) -> None:
        """One file, up to `end`, synced."""
        source = self._disk.open(self._source / name, os.O_RDONLY)
        try:
            fd = self._disk.open(self.target / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            try:
                size = self._disk.fstat(source).st_size if end is None else end
                for piece in chunks(self._disk, source, 0, size):
                    write_on(self._disk, fd, piece)
                    self.bytes += len(piece)
                self._disk.fsync(fd)
            finally:
                self._disk.close(fd)
        finally:
            self._disk.close(source)
        self.files += 1

    def tree(self, name: str) -> None:
        """A folder with all that is in it; what is written at this moment, or is gone by now, is left out."""
        make_folder(self._disk, self.target / name)
        for entry in sorted(self._disk.listdir(self._source / name)) if self._disk.exists(self._source / name) else []:
            inner = f"{name}/{entry}"
            try:
                kind = self._disk.stat(self._source / inner).st_mode & 0o170000
                if kind == 0o040000:
                    self.tree(inner)
                elif kind == 0o100000 and not entry.endswith((".tmp", ".new")):
                    self.file(inner)
            except FileNotFoundError:
                continue
        self._disk.fsync_dir(self.target / name)


def backup(disk: Disk, bus: Path, target: Path, limits: Limits) -> Copied:
    """Copies a bus that may be in use; raises UsageError for a target that is not empty, BusCorrupt for a damaged copy."""
    with disk_errors(f"the bus {bus} cannot be copied to {target}"):
        if not marks.check_format(disk, bus):
            raise NoState(f"no bus at {bus}")
        marks.refuse_half_repaired(disk, bus)
        _must_be_empty(disk, target)
        copying = _Copying(disk, bus, target)
        pin = disk.open(bus / "events" / segment.name_of(segment.firsts(disk, bus / "events")[0]), os.O_RDONLY)
        try:
            disk.flock(pin, fcntl.LOCK_SH)  # retention waits until the oldest segment is copied, and so all of them
            copying.tree("checkpoints")
            _log(disk, bus, copying)
        finally:
            disk.close(pin)
        _rest(disk, bus, target, copying)
        return _checked(disk, target, limits, copying)


def restore(disk: Disk, source: Path, bus: Path, attempts: Path, limits: Limits) -> Copied:
    """Puts a backup where the bus is to be. Raises UsageError where something is already, BusCorrupt for a bad backup.

    Seqs that were given out after the backup are given out again, so the folders of attempts, which are named by them,
    are set aside: a new attempt must not find the answer of an old one in its place.
    """
    with disk_errors(f"the backup {source} cannot be restored to {bus}"):
        if not marks.check_format(disk, source):
            raise NoState(f"{source} is no whole backup of a bus")
        report = fsck.check(disk, source, limits)
        if not report.sound:
            raise BusCorrupt(f"the backup is damaged:\n{_said(report)}")
        if disk.exists(bus) and holder.is_held(disk, bus):
            raise BusHeld(f"{bus} is held by {holder.find(disk, bus)}; stop it first")
        _must_be_empty(disk, bus)
        copying = _Copying(disk, source, bus)
        copying.tree("checkpoints")
        copying.tree("events")
        if disk.exists(attempts):
            number = next(n for n in range(1, 1 << 20) if not disk.exists(attempts.with_name(f"{_ASIDE}.{n}")))
            disk.rename(attempts, attempts.with_name(f"{_ASIDE}.{number}"))
            disk.fsync_dir(attempts.parent)
        _rest(disk, source, bus, copying)
        return _checked(disk, bus, limits, copying)


def _must_be_empty(disk: Disk, target: Path) -> None:
    if disk.exists(target) and disk.listdir(target):
        raise UsageError(f"{target} is not empty; name a place where nothing is yet")
    make_folder(disk, target)


def _log(disk: Disk, bus: Path, copying: _Copying) -> None:
    """Segments up to what is durable now; beside a daemon what follows may never have been."""
    events = bus / "events"
    make_folder(disk, copying.target / "events")
    mark = marks.read_durable(disk, bus) if holder.is_held(disk, bus) else None
    for first in segment.firsts(disk, events):
        name = f"events/{segment.name_of(first)}"
        if mark is None or first < mark[0]:
            copying.file(name)
        elif first == mark[0]:
            copying.file(name, mark[1])
    disk.fsync_dir(copying.target / "events")


def _rest(disk: Disk, source: Path, target: Path, copying: _Copying) -> None:
    copying.tree("blobs")
    copying.tree("out")
    for name in _OWN:
        if disk.exists(source / name):
            copying.file(name)
    disk.fsync_dir(target)
    copying.file("FORMAT")
    disk.fsync_dir(target)


def _checked(disk: Disk, target: Path, limits: Limits, copying: _Copying) -> Copied:
    report = fsck.check(disk, target, limits)
    if not report.sound:
        raise BusCorrupt(f"the copy is damaged, as its source may be:\n{_said(report)}")
    return Copied(copying.files, copying.bytes, report)


def _said(report: Report) -> str:
    blobs = (f"blob {digest}: damaged" for digest in report.bad_blobs)
    return "\n".join([*map(str, report.damages), *blobs, *([fsck.UNFINISHED] if report.unfinished else [])])
