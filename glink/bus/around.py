"""Reads a log of which it is known what is damaged: every whole record up to one that is lost, and on from behind it.

Nothing is read over in silence: where a lost record comes next, BusCorrupt says what is lost and where reading goes on.
Called by the history.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path

from glink.bus import index, record, segment
from glink.bus.damage import Damage, end_of, in_words
from glink.bus.fsio import Disk
from glink.bus.segment import Header, Seal
from glink.errors import BusCorrupt
from glink.event import Record
from glink.jsontext import loads

Sound = Callable[[int, Header, Seal | None, int], Iterator[Record]]
"""The records of an undamaged segment (descriptor, header, seal of all but the last) with a seq above one, in order."""


class Around:
    """`longest` is the most bytes that a record may have."""

    def __init__(self, disk: Disk, events: Path, damages: tuple[Damage, ...], longest: int) -> None:
        self._disk, self._events, self._damages, self._longest = disk, events, damages, longest

    def replay(self, after: int, end: tuple[int, int], project: str | None, sound: Sound) -> Iterator[Record]:
        """Records with a seq above `after` up to `end` (segment, offset); only those of `project`, where one is given."""
        damaged = {one.first: one for one in self._damages}
        firsts = [first for first in segment.firsts(self._disk, self._events) if first <= end[0]]
        due = max(after + 1, min([*firsts[:1], *damaged]))
        for first in firsts[max(bisect_right(firsts, due) - 1, 0) :]:
            damage = damaged.get(first)
            if damage is not None and damage.header is None:
                continue  # all of it is lost, and so comes next for whoever reads on
            if first > due:
                raise self.lost(due)
            fd, header = segment.open_segment(self._disk, self._events, first)
            try:
                if damage is None:
                    seal = segment.read_seal(self._disk, fd, header) if first != end[0] else None
                    yield from sound(fd, header, seal, due - 1)
                    due = max(due, first if seal is None else seal.last + 1)
                    continue
                size = end[1] if first == end[0] else self._disk.fstat(fd).st_size
                for _, line in segment.survivors(self._disk, fd, header, size, self._longest):
                    seq = record.seq_of(line)
                    if seq > due:
                        raise self.lost(due)
                    if seq == due and project in (None, index.project_of(line)):
                        yield loads(line)
                    due = max(due, seq + 1)
            finally:
                self._disk.close(fd)
        if due <= end_of(self._damages):
            raise self.lost(due)

    def concerns(self, seq: int) -> bool:
        """Whether a record is, or was, in a damaged segment."""
        return any(one.first <= seq <= one.last for one in self._damages)

    def lost(self, due: int) -> BusCorrupt:
        """The error where this record comes next."""
        ranges = [one.lost for one in self._damages if one.lost is not None and one.lost[1] >= due]
        first, last = ranges[0] if ranges else (due, due)
        return BusCorrupt(
            f"events {first}-{last} cannot be read, what follows can (`--since {last}`); {in_words(self._damages)}"
        )
