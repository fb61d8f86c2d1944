"""Places for the nodes and edges of a picture: from graphlay where there is a wheel of it, else by a few lines of our own.

The only importer of graphlay. Both layouts run left to right in columns and are the same every time. graphlay holds the
interpreter while it works, so here it only gets what it does in a moment; what `layouts` made of larger graphs is kept
by what was asked, and our own layout stands in for it until then. Called by `picture`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from glink.pages.sketch import WORK, Sketch

Size = tuple[float, float]
Point = tuple[float, float]
COLUMN_GAP, ROW_GAP, MARGIN, CORNER = 46.0, 18.0, 16.0, 7.0
LIGHT_NODES, LIGHT_WORK, KEPT = 80, 50_000, 64
_OPTIONS: dict[str, Any] = {
    "direction": "leftright",
    "spacing": {"layer_gap": COLUMN_GAP, "node_gap": ROW_GAP, "dummy_gap": 26.0, "port_gap": 11.0, "isolated_gap": ROW_GAP},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Laid:
    """A layout: the size of the whole, the upper left corner of each node, the path of each edge, both as in the sketch."""

    width: float
    height: float
    corners: tuple[Point, ...]
    paths: tuple[str, ...]


_kept: dict[tuple[Sketch, tuple[Size, ...]], Laid] = {}


def lay_out(sketch: Sketch, sizes: tuple[Size, ...]) -> Laid:
    """The layout of a sketch whose nodes have these sizes."""
    if (kept := _kept.get((sketch, sizes))) is not None:
        return kept
    return _light(sketch, sizes) if is_light(sketch) else own(sketch, sizes)


def is_light(sketch: Sketch) -> bool:
    """Whether graphlay is done with it in a few milliseconds."""
    return len(sketch.nodes) + sketch.passing <= LIGHT_NODES and sketch.work <= LIGHT_WORK


def is_kept(sketch: Sketch, sizes: tuple[Size, ...]) -> bool:
    return (sketch, sizes) in _kept


def keep(sketch: Sketch, sizes: tuple[Size, ...], laid: Laid) -> None:
    """Remember a layout, for a bounded number of graphs."""
    for oldest in list(_kept)[: max(len(_kept) - KEPT + 1, 0)]:
        _kept.pop(oldest, None)
    _kept[sketch, sizes] = laid


@lru_cache(maxsize=2 * KEPT)
def _light(sketch: Sketch, sizes: tuple[Size, ...]) -> Laid:
    return by_graphlay(sketch, sizes) or own(sketch, sizes)


def by_graphlay(sketch: Sketch, sizes: Sequence[Size]) -> Laid | None:
    """The good layout; None where there is none: no wheel for this platform, or more than it does in seconds."""
    if sketch.work > WORK:
        return None
    try:
        import graphlay
    except ImportError:
        return None
    graph = graphlay.Graph()
    for index, (width, height) in enumerate(sizes):
        graph.node(str(index), width=width, height=height)
    for source, target in sketch.edges:
        graph.edge(str(source), str(target))
    try:
        made = graphlay.layout(graph, options=_OPTIONS)
    except graphlay.GraphlayError:  # a limit of its own
        return None
    at = made.positions()
    corners = [(at[str(index)][0] - w / 2, at[str(index)][1] - h / 2) for index, (w, h) in enumerate(sizes)]
    lines = [[(point["x"], point["y"]) for point in edge["points"]] for edge in made.edges]
    return _framed(corners, lines, sizes)


def own(sketch: Sketch, sizes: Sequence[Size]) -> Laid:
    """Columns by layer, each in the order of its nodes' parents and centred; edges turn once, before their target."""
    columns: list[list[int]] = [[] for _ in range(max(sketch.layers, default=0) + 1)]
    for node, layer in enumerate(sketch.layers):
        columns[layer].append(node)
    parents: list[list[int]] = [[] for _ in sizes]
    for source, target in sketch.edges:
        parents[target].append(source)
    corners: list[Point] = [(0.0, 0.0)] * len(sizes)
    middle = [0.0] * len(sizes)
    x = 0.0
    for column in columns:
        column.sort(key=lambda node: (sum(middle[one] for one in parents[node]) / max(len(parents[node]), 1), node))
        y = -sum(sizes[node][1] + ROW_GAP for node in column) / 2
        for node in column:
            corners[node], middle[node] = (x, y), y + sizes[node][1] / 2
            y += sizes[node][1] + ROW_GAP
        x += max(sizes[node][0] for node in column) + COLUMN_GAP
    lines = []
    for source, target in sketch.edges:
        start = (corners[source][0] + sizes[source][0], middle[source])
        end = (corners[target][0], middle[target])
        turn = end[0] - COLUMN_GAP / 2
        lines.append([start, end] if start[1] == end[1] else [start, (turn, start[1]), (turn, end[1]), end])
    return _framed(corners, lines, sizes)


def _framed(corners: Sequence[Point], lines: Sequence[Sequence[Point]], sizes: Sequence[Size]) -> Laid:
    """Moved so that everything lies within the margin, and edges as paths with round corners."""
    xs = [x for line in lines for x, _ in line] + [x for x, _ in corners]
    ys = [y for line in lines for _, y in line] + [y for _, y in corners]
    left, top = min(xs, default=0.0) - MARGIN, min(ys, default=0.0) - MARGIN
    xs += [x + width for (x, _), (width, _) in zip(corners, sizes, strict=True)]
    ys += [y + height for (_, y), (_, height) in zip(corners, sizes, strict=True)]
    return Laid(
        width=round(max(xs, default=0.0) - left + MARGIN, 1),
        height=round(max(ys, default=0.0) - top + MARGIN, 1),
        corners=tuple((round(x - left, 1), round(y - top, 1)) for x, y in corners),
        paths=tuple(_path([(x - left, y - top) for x, y in line]) for line in lines),
    )


def _path(line: Sequence[Point]) -> str:
    parts = [f"M{_pair(line[0])}"]
    for before, corner, after in zip(line, line[1:], line[2:], strict=False):
        into, out = _towards(corner, before), _towards(corner, after)
        parts.append(f"L{_pair(into)}Q{_pair(corner)} {_pair(out)}")
    parts.append(f"L{_pair(line[-1])}")
    return "".join(parts)


def _towards(corner: Point, other: Point) -> Point:
    """The point at which the rounding of a corner begins: never past the middle of the line."""
    dx, dy = other[0] - corner[0], other[1] - corner[1]
    length = max((dx * dx + dy * dy) ** 0.5, 1e-9)
    part = min(CORNER, length / 2) / length
    return corner[0] + dx * part, corner[1] + dy * part


def _pair(point: Point) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"
