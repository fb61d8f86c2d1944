"""Durations as people write them: `10m`, `1h30m`, `250ms`, or a number of seconds."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

_WRITTEN: Final = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?", re.ASCII)
_SECONDS: Final = (86_400, 3_600, 60, 1, 0.001)
_LONGEST: Final = 10 * 366 * 86_400
_CHARACTERS: Final = 40


def seconds_of(written: Any) -> float:
    """The seconds of a duration; raises ValueError with what to write instead."""
    seconds: float | None = None
    if isinstance(written, int | float) and not isinstance(written, bool):
        seconds = float(written)
    elif isinstance(written, str) and 0 < len(written) <= _CHARACTERS:
        found = _WRITTEN.fullmatch(written)
        if found is not None:
            seconds = sum(float(part) * unit for part, unit in zip(found.groups(), _SECONDS, strict=True) if part)
    if seconds is None or not 0 <= seconds <= _LONGEST:
        raise ValueError("write a duration such as 90s, 10m, 1h30m, 250ms, or a number of seconds")
    return seconds


def _validated(written: Any) -> float:
    try:
        return seconds_of(written)
    except ValueError as error:
        raise PydanticCustomError("cure", "is not a duration", {"cure": str(error)}) from None


Duration = Annotated[
    float,
    BeforeValidator(_validated),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0},
                {"type": "string", "pattern": r"^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+(\.[0-9]+)?s)?([0-9]+ms)?$"},
            ],
            "description": "a duration: 90s, 10m, 1h30m, 250ms, or a number of seconds",
        }
    ),
]
