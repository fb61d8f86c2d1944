"""Checkpoints off the hot path: packed where the states are owned, written and synced in a thread of their own.

States are offered when much has changed, when something has and all is quiet since, and by retention before it takes
anything away. They are packed some MiB at a time, the next ones once those are written: all of them at once would double
what an engine holds.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from threading import Thread

from glink.errors import BusError
from glink.limits import Limits
from glink.reconciler.memory import Memory, Part, Snapshot, Writable
from glink.state import ProjectState
from glink.world import World


class Saver:
    """`saved_seq`: checkpoints and manifest hold everything up to here. `failures` counts snapshots that were not written.

    `wake` has the owner of the states call `go_on` soon. All but the writing is done in the owner's thread.
    """

    def __init__(self, bus: Writable, memory: Memory, wake: Callable[[], None], limits: Limits) -> None:
        self._bus, self._memory, self._wake, self._limits = bus, memory, wake, limits
        self._snapshot: Snapshot | None = None
        self._thread: Thread | None = None
        self._is_written = True
        self._refused: list[Part] = []
        self._offered, self._newest = memory.seq, memory.seq
        self._quiet_at = inf
        self.saved_seq = 0
        self.failures = 0

    def due(self, newest: int, now: float) -> bool:
        """Whether to offer now, the last durable seq being `newest`; asked after each pass, and at `wake_at`."""
        if newest != self._newest:
            self._newest, self._quiet_at = newest, now + self._limits.checkpoint_quiet
        if self._snapshot is not None:
            return False
        return newest - self._offered >= self._limits.checkpoint_events or now >= self._quiet_at

    @property
    def wake_at(self) -> float:
        """When all will have been quiet for long enough; infinite where nothing waits for that."""
        return self._quiet_at if self._snapshot is None else inf

    def offer(self, states: dict[str, ProjectState], world: World) -> bool:
        """Have written what changed; False, and nothing begins, while an earlier offer is being written, and while the
        manifest would vouch for what is not known. Nothing is packed before `go_on`."""
        self._offered, self._quiet_at = self._newest, inf
        if self._memory.doubt or self._snapshot is not None:
            return False
        self._snapshot = self._memory.snapshot(states, world)
        return True

    def go_on(self) -> None:
        """Begin the next piece, once the last one is written. What the states hold is durable now."""
        if self._snapshot is None or not self._is_written:
            return
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self._memory.unsaved(self._refused)
            if self._refused or not self._snapshot.todo:
                self._snapshot, self._refused = None, []
                return
        self._begin(self._snapshot)

    def leave_off(self) -> None:
        """The states are not what is durable: what is not packed yet is left to the next offer."""
        if self._thread is None:
            self._snapshot = None
        elif self._snapshot is not None:
            self._snapshot.todo.clear()

    def wait(self) -> None:
        """Until what was offered is written, or was refused."""
        while self._snapshot is not None:
            if self._thread is not None:
                self._thread.join()
            self.go_on()

    def _begin(self, snapshot: Snapshot) -> None:
        parts = self._memory.piece(snapshot)
        last = None if snapshot.todo else snapshot
        self._is_written = False
        self._thread = Thread(target=self._write, args=(parts, last), name="checkpoints", daemon=True)
        self._thread.start()

    def _write(self, parts: list[Part], last: Snapshot | None) -> None:
        """`last` is the snapshot that is whole with these parts."""
        self._refused = parts
        try:
            for part in parts:
                self._bus.write_checkpoint(*part)
            if last is not None:
                last.vouch(self._bus)
                self.saved_seq = last.seq
            self._refused = []
        except BusError:  # the log is the truth: the next offer holds it all again
            self.failures += 1
        finally:
            self._is_written = True
            self._wake()
