"""The order of steps: parents, children, a topological order, ancestors. No I/O, no knowledge of steps' content."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class CycleError(ValueError):
    """The steps in `circle` (first = last) wait for each other."""

    def __init__(self, circle: list[str]) -> None:
        self.circle = circle
        super().__init__(" -> ".join(circle))


class Graph:
    """Steps and what each comes after; parents that are no steps are the caller's error.

    `order` is topological and, among steps that are free, that of the mapping; `rank` is the position in it.
    """

    __slots__ = ("_ancestors", "children", "order", "parents", "rank")

    def __init__(self, parents: Mapping[str, Iterable[str]]) -> None:
        self.parents: dict[str, tuple[str, ...]] = {step: tuple(before) for step, before in parents.items()}
        children: dict[str, list[str]] = {step: [] for step in self.parents}
        unmet: dict[str, int] = {}
        for step, before in self.parents.items():
            unmet[step] = len(before)
            for parent in before:
                children[parent].append(step)
        order = [step for step, count in unmet.items() if not count]
        for step in order:  # grows on the way
            for child in children[step]:
                unmet[child] -= 1
                if not unmet[child]:
                    order.append(child)
        if len(order) < len(unmet):
            raise CycleError(_circle(self.parents))
        self.order: tuple[str, ...] = tuple(order)
        self.rank: dict[str, int] = {step: rank for rank, step in enumerate(order)}
        self.children: dict[str, tuple[str, ...]] = {step: tuple(after) for step, after in children.items()}
        self._ancestors: dict[str, int] | None = None

    def is_ancestor(self, ancestor: str, step: str) -> bool:
        """Whether `step` comes, directly or not, after `ancestor`."""
        if self._ancestors is None:
            # One bit set per step: 10,000 steps in a chain cost 12 MB for the moment of validation, not 50 million entries.
            bits: dict[str, int] = {}
            for one in self.order:
                own = 0
                for parent in self.parents[one]:
                    own |= bits[parent] | (1 << self.rank[parent])
                bits[one] = own
            self._ancestors = bits
        return bool(self._ancestors[step] >> self.rank[ancestor] & 1)

    def forget_ancestors(self) -> None:
        """Give back what `is_ancestor` remembered."""
        self._ancestors = None


def _circle(parents: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Steps that wait for each other, the first again as the last."""
    from graphlib import CycleError as Found
    from graphlib import TopologicalSorter

    try:
        TopologicalSorter(parents).prepare()
    except Found as found:
        return list(reversed(found.args[1]))
    raise AssertionError("there is a circle")
