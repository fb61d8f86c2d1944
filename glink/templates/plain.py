"""The small renderer: literals, and texts with plain paths such as `{{ steps[1].output }}` or `{{ params.city }}`.

Most tasks are no more than that, and compiling one with Jinja costs a hundred times as much; a property test holds the
two equal. Whatever is not plainly right is left to Jinja, which says what is wrong. Called by `template`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from glink.limits import Limits
from glink.templates.names import RUN_FIELDS, STEP_FIELDS, Found, Names, is_internal, text_key
from glink.templates.problems import RenderProblem
from glink.templates.values import Absent, Steps, lookup, text_of

_SUBSCRIPT: Final = r"""\.[A-Za-z][A-Za-z0-9_]*|\[(?:0|[1-9][0-9]{0,8})\]|\["[^"\\{}\r\n]*"\]|\['[^'\\{}\r\n]*'\]"""
_MARKUP: Final = re.compile(r"\{[{%#]")
# A plain path, or the beginning of whatever else is markup.
_MARKED: Final = re.compile(rf"\{{(?:\{{\s*([a-z]+)((?:{_SUBSCRIPT}){{0,16}})\s*\}}\}}|[{{%#])")
_KEY: Final = re.compile(r"""\.(\w+)|\[(\d+)\]|\["([^"]*)"\]|\['([^']*)'\]""")

Path = tuple[str, tuple[str | int, ...]]


@dataclass(frozen=True, slots=True)
class Plain:
    """A text with plain paths, taken apart."""

    pieces: tuple[str | Path, ...]
    names: Names
    characters: int

    def render(self, values: Mapping[str, Any]) -> str:
        """The text with the values; raises RenderProblem."""
        parts, size = [], 0
        for piece in self.pieces:
            part = piece if type(piece) is str else text_of(_value(values, piece))  # type: ignore[arg-type]
            size += len(part)
            if size > self.characters:
                raise RenderProblem(f"the text is longer than {self.characters} characters")
            parts.append(part)
        return "".join(parts)


def is_literal(source: str) -> bool:
    """Whether the text has no markup at all."""
    return "{" not in source or not _MARKUP.search(source)


def one_newline(source: str) -> str:
    """The text with every line end as a line feed, as Jinja has it."""
    return source.replace("\r\n", "\n").replace("\r", "\n") if "\r" in source else source


def parse(source: str, texts: Mapping[str, str], limits: Limits) -> Plain | None:
    """The template taken apart; None when it is more than plain paths, or not right."""
    found = Found()
    parts = _MARKED.split(one_newline(source))
    pieces: list[str | Path] = []
    for text, root, subscripts in zip(parts[::3], parts[1::3], parts[2::3], strict=False):
        path = _path(root, subscripts, found, texts) if root else None
        if path is None:
            return None
        pieces += (text, path) if text else (path,)
    if parts[-1]:
        pieces.append(parts[-1])
    return Plain(tuple(pieces), found.names(), limits.render_characters)


def _path(root: str, subscripts: str, found: Found, texts: Mapping[str, str]) -> Path | None:
    keys = tuple([int(index) if index else name or quoted or q for name, index, quoted, q in _KEY.findall(subscripts)])
    if "__" in subscripts and any(isinstance(key, str) and is_internal(key) for key in keys):
        return None
    match root:
        case "steps" if len(keys) > 1 and keys[1] in STEP_FIELDS:
            found.steps.add(str(keys[0]))
        case "params" if keys:
            found.params.add(str(keys[0]))
        case "project":
            pass
        case "attempt" | "now" | "revision" | "trigger":
            found.root(root)
        case "run" if keys and keys[0] in RUN_FIELDS:
            found.root(root)
        case "files" if keys and isinstance(keys[0], str):
            key = text_key(keys[0])
            if key is None or key not in texts:
                return None
            found.files.add(key)
            return root, (key, *keys[1:])
        case _:
            return None
    return root, keys


def _value(values: Mapping[str, Any], path: Path) -> Any:
    root, keys = path
    value: Any = values[root] if root in values else Absent(f"there is no {root}")
    if root == "steps":
        value = Steps(values[root])
    for key in keys:
        if type(value) is Absent:
            break
        value = lookup(value, key)
    return value
