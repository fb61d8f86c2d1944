"""JSON bodies, read strictly: what two readers could understand differently is refused.

Called by `site` once it is known who asks.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from glink.jsontext import dumps
from glink.limits import Limits
from glink.server.problem import HttpProblem

_JSON: Final = re.compile(r"application/json(?: *; *charset=\"?utf-8\"?)? *", re.ASCII | re.IGNORECASE)
_DIGITS: Final = 20
_NUL: Final = "\0"


def read_bytes(environ: Mapping[str, Any], limits: Limits) -> bytes:
    """The body as it came; raises 413."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length > limits.body_bytes:
        raise HttpProblem(413, f"a body holds at most {limits.body_bytes} bytes")
    data: bytes = environ["wsgi.input"].read(length)
    return data


def read_json(environ: Mapping[str, Any], limits: Limits) -> tuple[Any, bytes]:
    """The value and the bytes that it stands in; raises 400, 413 and 415."""
    if not _JSON.fullmatch(environ.get("CONTENT_TYPE", "")) or "HTTP_CONTENT_ENCODING" in environ:
        raise HttpProblem(415, "the body must be JSON: Content-Type: application/json")
    data = read_bytes(environ, limits)
    return parse(data, limits.json_depth), data


def parse(data: bytes, deepest: int) -> Any:
    """One JSON value; raises 400."""
    try:
        value = _DECODER.decode(data.decode())
        plain = dumps(value)
    except UnicodeDecodeError:
        refuse("is not UTF-8")
    except (TypeError, RecursionError) as error:
        refuse(
            "is nested too deep" if "ecursion" in str(error) else "has a lone surrogate or a number that is too long"
        )
    except json.JSONDecodeError as error:
        refuse(f"is not JSON: {error.msg} at character {error.pos}" if data else "is missing")
    if data.count(b"{") + data.count(b"[") > deepest and depth(value) > deepest:
        refuse(f"is nested deeper than {deepest} levels")
    if rb"\u0000" in plain and _has_nul(value):
        refuse("has a NUL character")
    return value


def depth(value: Any) -> int:
    """Levels of nesting; a plain value has none. The value comes from the parser, which is no deeper than Python is."""
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


def refuse(what: str) -> NoReturn:
    """400 about the body."""
    raise HttpProblem(400, f"the body {what}")


def _has_nul(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_NUL in key or _has_nul(inner) for key, inner in value.items())
    if isinstance(value, list):
        return any(map(_has_nul, value))
    return isinstance(value, str) and _NUL in value


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        refuse("names a key twice")
    return found


def _float(written: str) -> float:
    number = float(written)
    if not math.isfinite(number):
        refuse("has a number that is too large")
    return number


def _int(written: str) -> int:
    if len(written) > _DIGITS:
        refuse("has a number that is too long")
    return int(written)


def _constant(name: str) -> NoReturn:
    refuse(f"has {name}, which is no JSON")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_mapping, parse_float=_float, parse_int=_int, parse_constant=_constant
)
