"""What a reporter is made with, beside its own keys: the outside that tests replace. Made by the composition of `up`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

from glink.clock import Clock
from glink.limits import Limits


@dataclass(frozen=True, slots=True)
class Setting:
    """`environ` is where keys such as `secret_env` look, `stream` where the console writes."""

    environ: Mapping[str, str]
    stream: TextIO
    clock: Clock
    limits: Limits

    def value(self, variable: str) -> str:
        """A variable's value; raises ValueError when it is not set."""
        found = self.environ.get(variable, "")
        if not found:
            raise ValueError(f"the variable {variable} is not set")
        return found
