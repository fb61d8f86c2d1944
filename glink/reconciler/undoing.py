"""States as the bus has them, for what a batch touched that did not become durable. Made by the conductor.

The first failure folds, for each project of the batch, what came after its checkpoint. While nothing becomes durable
the bus stays as it is, so the failures that follow read nothing: they take what was found then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from glink.bus.bus import Bus
from glink.reconciler.memory import WORLD, Memory
from glink.state import ProjectState
from glink.world import World


class Undo:
    """`seq` is the last durable record, for which this holds. `clip` puts right what was read, as at the start."""

    def __init__(self, bus: Bus, clip: Callable[[Memory], None]) -> None:
        self.seq = bus.durable_seq
        self._bus, self._clip = bus, clip
        self._packed: dict[str, bytes] = {}

    def states(self, names: Iterable[str]) -> dict[str, ProjectState]:
        """The state of each of these projects, new objects; an empty one where nothing is on the bus. Raises BusError."""
        return {name: ProjectState.unpacked(self._found(name)) for name in names}

    def world(self) -> World:
        """What was folded of the world. Raises BusError."""
        world = World()
        world.restore(self._found(WORLD))
        return world

    def _found(self, name: str) -> bytes:
        packed = self._packed.get(name)
        if packed is None:
            memory = Memory.of(self._bus, name)
            self._clip(memory)
            state = memory.world if name == WORLD else memory.states.get(name) or ProjectState(name)
            packed = self._packed[name] = state.packed()
        return packed
