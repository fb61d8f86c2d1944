"""Which blobs nothing on the bus names any more.

Named is every sha256 that stands, in whatever place, in a record or in a blob that is itself named and holds JSON
(workflows name their files, carried states their answers), and in a checkpoint, which may know of events that were
lost: rather one too many is kept than one too few. Nothing is known of a log that is damaged. Called by the conductor's tidying, in a thread
of its own, and by `glink gc`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from glink.bus import segment
from glink.bus.blobs import Blobs
from glink.bus.fsio import Disk, chunks
from glink.bus.segment import Header
from glink.errors import BusCorrupt

_DIGEST = re.compile(rb"[0-9a-f]{64}")
_OVERLAP = 64


def unnamed(disk: Disk, events: Path, blobs: Blobs) -> set[str]:
    """The blobs that are stored and not named; the caller has begun to watch the blobs, so it hears what is put meanwhile.

    Raises OSError and BusError (BusCorrupt for a damaged log); nothing may be taken away then.
    """
    stored = set(blobs.stored())
    named: set[str] = set()
    todo: list[str] = []
    for found in chain(_in_log(disk, events), _in_checkpoints(disk, events.parent / "checkpoints")):
        _note(found, stored, named, todo)
    while todo:
        for found in _in_blob(disk, blobs, todo.pop()):
            _note(found, stored, named, todo)
    return stored - named


def _note(found: str, stored: set[str], named: set[str], todo: list[str]) -> None:
    if found in stored and found not in named:
        named.add(found)
        todo.append(found)


def _in_log(disk: Disk, events: Path) -> Iterator[str]:
    *sealed, last = segment.firsts(disk, events)
    for first in (*sealed, last):
        fd, header = segment.open_segment(disk, events, first)
        try:
            if first != last:
                _must_be_whole(disk, fd, header, events / segment.name_of(first))
            yield from _digests(disk, fd)
        finally:
            disk.close(fd)


def _must_be_whole(disk: Disk, fd: int, header: Header, path: Path) -> None:
    """A flipped digit makes a name unreadable."""
    seal = segment.read_seal(disk, fd, header)
    if seal is None or segment.digest_of(disk, fd, seal.start) != seal.sha256:
        raise BusCorrupt(f"{path}: damaged, so what it names is not known; see `glink fsck`")


def _in_checkpoints(disk: Disk, folder: Path) -> Iterator[str]:
    for name in disk.listdir(folder) if disk.exists(folder) else ():
        if name.endswith((".json", ".prev")):
            try:
                fd = disk.open(folder / name, os.O_RDONLY)
            except FileNotFoundError:  # replaced just now: what it named stands in the log
                continue
            try:
                yield from _digests(disk, fd)
            finally:
                disk.close(fd)


def _in_blob(disk: Disk, blobs: Blobs, digest: str) -> Iterator[str]:
    fd = disk.open(blobs.path(digest), os.O_RDONLY)
    try:
        if disk.pread(fd, 1, 0) in {b"{", b"["}:
            yield from _digests(disk, fd)
    finally:
        disk.close(fd)


def _digests(disk: Disk, fd: int) -> Iterator[str]:
    rest = b""
    for piece in chunks(disk, fd, 0, disk.fstat(fd).st_size):
        window = rest + piece
        for found in _DIGEST.finditer(window):
            yield found[0].decode()
        rest = window[-_OVERLAP + 1 :]
