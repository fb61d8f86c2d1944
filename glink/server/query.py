"""Query strings, read strictly: each parameter once, and none that the route does not know.

Called by `site` for every matched route.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

from glink.server.problem import HttpProblem
from glink.server.route import Param

_PARTS: Final = 50
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HIDDEN: Final = re.compile(r"[\x00-\x1f\x7f]")


def read_query(written: str, params: Mapping[str, Param]) -> dict[str, str]:
    """Name to text; raises 400."""
    if not written:
        if any(one.required for one in params.values()):
            _refuse_missing(params, {})
        return {}
    found: dict[str, str] = {}
    for part in written.split("&", _PARTS):
        name, _, value = map(_unescaped, part.partition("="))
        if name not in params:
            raise HttpProblem(400, f"unknown parameter {name[:100]!r}; known: {', '.join(params) or 'none'}")
        if name in found:
            raise HttpProblem(400, f"the parameter {name} is given twice")
        found[name] = params[name].read(value)
    _refuse_missing(params, found)
    return found


def _refuse_missing(params: Mapping[str, Param], found: Mapping[str, str]) -> None:
    for one in params.values():
        if one.required and one.name not in found:
            raise HttpProblem(400, f"the parameter {one.name} is missing")


def _unescaped(written: str) -> str:
    if _BAD_ESCAPE.search(written) or not written.isascii():
        raise HttpProblem(400, "the query has a malformed escape")
    try:
        text = unquote_to_bytes(written.replace("+", " ")).decode()
    except UnicodeDecodeError:
        raise HttpProblem(400, "the query is not UTF-8") from None
    if _HIDDEN.search(text):
        raise HttpProblem(400, "the query has control characters")
    return text
