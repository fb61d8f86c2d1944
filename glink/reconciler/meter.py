"""Who is told how long the conductor's passes took. Called in its thread."""

from __future__ import annotations

from typing import Protocol


class Meter(Protocol):
    """Counts and times, for whoever watches the engine."""

    def reconciled(self, result: str, seconds: float) -> None:
        """A pass: `changed`, `unchanged` or `failed`."""
        ...

    def appended(self, seconds: float) -> None:
        """A commit, its sync included."""
        ...
