"""Which blobs nothing on the bus names any more.

Named is every sha256 that stands, in whatever place, in a record or in a blob that is itself named and holds JSON
(workflows name their files, carried states their answers): rather one too many is kept than one too few. What the
states name stands in the log too, so the log is all that is looked at. Called by the conductor's tidying, in a thread
of its own, and by `glink gc`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from glink.bus import segment
from glink.bus.blobs import Blobs
from glink.bus.fsio import Disk, chunks

_DIGEST = re.compile(rb"[0-9a-f]{64}")
_OVERLAP = 64


def unnamed(disk: Disk, events: Path, blobs: Blobs) -> set[str]:
    """The blobs that are stored and not named; the caller has begun to watch the blobs, so it hears what is put meanwhile.

    Raises OSError and BusError; nothing may be taken away then.
    """
    stored = set(blobs.stored())
    named: set[str] = set()
    todo: list[str] = []
    for found in _in_log(disk, events):
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
    for first in segment.firsts(disk, events):
        fd, _ = segment.open_segment(disk, events, first)
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
