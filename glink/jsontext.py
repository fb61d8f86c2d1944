"""JSON text: the one door to orjson.

`canonical` is the only form that digests are taken over: sorted keys, no spaces, UTF-8.
"""

from __future__ import annotations

from typing import Any

import orjson

dumps = orjson.dumps
loads = orjson.loads
JSONError = orjson.JSONDecodeError
JSONEncodeError = orjson.JSONEncodeError


def is_short(text: str, most: int) -> bool:
    """Whether `text` takes at most `most` bytes within a JSON text, where one character may become six (`\\u0001`)."""
    if len(text) * 6 <= most:
        return True
    return len(text) <= most and len(dumps(text.encode("utf-8", "replace").decode())) - 2 <= most


def compact(value: Any, *, plain: bool = False) -> bytes:
    """As `dumps`, for bytes that are kept: orjson leaves behind them the room it wrote in, some KiB for a short text.

    `plain` takes no dataclass: whoever uses the value beside its text must find in it what a reader of the text finds.
    """
    return bytes(memoryview(orjson.dumps(value, option=orjson.OPT_PASSTHROUGH_DATACLASS if plain else None)))


def canonical(value: Any) -> bytes:
    """The one byte form of a JSON value (also of dataclasses); raises TypeError for anything else."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def pretty(value: Any) -> str:
    """JSON for people: indented, sorted keys."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2).decode()
