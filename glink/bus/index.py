"""Where each project's records stand in a segment: `events/<first seq>.idx` beside a sealed one, in memory for the open.

    {"glink":"index","format":1,"id":3141592653,"size":16777100,"projects":{"coffee":3,"":1}}\n<offsets><crc32>

`id` is the segment's, `size` its length with the seal; offsets are 32-bit little-endian numbers, project after project
in the order of the header, "" for records of none; the crc32 is of all before it. It is made from the segment and can
be made again, so it is not synced: one that is not whole counts as missing. Called by the log and the history.
"""

from __future__ import annotations

import os
import re
import sys
from array import array
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path
from typing import Any
from zlib import crc32

from glink.bus.fsio import Disk, discard, read_file, write_on
from glink.jsontext import JSONError, dumps, loads

FORMAT = 1
LARGEST = 1 << 32
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
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

    def projects(self) -> list[str]:
        """Who has records here; "" where some name no project."""
        return list(self._offsets)

    def encode(self, segment_id: int, size: int) -> bytes:
        counts = {project: len(found) for project, found in self._offsets.items()}
        head = {"glink": "index", "format": FORMAT, "id": segment_id, "size": size, "projects": counts}
        body = dumps(head) + b"\n" + b"".join(_little(found).tobytes() for found in self._offsets.values())
        return body + crc32(body).to_bytes(4, "little")


class Stored:
    """The index of a sealed segment as it was read: one project's offsets are only made when they are asked for."""

    def __init__(self, first: int, counts: dict[str, int], numbers: bytes) -> None:
        self.first, self._numbers = first, numbers
        ends = list(accumulate(counts.values()))
        self._spans = {project: (end - count, end) for (project, count), end in zip(counts.items(), ends, strict=True)}

    def of(self, project: str) -> array[int]:
        """As `Index.of`."""
        start, end = self._spans.get(project, (0, 0))
        found = array("I")
        found.frombytes(self._numbers[4 * start : 4 * end])
        return _little(found)

    def projects(self) -> list[str]:
        """As `Index.projects`."""
        return list(self._spans)


def decode(data: bytes, first: int, segment_id: int, size: int) -> Stored | None:
    """What `Index.encode` gave; None for what is damaged, or of another segment."""
    body = data[:-4]
    if len(data) < 5 or crc32(body).to_bytes(4, "little") != data[-4:]:
        return None
    line, _, numbers = body.partition(b"\n")
    head = _head(line)
    if (head.get("format"), head.get("id"), head.get("size")) != (FORMAT, segment_id, size):
        return None
    return Stored(first, head["projects"], numbers)


def path_of(segment: Path) -> Path:
    return segment.with_suffix(".idx")


def load(disk: Disk, segment: Path, first: int, segment_id: int, size: int) -> Stored | None:
    """The index beside a sealed segment; None where no whole one is."""
    data = read_file(disk, path_of(segment))
    return decode(data, first, segment_id, size) if data else None


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


def _head(line: bytes) -> dict[str, Any]:
    try:
        head = loads(line)
    except JSONError:
        return {}
    return head if isinstance(head, dict) else {}


def _little(numbers: array[int]) -> array[int]:
    """The numbers with their bytes in little-endian order, or back."""
    if sys.byteorder == "little":
        return numbers
    turned = numbers[:]
    turned.byteswap()
    return turned
