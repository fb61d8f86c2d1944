"""What a bus and a reader of one both know of what is stored: where it begins, its checkpoints, what is damaged."""

from __future__ import annotations

from collections.abc import Iterator

from glink.bus.checkpoints import Checkpoint, Checkpoints, Covers
from glink.bus.damage import Damage
from glink.bus.fsio import disk_errors
from glink.bus.history import History


class Known:
    """Any thread. What the disk does not give back is a BusError."""

    _history: History
    _checkpoints: Checkpoints

    @property
    def first_seq(self) -> int:
        """The first seq that is on the bus (or, where nothing is, will be); what was before it was trimmed."""
        with disk_errors("the log cannot be read"):
            return self._history.first_seq()

    @property
    def damages(self) -> tuple[Damage, ...]:
        """What is damaged in the log, as far as somebody came upon it; what is past its time is kept meanwhile."""
        return self._history.damages

    def find_damage(self) -> bool:
        """Look through all of the log for damage; whether there is some that was not known. It takes its time."""
        with disk_errors("the log cannot be read"):
            return self._history.find_damage()

    def checkpoints(self) -> Iterator[Checkpoint]:
        """Every checkpoint that is whole and of this log, the one before it where the newest is not."""
        with disk_errors("the checkpoints cannot be read"):
            yield from self._checkpoints.load()

    @property
    def manifest_seq(self) -> int:
        """Every record up to here is in the checkpoints; 0 without a manifest. Fold from here on."""
        with disk_errors("the checkpoints cannot be read"):
            return self._checkpoints.manifest_seq

    def covers(self) -> Covers:
        """The same name by name."""
        with disk_errors("the checkpoints cannot be read"):
            return self._checkpoints.covers()
