"""Which records a reader of events wants and may have. Pure; called for every record by the streams."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import translate

from glink.event import Record
from glink.server.auth import Who

IsOpen = Callable[[Record], bool]
_LOOKED_AT = ("seq", "type", "project", "step")


def types_of(globs: str) -> re.Pattern[str]:
    """One pattern for a list of globs over event types: `step.*,run.settled`."""
    return re.compile("|".join(translate(one) for one in globs.split(",")))


def looked_at(record: Record) -> Record:
    """As much of a record as any choice looks at: a sixth of what the whole one takes in memory."""
    found = {name: record[name] for name in _LOOKED_AT if name in record}  # type: ignore[literal-required]
    if "agent" in record.get("data", {}):
        found["data"] = {"agent": record["data"]["agent"]}
    return found  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Choice:
    """Readers whose choices are equal are given the same bytes. There are many readers: none remembers anything of projects."""

    who: Who
    project: str | None = None
    types: re.Pattern[str] | None = None
    agent: str | None = None
    is_open: IsOpen | None = None

    def takes(self, record: Record) -> bool:
        """Whether the record is for this reader."""
        project = record.get("project")
        if self.project is not None and project != self.project:
            return False
        if not self.who.covers(project) or (self.types is not None and not self.types.match(record["type"])):
            return False
        if self.agent is not None and record.get("data", {}).get("agent") != self.agent:
            return False
        return self.is_open is None or self.is_open(record)
