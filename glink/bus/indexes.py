"""The indexes of sealed segments, a number of them in memory: read, or made anew where there is none that is whole.

Called by the history.
"""

from __future__ import annotations

from array import array
from pathlib import Path

from glink.bus import index, segment
from glink.bus.fsio import Disk
from glink.bus.index import Index, Stored
from glink.bus.segment import Header, Seal
from glink.errors import BusCorrupt
from glink.limits import Limits

_MOST = 32


class Indexes:
    """`saves`: what is made anew is also put beside its segment. Where that is damaged, BusCorrupt is raised."""

    def __init__(self, disk: Disk, events: Path, limits: Limits, *, saves: bool) -> None:
        self._disk, self._events, self._saves = disk, events, saves
        self._longest = limits.record_bytes
        self._kept: dict[tuple[int, int, int], Index | Stored] = {}

    def of(self, fd: int, header: Header, seal: Seal, project: str) -> array[int]:
        """Where a project's records stand in a sealed segment."""
        try:
            return self._index(fd, header, seal).of(project)
        except index.Broken:
            return self._remade(fd, header, seal).of(project)

    def all(self, fd: int, header: Header, seal: Seal) -> list[tuple[str, array[int]]]:
        """The same of all projects."""
        try:
            return self._index(fd, header, seal).all()
        except index.Broken:
            return self._remade(fd, header, seal).all()

    def _index(self, fd: int, header: Header, seal: Seal) -> Index | Stored:
        """Made, and by its daemon also saved, where there is none."""
        found = self._kept.get(self._which(fd, header))
        if found is not None:
            return found
        stored = index.load(self._disk, self._path(header), header.id, self._disk.fstat(fd).st_size)
        if stored is None or stored.count != seal.count:
            return self._remade(fd, header, seal)
        return self._remembered(fd, header, stored)

    def _remembered(self, fd: int, header: Header, found: Index | Stored) -> Index | Stored:
        which = self._which(fd, header)
        if len(self._kept) >= _MOST:
            self._kept.pop(next(iter(self._kept), which), None)
        self._kept[which] = found
        return found

    def _which(self, fd: int, header: Header) -> tuple[int, int, int]:
        """What an index is remembered by: a segment that was redacted keeps its first seq and its id."""
        stat = self._disk.fstat(fd)
        return header.first, stat.st_ino, stat.st_size

    def _remade(self, fd: int, header: Header, seal: Seal) -> Index | Stored:
        if seal.damaged:
            lines = segment.survivors(self._disk, fd, header, seal.start, self._longest)
            return self._remembered(fd, header, Index(header.first).scan(lines))
        if segment.digest_of(self._disk, fd, seal.start) != seal.sha256:
            raise BusCorrupt(f"{self._path(header)}: damaged, so whose records are in it is not known")
        found, size = self.scanned(fd, header, seal.start), self._disk.fstat(fd).st_size
        if self._saves and size < index.LARGEST:
            try:
                index.save(self._disk, self._path(header), found.encode(header.id, size))
            except OSError:
                return self._remembered(fd, header, found)  # it can be made again
        return self._remembered(fd, header, found)

    def scanned(self, fd: int, header: Header, end: int) -> Index:
        """Made of what is known to be whole."""
        return Index(header.first).scan(segment.lines(self._disk, fd, header.size, end))

    def _path(self, header: Header) -> Path:
        return self._events / segment.name_of(header.first)
