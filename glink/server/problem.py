"""Refusals over HTTP: RFC 9457 problems, and which error of Glink's is which.

Raised by everything in `glink.server`, turned into an answer by `site`, and by `wire` for what never reached the site.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from secrets import token_hex
from typing import Any, Final

from glink.errors import (
    BusCorrupt,
    BusError,
    BusHeld,
    Conflict,
    GlinkError,
    InvalidInput,
    NoState,
    NotThere,
    Problem,
    Refused,
    Reused,
    UsageError,
)
from glink.jsontext import dumps
from glink.words import escaped

CONTENT_TYPE: Final = "application/problem+json"
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_RETRY: Final = {"Retry-After": "1"}


class HttpProblem(Exception):
    """A refusal with its status; `more` are members of the body beside RFC 9457's own."""

    def __init__(
        self, status: int, detail: str, headers: Mapping[str, str] | None = None, more: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail
        self.headers, self.more = headers or {}, more or {}

    def body(self) -> bytes:
        """The JSON of the problem, under a request id of its own."""
        return problem_body(self.status, self.detail, token_hex(8), self.more)


def problem_body(status: int, detail: str, request_id: str, more: Mapping[str, Any]) -> bytes:
    """An RFC 9457 object; what JSON or a terminal cannot hold is escaped."""
    title = HTTPStatus(status).phrase
    said = {"type": "about:blank", "title": title, "status": status, "detail": escaped(detail)}
    return dumps({**said, "request_id": request_id, **more})


def problem_of(error: GlinkError | TimeoutError) -> HttpProblem:
    """What an error of the engine means to a client."""
    if isinstance(error, InvalidInput):
        return invalid(error.problems)
    if isinstance(error, BusError):
        return _of_bus(error)
    if isinstance(error, TimeoutError):
        more = {"outcome": "unknown"}
        return HttpProblem(503, "the engine did not answer in time; what was asked may still be done", _RETRY, more)
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    return HttpProblem(status, str(error), more={"error": type(error).__name__, **error.facts})


def invalid(problems: Sequence[Problem]) -> HttpProblem:
    """422 with everything that is wrong."""
    return HttpProblem(422, "; ".join(map(str, problems)), more={"errors": [one.as_data() for one in problems]})


def _of_bus(error: BusError) -> HttpProblem:
    if error.poisoned:
        return HttpProblem(503, str(error), more={"outcome": "unknown"})
    if isinstance(error, BusCorrupt):
        return HttpProblem(503, str(error), {"Retry-After": "60"}, {"error": "BusCorrupt"})
    if error.errno in _FULL:
        return HttpProblem(507, str(error), _RETRY)
    return HttpProblem(503, str(error), _RETRY)


_STATUS: Final[tuple[tuple[type[GlinkError], int], ...]] = (
    (Conflict, 409),
    (Refused, 409),
    (Reused, 422),
    (NotThere, 404),
    (UsageError, 400),
    (NoState, 404),
    (BusHeld, 503),
)
