"""The names that tasks and expressions may use, and what a template turned out to name.

Filled by `plain` and `allowlist`; read by the loader (are the steps ancestors, the parameters declared, the texts
there?) and by the fingerprint.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

OFFERED: Final = frozenset(
    ("attempt", "bus", "files", "now", "params", "project", "revision", "run", "steps", "trigger")
)
STEP_FIELDS: Final = ("output", "text", "files", "status", "error")
RUN_FIELDS: Final = ("id", "number", "status")

# The values of these never cause a run. `trigger` is among them: what it brings comes with a request, which runs by itself.
VOLATILE: Final = frozenset(("now", "run", "attempt", "revision", "trigger", "bus"))


@dataclass(frozen=True, slots=True)
class NoteQuery:
    """`bus.latest(TYPE, project=P)` or `bus.all(TYPE, limit)`; None for the own project and the usual limit."""

    kind: Literal["latest", "all"]
    type: str
    project: str | None = None
    limit: int | None = None


class Names(NamedTuple):
    """What a template and the texts that it includes name.

    `steps` holds ids as strings, `params` names or `*` for all of them, `files` and `includes` the keys of the
    project's texts, `volatile` those of now, run, attempt, revision, trigger and bus that occur.
    """

    steps: frozenset[str] = frozenset()
    params: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()
    includes: frozenset[str] = frozenset()
    volatile: frozenset[str] = frozenset()
    notes: frozenset[NoteQuery] = frozenset()


NO_NAMES: Final = Names()


@dataclass(slots=True)
class Found:
    """`Names` in the making. `queries` is in order of appearance, without repetition."""

    steps: set[str] = field(default_factory=set)
    params: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    includes: set[str] = field(default_factory=set)
    volatile: set[str] = field(default_factory=set)
    queries: list[NoteQuery] = field(default_factory=list)

    def root(self, name: str) -> None:
        """Take note of a name that stands by itself."""
        if name in VOLATILE:
            self.volatile.add(name)

    def names(self) -> Names:
        return Names(
            frozenset(self.steps),
            frozenset(self.params),
            frozenset(self.files),
            frozenset(self.includes),
            frozenset(self.volatile),
            frozenset(self.queries),
        )


def is_internal(name: str) -> bool:
    """Whether a name is one of Python's own (`__class__`): refused, although it would reach no more than data."""
    return name.startswith("__") and name.endswith("__")


def text_key(name: str) -> str | None:
    """The key of a text under the name that a template gives it; None for what can be no text of the project.

    `/_shared/style.md` and `_shared/style.md` are the same; other names are relative to the project's folder.
    """
    key = name.removeprefix("/") if name.startswith("/_shared/") else name
    parts = key.split("/")
    wrong = "\\" in key or any(part in ("", ".", "..") or not part.isprintable() for part in parts)
    return None if wrong else key
