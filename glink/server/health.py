"""`/health`: whether the engine does its work, and no more than that, since it asks for no token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from glink import __version__
from glink.permit import Scope
from glink.server.problem import HttpProblem
from glink.server.route import Call, Reply, Route

_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["status", "version", "uptime"],
    "properties": {
        "status": {"const": "ok"},
        "version": {"type": "string"},
        "uptime": {"type": "number", "description": "seconds"},
    },
}


@dataclass(frozen=True, slots=True)
class Pulse:
    """How the engine is: seconds since its start, and what is wrong with it, if anything is."""

    uptime: float
    wrong: str = ""


def health_route(probe: Callable[[], Pulse]) -> Route:
    """The route; the probe is asked from application threads and must not wait."""

    def answer(call: Call) -> Reply:
        pulse = probe()
        if pulse.wrong:
            raise HttpProblem(503, pulse.wrong, {"Retry-After": "5"})
        return Reply.json({"status": "ok", "version": __version__, "uptime": round(pulse.uptime, 3)})

    return Route("GET", "/health", Scope.OPEN, answer, "whether the engine does its work", replies={200: _SCHEMA})
