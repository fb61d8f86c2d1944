"""Projects that wait for a slot, in the order in which they are asked. Kept by the conductor.

A slot that comes free is offered to one after another, not to all: with thousands waiting, a step costs no more.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Container


class Queue:
    """Names of projects; whoever was asked goes to the end."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, None] = OrderedDict()

    def set(self, name: str, *, waits: bool) -> None:
        """A project waits from now on, or no more; one that waits already keeps its place."""
        if waits:
            self._names[name] = None
        else:
            self._names.pop(name, None)

    def offer(self, ask: Callable[[str], None], free: Callable[[], bool], *, but: Container[str]) -> None:
        """Ask each once, those in `but` excepted, as long as something is free."""
        for _ in range(len(self._names)):
            if not free():
                return
            name, _ = self._names.popitem(last=False)
            self._names[name] = None
            if name not in but:
                ask(name)
