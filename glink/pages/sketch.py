"""What of a workflow's graph is drawn: its steps, and many alike as one bundle, so that a picture stays readable.

Steps that come after the same steps and before the same ones are one bundle when there are `BUNDLE` or more of them.
Where the edges are still too many to be laid out, those that follow from others are left out and counted. Pure;
called by `picture`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from glink.graph import Graph
from glink.report import Row

BUNDLE = 9
WORK = 4_000_000
EDGES = 3_000

Edge = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Sketch:
    """The nodes to be drawn, each a tuple of steps (one, or a bundle), and the edges between them by index.

    `left_out` counts edges that are not drawn. `layers` holds each node's column.
    """

    nodes: tuple[tuple[str, ...], ...]
    edges: tuple[Edge, ...]
    layers: tuple[int, ...]
    left_out: int = 0

    @property
    def passing(self) -> int:
        """How often an edge passes a column in which it does not end."""
        return sum(self.layers[target] - self.layers[source] - 1 for source, target in self.edges)

    @property
    def work(self) -> int:
        """How much a good layout would cost: cubic in the edges that pass between two columns."""
        passing = [0] * (max(self.layers, default=0) + 2)
        for source, target in self.edges:
            passing[self.layers[source]] += 1
            passing[self.layers[target]] -= 1
        total = now = 0
        for change in passing:
            now += change
            total += now**3
        return total


def sketch_of(rows: Sequence[Row]) -> Sketch:
    """What is drawn of a project's steps."""
    return sketch({row.step: row.after for row in rows})


def sketch(after: Mapping[str, Sequence[str]]) -> Sketch:
    """What is drawn of these steps and what each comes after; parents that are no steps are not drawn."""
    graph = Graph({step: [one for one in parents if one in after] for step, parents in after.items()})
    alike: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for step in graph.parents:
        alike.setdefault((_as_set(graph.parents[step]), _as_set(graph.children[step])), []).append(step)
    nodes: list[tuple[str, ...]] = []
    for group in alike.values():
        nodes.extend([tuple(group)] if len(group) >= BUNDLE else [(step,) for step in group])
    place = {step: index for index, one in enumerate(after) for step in (one,)}
    nodes.sort(key=lambda group: place[group[0]])
    node_of = {step: index for index, group in enumerate(nodes) for step in group}
    edges = {(node_of[parent], node_of[step]) for step, parents in graph.parents.items() for parent in parents}
    layers = _layers(len(nodes), edges)
    made = Sketch(tuple(nodes), tuple(sorted(edges)), layers)
    return _thinned(made) if made.work > WORK else made


def _as_set(steps: tuple[str, ...]) -> tuple[str, ...]:
    """Equal for equal steps in any order; few, as they mostly are, take a quarter of what a set of them takes."""
    return tuple(sorted(set(steps))) if len(steps) > 1 else steps


def _layers(count: int, edges: set[Edge]) -> tuple[int, ...]:
    """The longest way to each node."""
    children: list[list[int]] = [[] for _ in range(count)]
    unmet, layers = [0] * count, [0] * count
    for source, target in edges:
        children[source].append(target)
        unmet[target] += 1
    free = [node for node in range(count) if not unmet[node]]
    for node in free:  # grows on the way
        for child in children[node]:
            layers[child] = max(layers[child], layers[node] + 1)
            unmet[child] -= 1
            if not unmet[child]:
                free.append(child)
    return tuple(layers)


def _thinned(full: Sketch) -> Sketch:
    """Without the edges that follow from others, and with no more than can be drawn."""
    parents: dict[int, list[int]] = {node: [] for node in range(len(full.nodes))}
    for source, target in full.edges:
        parents[target].append(source)
    before: dict[int, int] = {}
    kept: list[Edge] = []
    for node in sorted(parents, key=lambda one: full.layers[one]):
        reached = 0
        for parent in parents[node]:
            reached |= before[parent]
        kept.extend((parent, node) for parent in parents[node] if not reached >> parent & 1)
        own = reached
        for parent in parents[node]:
            own |= 1 << parent
        before[node] = own
    kept.sort()
    return Sketch(full.nodes, tuple(kept[:EDGES]), full.layers, len(full.edges) - min(len(kept), EDGES))
