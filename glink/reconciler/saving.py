"""Checkpoints off the hot path: packed where the states are owned, written and synced in a thread of their own.

The conductor offers its states when much has changed, and retention before it takes anything away.
"""

from __future__ import annotations

from threading import Thread

from glink.bus.bus import Bus
from glink.errors import BusError
from glink.reconciler.memory import Memory, Snapshot
from glink.state import ProjectState
from glink.world import World


class Saver:
    """`saved_seq`: checkpoints and manifest hold everything up to here. `failures` counts snapshots that were not written."""

    def __init__(self, bus: Bus, memory: Memory) -> None:
        self._bus, self._memory = bus, memory
        self._thread: Thread | None = None
        self._refused: Snapshot | None = None
        self.saved_seq = 0
        self.failures = 0

    def offer(self, states: dict[str, ProjectState], world: World) -> bool:
        """Begin to write what changed; False, and nothing begins, while an earlier offer is being written, and while the
        manifest would vouch for what is not known."""
        if self._memory.doubt or (self._thread is not None and self._thread.is_alive()):
            return False
        self._take_back()
        snapshot = self._memory.snapshot(states, world)
        self._thread = Thread(target=self._write, args=(snapshot,), name="checkpoints", daemon=True)
        self._thread.start()
        return True

    def wait(self) -> None:
        """Until what was offered is written, or was refused."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._take_back()

    def _write(self, snapshot: Snapshot) -> None:
        try:
            snapshot.write(self._bus)
            self.saved_seq = snapshot.seq
        except BusError:  # the log is the truth: the next offer holds it all again
            self._refused = snapshot
            self.failures += 1

    def _take_back(self) -> None:
        refused, self._refused = self._refused, None
        if refused is not None:
            self._memory.unsaved(refused)
