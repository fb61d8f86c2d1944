"""What is wrong with a log, and in which words it is told. Found by `fsck`, read around by `history`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from glink.bus.segment import Header

_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Damage:
    """A segment that is not as it was written. `lost` from-to, both included; None when every record is whole all the
    same. `last` is its last seq.

    `next_header` is that of the segment after it, None for the last one; `header` its own, None where that is damaged.
    """

    path: Path
    first: int
    last: int
    lost: tuple[int, int] | None
    what: str
    header: Header | None = None
    next_header: Header | None = None

    def __str__(self) -> str:
        if self.lost is None:
            return f"{self.path}: {self.what}; no record is lost"
        return f"{self.path}: {self.what}; records {self.lost[0]}-{self.lost[1]}, or some of them, are lost"


def end_of(damages: Sequence[Damage]) -> int:
    """The last seq that is lost; 0 when none is."""
    return max((one.lost[1] for one in damages if one.lost is not None), default=0)


def flags(damages: Sequence[Damage]) -> str:
    """The options that accept exactly what is lost."""
    lost = sorted(one.lost for one in damages if one.lost is not None)
    return " ".join(f"--accept-loss {first}-{last}" for first, last in lost)


def in_words(damages: Sequence[Damage]) -> str:
    """What is damaged, and the command that goes on without it."""
    named = "; ".join(map(str, damages[:_MOST_NAMED]))
    more = f"; and {len(damages) - _MOST_NAMED} more (glink fsck)" if len(damages) > _MOST_NAMED else ""
    return (
        f"the bus is damaged: {named}{more}. To go on without what is lost: stop the engine, "
        f"take a copy of the bus, then `{f'glink repair {flags(damages)}'.rstrip()}`"
    )
