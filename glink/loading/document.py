"""One YAML file as it was read: its value, what was wrong with its text, and where in the file everything stands.

Made by `glink.loading.yamltext`; whoever checks the value (`glink.project`, `glink.config`) names a mistake by its path in the
document and gets a problem with line, column and source line back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from glink.errors import Problem

Path = tuple[str | int, ...]

_SOURCE_COLUMNS: Final = 200
_SHOWN_CHARACTERS: Final = 80
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_$-]{1,80}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands, and its key if it has one; lines and columns count from 1. `start` and `end` are offsets."""

    line: int
    column: int
    key_line: int
    key_column: int
    start: int
    end: int
    style: str


@dataclass(frozen=True)
class Document:
    """One file's YAML: its `value`, and whatever was wrong with the text.

    `whole` is False when reading ended before the text did: `value` is then not worth a look.
    """

    path: str
    text: str
    value: Any
    problems: tuple[Problem, ...]
    whole: bool
    locate: Callable[[str], Mapping[Path, Place]]

    @cached_property
    def places(self) -> Mapping[Path, Place]:
        """The place of every value; read from the text again, for only a file with mistakes needs it."""
        return self.locate(self.text)

    def place_of(self, where: Path) -> str:
        """Where a value stands, in words: its line, or its path where there are no lines."""
        place = self.places.get(where)
        return f"line {place.line}" if place is not None else spell(where)

    def problem(self, where: Path, what: str, cure: str = "", *, at_key: bool = False) -> Problem:
        """A problem at the value (or its key) under `where`, or at the nearest thing around it that is there."""
        nearest = where
        while nearest and nearest not in self.places:
            nearest = nearest[:-1]
        place = self.places.get(nearest)
        if place is None:
            return Problem(self.path, 0, 0, spell(where), what, cure)
        key = (at_key and nearest == where) or (nearest != where and bool(nearest))
        line, column = (place.key_line, place.key_column) if key else (place.line, place.column)
        return self.problem_at(line, column, where, what, cure)

    def problem_inside(self, where: Path, line: int, column: int, what: str, cure: str = "") -> Problem:
        """A problem at a line and column (from 1) of the text under `where`, as near as the text can be found."""
        place = self.places.get(where)
        if place is None:
            return self.problem(where, what, cure)
        found = self._inside(place, line, column)
        return self.problem_at(*found, where, what, cure)

    def problem_at(self, line: int, column: int, where: Path, what: str, cure: str = "") -> Problem:
        """A problem at a line and column of the file."""
        return Problem(self.path, line, column, spell(where), what, cure, source_line(self.text, line, column))

    def _inside(self, place: Place, line: int, column: int) -> tuple[int, int]:
        raw = self.text[place.start : place.end]
        if place.style == "|":
            lines = raw.split("\n")[1:]
            filled = [one for one in lines if one.strip()]
            indent = len(filled[0]) - len(filled[0].lstrip(" ")) if filled else 0
            if (digit := re.match(r"\|[+-]?([1-9])", raw)) is not None:
                indent = self._block_indent(place, int(digit[1]), indent)
            return place.line + line, indent + column
        if line == 1 and "\n" not in raw and "\\" not in raw and "''" not in raw and place.style != ">":
            return place.line, place.column + column - 1 + (place.style in ("'", '"'))
        return place.line, place.column

    def _block_indent(self, place: Place, digit: int, shown: int) -> int:
        # An explicit indentation counts from the parent's, which is at most the indent of the key.
        return min(place.key_column - 1 + digit, shown) if place.key_line else shown


def spell(where: Sequence[str | int]) -> str:
    """A path as people write it: `steps[2].after`, `env["a b"]`."""
    spelt = ""
    for part in where:
        if isinstance(part, int):
            spelt += f"[{part}]"
        elif _BARE_KEY.fullmatch(part):
            spelt += f".{part}" if spelt else part
        else:
            spelt += f"[{quoted(part)}]"
    return spelt


def quoted(text: str) -> str:
    """A text in double quotes on one short line that a terminal may print."""
    shown = text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."
    escaped = shown.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in escaped) + '"'


def source_line(text: str, line: int, column: int) -> str:
    """The text of a line, without what a terminal would act on; nothing when the column is too far out to show."""
    lines = text.split("\n", line)
    if not 1 <= line <= len(lines) or column > _SOURCE_COLUMNS:
        return ""
    shown = lines[line - 1].rstrip("\r")[:_SOURCE_COLUMNS]
    return "".join(one if one.isprintable() else " " if one == "\t" else "\ufffd" for one in shown)
