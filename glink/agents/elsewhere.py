"""What an `http` attempt leaves in its folder, so that a later engine knows what became of it. Called by `http`.

`started` is there before anything is sent. `elsewhere` is there, written and synced, once the service has said that the
work goes on without a connection: a line of JSON, `{"poll": URL or null, "public": bool}`. It is asked for its answer at
`poll`; where that is null nobody asks, and the answer comes by itself.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from glink.agents import adoption
from glink.agents.agent import Adoption
from glink.agents.program import written
from glink.jsontext import JSONError, dumps, loads

_STARTED = "started"
_NAME = "elsewhere"
_BYTES = 8_192


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """`public` tells that the service was met at a public address, so that it must stay at one."""

    poll: str | None
    public: bool

    def keep(self, folder: Path) -> None:
        """Write it down for good; raises OSError."""
        path = written(folder, _NAME, dumps({"poll": self.poll, "public": self.public}) + b"\n")
        for name in (path, str(folder)):
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    @classmethod
    def read(cls, folder: Path) -> Elsewhere | None:
        """What was kept; None when there is nothing, or nothing whole."""
        record = adoption.read_record(folder, _NAME, _BYTES)
        try:
            return None if record is None else cls(**loads(record))
        except (JSONError, TypeError):
            return None


def start(folder: Path) -> None:
    """Leave the trace that the service may have been asked; raises OSError."""
    written(folder, _STARTED, b"")


def examine(folder: Path, *, same_boot: bool) -> Adoption:
    """What became of the attempt: the service works on elsewhere, a connection ended with its engine, or nothing was sent."""
    if Elsewhere.read(folder) is not None:
        return Adoption.RUNNING
    if same_boot and not os.path.lexists(f"{folder}/{_STARTED}"):
        return Adoption.NEVER_STARTED
    return Adoption.LOST
