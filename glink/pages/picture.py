"""The graph of a project as a picture: what the SVG template draws. Pure; called by the pages and by `glink graph`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, sqrt

from glink.pages.attention import WORDS, Sign, sign_of
from glink.pages.fitting import fitted
from glink.pages.layering import Size, lay_out
from glink.pages.sketch import Sketch, sketch_of
from glink.report import Row
from glink.words import escaped, in_words

WIDTH, HEIGHT = 176.0, 48.0
CELL, HEAD, PAD = 20.0, 30.0, 10.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One step of a bundle."""

    step: str
    sign: Sign
    label: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Node:
    """A box: one step, or with `cells` a bundle. `label` is read aloud and shown on hovering."""

    step: str
    sign: Sign
    title: str
    subtitle: str
    label: str
    x: float
    y: float
    width: float
    height: float
    cells: tuple[Cell, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """An edge; `implied` when no `after` says it."""

    path: str
    implied: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """All of it. `signs` are those that occur, for the legend; `left_out` edges are not drawn."""

    width: float
    height: float
    nodes: tuple[Node, ...]
    lines: tuple[Line, ...]
    signs: tuple[tuple[Sign, str, int], ...]
    label: str
    implied: bool
    left_out: int


def picture(rows: Sequence[Row]) -> Picture:
    """The picture of a project's steps."""
    by_step = {row.step: row for row in rows}
    drawn = sketch_of(rows)
    sizes = sizes_of(drawn)
    laid = lay_out(drawn, sizes)
    nodes = tuple(
        _node([by_step[step] for step in group], corner, size)
        for group, corner, size in zip(drawn.nodes, laid.corners, sizes, strict=True)
    )
    lines = tuple(
        Line(path, all(by_step[step].implied for step in drawn.nodes[target]))
        for path, (_, target) in zip(laid.paths, drawn.edges, strict=True)
    )
    counts = Counter(sign_of(row) for row in rows)
    signs = tuple((sign, WORDS[sign], counts[sign]) for sign in Sign if counts[sign])
    told = ", ".join(f"{count} {word}" for _, word, count in signs)
    label = f"{len(rows)} {'step' if len(rows) == 1 else 'steps'}: {told}"
    implied = any(line.implied for line in lines)
    return Picture(laid.width, laid.height, nodes, lines, signs, label, implied, drawn.left_out)


def sizes_of(sketch: Sketch) -> tuple[Size, ...]:
    """How large each node is drawn."""
    return tuple(_size(len(group)) for group in sketch.nodes)


def _columns(count: int) -> int:
    return max(8, ceil(sqrt(count * 2.5)))


def _size(count: int) -> Size:
    if count == 1:
        return WIDTH, HEIGHT
    columns = _columns(count)
    return max(WIDTH, columns * CELL + 2 * PAD), HEAD + ceil(count / columns) * CELL + PAD


def _node(rows: Sequence[Row], corner: tuple[float, float], size: Size) -> Node:
    (x, y), (width, height), first = corner, size, rows[0]
    if len(rows) == 1:
        sign = sign_of(first)
        title = fitted(f"{first.step} · {first.agent}", width - 46, 13)
        subtitle = fitted(escaped(first.name or first.task), width - 24, 11.5)
        return Node(first.step, sign, title, subtitle, _label(first, sign), x, y, width, height)
    counts = Counter(sign_of(row) for row in rows)
    worst = next(sign for sign in Sign if counts[sign])
    agents = {row.agent for row in rows}
    who = f" · {next(iter(agents))}" if len(agents) == 1 else ""
    title = fitted(f"{len(rows)} steps{who}", width - 46, 13)
    told = ", ".join(f"{counts[sign]} {WORDS[sign]}" for sign in Sign if counts[sign])
    columns = _columns(len(rows))
    cells = tuple(
        Cell(row.step, sign_of(row), _label(row, sign_of(row)), PAD + index % columns * CELL, HEAD + index // columns * CELL)
        for index, row in enumerate(rows)
    )  # fmt: skip
    return Node(first.step, worst, title, "", f"{len(rows)} steps alike: {told}", x, y, width, height, cells)


def _label(row: Row, sign: Sign) -> str:
    said = WORDS[sign]
    reason = escaped(in_words(row.reason, holder=row.holder))
    name = f", {escaped(row.name)}" if row.name else ""
    return f"Step {row.step}, {row.agent}{name}: {said}" + ("" if reason == said else f", {reason}")


def edges_of(rows: Sequence[Row]) -> Mapping[tuple[str, str], bool]:
    """Every edge between steps that are there, and whether it is implied."""
    there = {row.step for row in rows}
    return {(parent, row.step): row.implied for row in rows for parent in row.after if parent in there}
