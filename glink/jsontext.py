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


def canonical(value: Any) -> bytes:
    """The one byte form of a JSON value (also of dataclasses); raises TypeError for anything else."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def pretty(value: Any) -> str:
    """JSON for people: indented, sorted keys."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2).decode()
