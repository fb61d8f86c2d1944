"""The changing verbs: to the daemon that holds the bus, else take the bus, record, let go."""

from __future__ import annotations

from typing import Any

from glink.app import Engine
from glink.channel import ask
from glink.config import Config
from glink.errors import BusHeld, NoState
from glink.wiring import actor


def perform(config: Config, verb: str, project: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
    """Do a control verb; the answer as the table of verbs gives it."""
    given = arguments or {}
    try:
        return ask(config.bus_dir, verb, project, given, actor())
    except NoState:
        pass
    try:
        engine = Engine.open(config, [project], watch=False, acts=False, adopts=verb == "cancel")
    except BusHeld:
        # It came up between the two looks.
        return ask(config.bus_dir, verb, project, given, actor())
    try:
        answer = engine.tell(verb, project, given)
        if verb == "cancel":
            engine.conductor.run(until=lambda: not engine.conductor.ending)
        return answer
    finally:
        engine.close()
