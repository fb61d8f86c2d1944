"""What projects share: the agents and their state, the slots, the newest revision.

`World` is folded from the records that name no project, and carries beside it what the configuration says (the roster)
and how many attempts are in flight, which the conductor counts from the projects' states.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from glink.clock import seconds_of
from glink.event import Record
from glink.jsontext import compact, loads
from glink.roster import PULL, AgentSpec, CommandSpec

MAX_SPANS = 100


@dataclass(slots=True)
class World:
    """`cooling`: agent -> seconds since 1970 until it is asked again; `paused`: agent -> access that was refused.

    `closed`: agent -> the newest spans [from, until] in which it was either; until None for one that lasts.

    `boot_seq` is the first start of an engine since the machine was: attempts given away before it are of an earlier boot.

    `draining` is set when the engine is about to stop, `full` while the disk is: nothing more is dispatched. `serve_only`:
    nothing runs but what somebody asked for.
    """

    seq: int = 0
    revision: str = ""
    revisions: list[str] = field(default_factory=list)
    boot: str = ""
    boot_time: float = 0.0
    boot_seq: int = 0
    started: str = ""
    cooling: dict[str, float] = field(default_factory=dict)
    paused: dict[str, str] = field(default_factory=dict)
    closed: dict[str, list[list[float | None]]] = field(default_factory=dict)
    agents: Mapping[str, AgentSpec] = field(default_factory=dict)
    commands: Mapping[str, CommandSpec] = field(default_factory=dict)
    undeclared: str = "error"
    engine: str | None = None
    concurrency: int = 64
    in_flight: int = 0
    by_agent: dict[str, int] = field(default_factory=dict)
    draining: bool = False
    serve_only: bool = False
    full: bool = False

    def packed(self) -> bytes:
        """JSON bytes of what was folded, for a checkpoint."""
        return compact(self.folded())

    def folded(self) -> dict[str, Any]:
        """What was folded, as JSON values."""
        return {name: getattr(self, name) for name in _FOLDED}

    def restore(self, payload: bytes) -> None:
        """Take over what an earlier `packed` held."""
        self.take(loads(payload))

    def take(self, values: Mapping[str, Any]) -> None:
        """The same from JSON values."""
        self.boot_seq = 0  # older versions did not write it
        for name in _FOLDED:
            if name in values or name != "boot_seq":
                setattr(self, name, values[name])

    def agent(self, name: str) -> AgentSpec | None:
        """Who answers to this name; None when nobody does. An undeclared one may be somebody who pulls."""
        found = self.agents.get(name)
        if found is None and self.undeclared == "pull":
            return AgentSpec(name=name, kind=PULL)
        return found

    def access(self, agent: str) -> str | None:
        """Digest of how the agent is reached; None when nobody has that name."""
        spec = self.agent(agent)
        return spec.access if spec is not None else None

    def pulls(self, agent: str) -> bool:
        """Whether steps of this agent are offered to workers, not given away by the engine."""
        spec = self.agent(agent)
        return spec is not None and spec.kind == PULL

    def taken(self, agent: str, change: int) -> None:
        """Count an attempt of `agent` in (+1) or out (-1)."""
        self.in_flight += change
        self.by_agent[agent] = self.by_agent.get(agent, 0) + change


MAX_REVISIONS = 200
_FOLDED = ("seq", "revision", "revisions", "boot", "boot_time", "boot_seq", "started", "cooling", "paused", "closed")


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
                world.revisions.append(world.revision)
                del world.revisions[:-MAX_REVISIONS]
            case "engine.started":
                if not data["boot"] or data["boot"] != world.boot:
                    world.boot_seq = record["seq"]
                world.boot, world.boot_time, world.started = data["boot"], data["boot_time"], record["time"]
            case "agent.cooling":
                world.cooling[data["agent"]] = until = data["until"]
                closing(world.closed.setdefault(data["agent"], []), seconds_of(record["time"]), until)
            case "agent.paused":
                world.paused[data["agent"]] = data["access"]
                closing(world.closed.setdefault(data["agent"], []), seconds_of(record["time"]), None)
            case "agent.ready":
                world.cooling.pop(data["agent"], None)
                world.paused.pop(data["agent"], None)
                opening(world.closed.get(data["agent"], []), seconds_of(record["time"]))
            case "engine.carried":
                world.take(data["state"])
                world.seq = record["seq"]
            case _:
                pass
    except (KeyError, TypeError, ValueError):
        return


def closing(spans: list[list[float | None]], at: float, until: float | None) -> None:
    """A gate closes at `at`, until a moment that is known or not."""
    spans.append([at, until])
    del spans[:-MAX_SPANS]


def opening(spans: list[list[float | None]], at: float) -> None:
    """The gate opens at `at`: no span reaches beyond it."""
    for span in spans:
        if span[1] is None or span[1] > at:
            span[1] = at
