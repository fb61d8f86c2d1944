"""What projects share: the agents and their state, the slots, the newest revision.

`World` is folded from the records that name no project, and carries beside it what the configuration says (the roster)
and how many attempts are in flight, which the conductor counts from the projects' states.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from glink.event import Record
from glink.jsontext import dumps, loads
from glink.roster import AgentSpec, CommandSpec


@dataclass(slots=True)
class World:
    """`cooling`: agent -> seconds since 1970 until it is asked again; `paused`: agent -> profile that was refused.

    `draining` is set when the engine is about to stop, `full` while the disk is: nothing more is dispatched.
    """

    seq: int = 0
    revision: str = ""
    boot: str = ""
    boot_time: float = 0.0
    started: str = ""
    cooling: dict[str, float] = field(default_factory=dict)
    paused: dict[str, str] = field(default_factory=dict)
    agents: Mapping[str, AgentSpec] = field(default_factory=dict)
    commands: Mapping[str, CommandSpec] = field(default_factory=dict)
    undeclared: str = "error"
    engine: str | None = None
    concurrency: int = 64
    in_flight: int = 0
    by_agent: dict[str, int] = field(default_factory=dict)
    draining: bool = False
    full: bool = False

    def packed(self) -> bytes:
        """JSON bytes of what was folded, for a checkpoint."""
        return dumps(self.folded())

    def folded(self) -> dict[str, Any]:
        """What was folded, as JSON values."""
        return {name: getattr(self, name) for name in _FOLDED}

    def restore(self, payload: bytes) -> None:
        """Take over what an earlier `packed` held."""
        self.take(loads(payload))

    def take(self, values: Mapping[str, Any]) -> None:
        """The same from JSON values."""
        for name in _FOLDED:
            setattr(self, name, values[name])

    def agent(self, name: str) -> AgentSpec | None:
        """Who answers to this name; None when nobody does. An undeclared one may be somebody who pulls."""
        found = self.agents.get(name)
        if found is None and self.undeclared == "pull":
            return AgentSpec(name=name, kind="pull", options={})
        return found

    def taken(self, agent: str, change: int) -> None:
        """Count an attempt of `agent` in (+1) or out (-1)."""
        self.in_flight += change
        self.by_agent[agent] = self.by_agent.get(agent, 0) + change


_FOLDED = ("seq", "revision", "boot", "boot_time", "started", "cooling", "paused")


def fold_world(world: World, record: Record) -> None:
    """Take one record without project into `world`; total, as `glink.state.fold` is."""
    if record["seq"] <= world.seq:
        return
    world.seq = record["seq"]
    data: dict[str, Any] = record.get("data", {})
    try:
        match record["type"]:
            case "source.observed":
                world.revision = data["revision"]
            case "engine.started":
                world.boot, world.boot_time, world.started = data["boot"], data["boot_time"], record["time"]
            case "agent.cooling":
                world.cooling[data["agent"]] = data["until"]
            case "agent.paused":
                world.paused[data["agent"]] = data["profile"]
            case "agent.ready":
                world.cooling.pop(data["agent"], None)
                world.paused.pop(data["agent"], None)
            case "engine.carried":
                world.take(data["state"])
                world.seq = record["seq"]
            case _:
                pass
    except (KeyError, TypeError):
        return
