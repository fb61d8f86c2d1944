"""A project's graph in the languages of other tools: Mermaid and DOT. Pure; called by `glink graph`."""

from __future__ import annotations

from collections.abc import Sequence

from glink.pages.attention import Sign, sign_of
from glink.pages.picture import edges_of
from glink.report import Row
from glink.words import escaped

_COLOURS = {
    Sign.DONE: ("#dafbe1", "#1a7f37"),
    Sign.RUNNING: ("#ddf4ff", "#0969da"),
    Sign.FAILED: ("#ffebe9", "#cf222e"),
    Sign.PERSON: ("#fff1e0", "#b35900"),
}
_QUIET = ("#f6f8fa", "#6b7682")


def mermaid(rows: Sequence[Row]) -> str:
    """A flowchart; dotted lines are implied, the class of a node is its state."""
    place = {row.step: f"n{index}" for index, row in enumerate(rows)}
    lines = ["flowchart LR"]
    lines += [f'  {place[row.step]}["{_entity(_label(row))}"]:::{sign_of(row)}' for row in rows]
    lines += [
        f"  {place[parent]} {'-.->' if implied else '-->'} {place[step]}"
        for (parent, step), implied in edges_of(rows).items()
    ]
    for sign in dict.fromkeys(sign_of(row) for row in rows):
        fill, stroke = _COLOURS.get(sign, _QUIET)
        lines.append(f"  classDef {sign} fill:{fill},stroke:{stroke},color:#1b1f24")
    return "\n".join(lines) + "\n"


def dot(rows: Sequence[Row]) -> str:
    """A digraph; dashed lines are implied."""
    lines = ["digraph steps {", "  rankdir=LR;", '  node [shape=box, style="rounded,filled", fontname="sans-serif"];']
    for row in rows:
        fill, stroke = _COLOURS.get(sign_of(row), _QUIET)
        lines.append(f'  {_quoted(row.step)} [label={_quoted(_label(row))}, fillcolor="{fill}", color="{stroke}"];')
    for (parent, step), implied in edges_of(rows).items():
        lines.append(f"  {_quoted(parent)} -> {_quoted(step)}{' [style=dashed]' if implied else ''};")
    return "\n".join([*lines, "}"]) + "\n"


def _label(row: Row) -> str:
    name = f": {row.name}" if row.name else ""
    return escaped(f"{row.step} · {row.agent}{name} ({sign_of(row)})")


def _entity(text: str) -> str:
    """Everything that Mermaid or the HTML it makes could take for more than a letter, as `#number;`."""
    return "".join(one if one.isalnum() or one in " ·:-_.,()" else f"#{ord(one)};" for one in text)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
