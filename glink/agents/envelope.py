"""The body of a service's answer as an outcome: Glink's envelope, what `pick:` finds in it, any JSON, or text.

    {"status": "ok", "output": ..., "usage": {"input": 10, "output": 4, "cost_usd": 0.01}, "session": "..."}
    {"status": "failed", "error": {"class": "agent_failed", "code": "no", "message": "...", "retry_at": ...}}

What a service wrote is data: it is measured, checked and clipped here, and nothing in it is believed to be of a type
that it is not. Called by `http`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, get_args

from glink.agents.agent import ErrorClass, Outcome
from glink.agents.command import Claimable
from glink.agents.message import clipped
from glink.clock import seconds_of
from glink.jsontext import JSONError, loads
from glink.limits import Limits

_CLASSES: Final = frozenset(get_args(Claimable))
_KEYS: Final = {
    "ok": frozenset(("v", "status", "output", "usage", "session")),
    "failed": frozenset(("v", "status", "error", "usage", "session")),
}
_COUNTS: Final = ("input", "output", "cached", "calls", "cost_usd")
_BASES: Final = ("reported", "estimated", "unknown")
_LARGEST: Final = 1e15
_CODE: Final = 64
_SESSION: Final = 256
_CHARSETS: Final = frozenset(("iso-8859-1", "latin-1", "latin1", "us-ascii", "windows-1252", "cp1252"))
# A record of the bus holds the answer a few levels down.
_LEVELS_ABOVE: Final = 4


def outcome_of(body: bytes, content_type: str, pick: str | None, limits: Limits) -> Outcome:
    """The outcome of an answer with a status of success."""
    kind, charset = _kind_of(content_type)
    if not body.strip():
        return _invalid("empty", "the answer is empty", limits)
    declared = kind in {"application/json", "text/json"} or kind.endswith("+json") or pick is not None
    if not declared and kind.startswith("text/"):
        return _answer(text_of(body, charset), limits)
    try:
        value = loads(body)
    except JSONError as error:
        if declared:
            return _invalid("json", f"the answer is not JSON: {error}", limits)
        return _answer(text_of(body, charset), limits)
    if _deeper(value, limits.json_depth - _LEVELS_ABOVE):
        return _invalid("depth", f"the answer is nested deeper than {limits.json_depth - _LEVELS_ABOVE} levels", limits)
    if pick is not None:
        return _picked(value, pick, limits)
    if isinstance(value, dict) and _is_envelope(value):
        return _opened(value, limits)
    return _answer(value, limits)


def text_of(body: bytes, charset: str = "") -> str:
    """A body as text: what is no text becomes U+FFFD, as does NUL; one newline at the end goes."""
    encoding = charset if charset in _CHARSETS else "utf-8"
    return body.decode(encoding, "replace").replace("\0", "\ufffd").removesuffix("\n")


def complaint_in(body: bytes, content_type: str, limits: Limits) -> str:
    """What a service says about a failure, in the usual places (RFC 9457 and its like), as one short line."""
    said: Any = None
    try:
        said = loads(body)
    except JSONError:
        if _kind_of(content_type)[0] != "text/html":
            said = text_of(body[: limits.message_bytes])
    for key in ("error", "detail", "message", "title"):
        if isinstance(said, dict) and said.get(key):
            said = said[key]
    return clipped(said.strip(), limits.message_bytes // 2) if isinstance(said, str) else ""


def _kind_of(content_type: str) -> tuple[str, str]:
    kind, _, parameters = content_type.lower().partition(";")
    _, _, charset = parameters.partition("charset=")
    return kind.strip(), charset.partition(";")[0].strip(' "')


def _is_envelope(value: Mapping[str, Any]) -> bool:
    """Only what can be nothing else: other services have a `status` too."""
    keys = _KEYS.get(value["status"]) if isinstance(value.get("status"), str) else None
    if keys is None or not value.keys() <= keys:
        return False
    return "output" in value or isinstance(value.get("error"), dict)


def _opened(envelope: Mapping[str, Any], limits: Limits) -> Outcome:
    session = envelope.get("session")
    more: dict[str, Any] = {"usage": _usage(envelope.get("usage"))}
    if isinstance(session, str) and session:
        more["session"] = clipped(session, _SESSION)
    error = envelope.get("error")
    if error is None:
        found = _answer(envelope["output"], limits)
        return Outcome(output=found.output, failure=found.failure, **more)
    named = error.get("class", "agent_failed")
    cls = ErrorClass(named) if isinstance(named, str) and named in _CLASSES else ErrorClass.INTERNAL
    code, message = (str(error.get(key) or "refused") for key in ("code", "message"))
    failed = Outcome.failed(
        cls,
        clipped(code, _CODE),
        clipped(message, limits.message_bytes),
        retry_at=_moment(error.get("retry_at")),
        retry=error.get("retry") is True,
    )
    return Outcome(failure=failed.failure, **more)


def _usage(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {}
    counts = {key: value[key] for key in _COUNTS if _is_count(value.get(key))}
    basis = value.get("basis")
    return {**counts, "basis": basis if basis in _BASES else "reported"} if counts else {}


def _is_count(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LARGEST


def _moment(value: Any) -> float | None:
    """Seconds since 1970, from a number or RFC 3339; None for anything else."""
    try:
        found = seconds_of(value) if isinstance(value, str) else value
    except (ValueError, OverflowError):
        return None
    return float(found) if _is_count(found) and math.isfinite(found) else None


def _picked(value: Any, pick: str, limits: Limits) -> Outcome:
    """What the path leads to: keys of objects, and places in lists from 0 on."""
    way = ""
    for part in pick.split("."):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isascii() and part.isdecimal() and int(part[:9]) < len(value):
            value = value[int(part)]
        else:
            return _invalid("pick", f"there is no `{part}` {f'in {way} of' if way else 'in'} the answer", limits)
        way = f"{way}.{part}" if way else part
    return _answer(value, limits)


def _answer(value: Any, limits: Limits) -> Outcome:
    if value is None or (isinstance(value, str) and not value.strip()):
        return _invalid("empty", "the answer is empty", limits)
    return Outcome(output=value.replace("\0", "\ufffd") if isinstance(value, str) else value)


def _invalid(code: str, message: str, limits: Limits) -> Outcome:
    return Outcome.failed(ErrorClass.INVALID_OUTPUT, code, clipped(message, limits.message_bytes))


def _deeper(value: Any, most: int) -> bool:
    """Whether the value has more levels than that, without recursion."""
    level = [value]
    for _ in range(most + 1):
        level = [
            child
            for one in level
            for child in (one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())
        ]
        if not level:
            return False
    return True
