"""Where each project's records stand in a segment: `events/<first seq>.idx` beside a sealed one, in memory for the open.

    {"glink":"index","format":2,"id":3141592653,"size":16777100,"count":49213,"shelves":[412,388]}\n<crc>
    {"coffee":3,"":1}\n<offsets><crc> …

`id` is the segment's, `size` its length with the seal, `count` how many records it has. A project's offsets (32 bits,
little-endian) are on the shelf that the crc32 of its name picks, project after project in the order of the shelf's
line, "" for records of none; so whoever reads one project reads the first line and one shelf. Each crc is crc32 of the
bytes before it in its part, seeded with the id. It is made from the segment and can be made again, so it is not synced:
one that is not whole counts as missing. Called by the log and the history.
"""

from __future__ import annotations

import os
import re
import sys
from array import array
from collections.abc import Iterable
from itertools import accumulate, pairwise
from pathlib import Path
from zlib import crc32

from glink.bus.fsio import Disk, discard, read_file, write_on
from glink.jsontext import dumps, loads

FORMAT = 2
LARGEST = 1 << 32
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_CRC_BYTES = 4
_PER_SHELF = 8  # projects
_MOST_SHELVES = 1_024
_LINE_BYTES = 16 << 10  # at least what the first line takes with the most shelves
_PROJECT = re.compile(
    rb'\{"seq":\d{1,19},"b":\d{1,19},"e":\d{1,19},"time":"[^"]*","type":"(?:[^"\\]|\\.)*"(?:,"project":("(?:[^"\\]|\\.)*"))?'
)


def project_of(line: bytes) -> str:
    """The project that a record's line names; "" for none."""
    found = _PROJECT.match(line)
    return loads(found[1]) if found and found[1] else ""


class Index:
    """Offsets by project, ascending. Grows at its end by one thread, while others copy what they need."""

    def __init__(self, first: int) -> None:
        self.first = first
        self._offsets: dict[str, array[int]] = {}

    def add(self, project: str, offset: int) -> None:
        found = self._offsets.get(project)
        if found is None:
            found = self._offsets[project] = array("I")
        found.append(offset)

    def scan(self, lines: Iterable[tuple[int, bytes]]) -> Index:
        """Adds the records of a segment, given as (offset, line); returns itself."""
        for offset, line in lines:
            self.add(project_of(line), offset)
        return self

    def of(self, project: str) -> array[int]:
        """The offsets of one project's records."""
        found = self._offsets.get(project)
        return array("I") if found is None else found[:]

    def all(self) -> list[tuple[str, array[int]]]:
        """Every project that has records here, "" where some name none, with their offsets."""
        return list(self._offsets.items())

    def encode(self, segment_id: int, size: int) -> bytes:
        """The bytes of the file."""
        shelves: list[list[str]] = [[] for _ in range(min(len(self._offsets) // _PER_SHELF + 1, _MOST_SHELVES))]
        for project in self._offsets:
            shelves[_shelf_of(project, len(shelves))].append(project)
        bodies = [self._shelf(projects, segment_id) for projects in shelves]
        head = {
            "glink": "index",
            "format": FORMAT,
            "id": segment_id,
            "size": size,
            "count": sum(map(len, self._offsets.values())),
            "shelves": [len(body) for body in bodies],
        }
        return _with_crc(dumps(head) + b"\n", segment_id) + b"".join(bodies)

    def _shelf(self, projects: list[str], segment_id: int) -> bytes:
        found = {project: self._offsets[project] for project in projects}
        line = dumps({project: len(offsets) for project, offsets in found.items()})
        return _with_crc(line + b"\n" + b"".join(_little(one).tobytes() for one in found.values()), segment_id)


class Broken(Exception):
    """A part of a stored index is not what was written."""


class Stored:
    """The index of a sealed segment as it is on the disk: what is asked for is read then. `count` is of all records."""

    def __init__(self, disk: Disk, path: Path, segment_id: int, count: int, ends: list[int]) -> None:
        """`ends` are the offsets in the file where the first line ends with its crc, and then each shelf with its own."""
        self.count = count
        self._disk, self._path, self._id, self._ends = disk, path, segment_id, ends

    def of(self, project: str) -> array[int]:
        """As `Index.of`; raises Broken, and OSError where the disk does not read."""
        which = _shelf_of(project, len(self._ends) - 1)
        start, end = self._ends[which : which + 2]
        data = _read(self._disk, self._path, start, end - start)
        counts, at = self._counts(data)
        for name, count in counts.items():
            if name == project:
                return _numbers(data, at, count)
            at += 4 * count
        return array("I")

    def all(self) -> list[tuple[str, array[int]]]:
        """As `Index.all`; raises as `of` does."""
        data = read_file(self._disk, self._path) or b""
        found = []
        for start, end in pairwise(self._ends):
            shelf = data[start:end]
            counts, at = self._counts(shelf)
            for name, count in counts.items():
                found.append((name, _numbers(shelf, at, count)))
                at += 4 * count
        return found

    def _counts(self, shelf: bytes) -> tuple[dict[str, int], int]:
        """How many records each project of a shelf has, and where their offsets begin."""
        if not _is_whole(shelf, self._id):
            raise Broken(f"{self._path}: a shelf is not whole")
        line = shelf[: shelf.index(b"\n")]
        return loads(line), len(line) + 1


def path_of(segment: Path) -> Path:
    return segment.with_suffix(".idx")


def load(disk: Disk, segment: Path, segment_id: int, size: int) -> Stored | None:
    """The index beside a sealed segment; None where none is that belongs to it. Its shelves are checked when read."""
    path = path_of(segment)
    line, newline, rest = _read(disk, path, 0, _LINE_BYTES).partition(b"\n")
    if not _is_whole(line + newline + rest[:_CRC_BYTES], segment_id):
        return None
    head = loads(line)
    if (head["format"], head["id"], head["size"]) != (FORMAT, segment_id, size):
        return None
    start = len(line) + 1 + _CRC_BYTES
    return Stored(disk, path, segment_id, head["count"], list(accumulate(head["shelves"], initial=start)))


def is_whole(disk: Disk, segment: Path, segment_id: int, size: int) -> bool:
    """Whether the index beside a sealed segment is there, belongs to it and is as it was written."""
    found = load(disk, segment, segment_id, size)
    try:
        return found is not None and bool(found.all())
    except Broken:
        return False


def save(disk: Disk, segment: Path, data: bytes) -> None:
    """Puts the index beside its segment; raises OSError, and then there is none."""
    path = path_of(segment)
    fresh = path.with_name(f"{path.name}.{disk.entropy(4).hex()}.tmp")
    fd = disk.open(fresh, _NEW)
    try:
        try:
            write_on(disk, fd, data)
        finally:
            disk.close(fd)
        disk.rename(fresh, path)
    except OSError:
        discard(disk, fresh)
        raise


def _read(disk: Disk, path: Path, start: int, size: int) -> bytes:
    """At most that many bytes; b"" where there is no such file."""
    try:
        fd = disk.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return b""
    try:
        return disk.pread(fd, size, start)
    finally:
        disk.close(fd)


def _shelf_of(project: str, shelves: int) -> int:
    return crc32(project.encode()) % shelves


def _with_crc(part: bytes, seed: int) -> bytes:
    return part + crc32(part, seed).to_bytes(_CRC_BYTES, "little")


def _is_whole(part: bytes, seed: int) -> bool:
    return len(part) > _CRC_BYTES and _with_crc(part[:-_CRC_BYTES], seed) == part


def _numbers(data: bytes, at: int, count: int) -> array[int]:
    found = array("I")
    found.frombytes(data[at : at + 4 * count])
    return _little(found)


def _little(numbers: array[int]) -> array[int]:
    """The numbers with their bytes in little-endian order, or back."""
    if sys.byteorder == "little":
        return numbers
    turned = numbers[:]
    turned.byteswap()
    return turned
