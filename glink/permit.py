"""What a token of the API may do: a closed list of words, and `work:AGENT` for each agent that a worker answers for.

Declared by the configuration's `tokens:`, held by `glink.server.auth`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """`open` needs no token and is no word of `may:`; the others are."""

    OPEN = "open"
    READ = "read"
    WRITE = "write"
    CONTROL = "control"
    WORK = "work"


@dataclass(frozen=True, slots=True)
class TokenSpec:
    """One declared token: the actor's name, the sha256 of the secret, words (`read`, `work:coder`), project globs."""

    name: str
    sha256: str
    may: tuple[str, ...]
    projects: tuple[str, ...] = ("*",)
