"""What an HTTP status means for a step, and when a service wants to be asked again. Tables and arithmetic; no effects.

Called by `http`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from glink.agents.agent import ErrorClass as E

_CLASSES: Final[Mapping[int, E]] = {
    401: E.AUTH,
    402: E.THROTTLED,  # the quota is spent
    403: E.AUTH,
    404: E.CONFIG,
    405: E.CONFIG,
    406: E.CONFIG,
    407: E.CONFIG,
    408: E.TRANSIENT,
    409: E.TRANSIENT,
    410: E.CONFIG,
    411: E.CONFIG,
    413: E.TOO_LARGE,
    414: E.CONFIG,
    415: E.CONFIG,
    421: E.CONFIG,
    425: E.TRANSIENT,
    426: E.CONFIG,
    429: E.THROTTLED,
    431: E.CONFIG,
    451: E.REFUSED,
}
# The class of a whole hundred; a 4xx that is not in the table is the service's verdict on the task.
_HUNDREDS: Final[Mapping[int, E]] = {3: E.CONFIG, 4: E.AGENT_FAILED, 5: E.TRANSIENT}
_FAULTS: Final[Mapping[str, E]] = {
    "address": E.CONFIG,
    "certificate": E.CONFIG,
    "encoding": E.CONFIG,
    "too-large": E.TOO_LARGE,
}
_LONGEST: Final = 86_400.0
_DIGITS: Final = 9


def class_of(status: int) -> E | None:
    """The class of a failure; None for an answer."""
    if 200 <= status < 300:
        return None
    return _CLASSES.get(status) or _HUNDREDS.get(status // 100, E.INTERNAL)


def class_of_fault(code: str) -> E:
    """The class of an exchange that brought no whole answer (`glink.outward.exchange.Broken.code`)."""
    return _FAULTS.get(code, E.TRANSIENT)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """The seconds that `Retry-After` (RFC 9110) asks for, at most a day; None where it says nothing that can be understood.

    A date is taken against the service's own `Date`, so that its clock may be wrong.
    """
    written = headers.get("retry-after", "").strip()
    if written.isascii() and written.isdecimal():
        return min(float(written[:_DIGITS]) if len(written) <= _DIGITS else _LONGEST, _LONGEST)
    then = _seconds_of(written)
    if then is None:
        return None
    own = _seconds_of(headers.get("date", ""))
    return min(max(then - (now if own is None else own), 0.0), _LONGEST)


def _seconds_of(date: str) -> float | None:
    try:
        found = parsedate_to_datetime(date)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
