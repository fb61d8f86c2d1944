"""`bus/reserve`: room that is kept for answers which come when the disk is full, and is given up for them.

The log gives it up at the first write that finds no space; the conductor asks for it again, and dispatches nothing
until it is back: every attempt that is in flight may still bring its answer.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from glink.bus.fsio import Disk, discard

FULL = frozenset((errno.ENOSPC, errno.EDQUOT))
_NAME = "reserve"


class Reserve:
    """`held` says whether the room is kept. A reserve of no bytes is always held."""

    def __init__(self, disk: Disk, bus: Path, size: int) -> None:
        self._disk, self._path, self._size = disk, bus / _NAME, size
        self.held = not size

    def take(self) -> bool:
        """Keeps the room, if the disk has it; whether it is kept now."""
        if self.held:
            return True
        try:
            fd = self._disk.open(self._path, os.O_WRONLY | os.O_CREAT)
        except OSError:
            return False
        try:
            self._disk.allocate(fd, self._size)
            self.held = True
        except OSError as error:
            # A file system that cannot allocate keeps no reserve and is not held up by it.
            self.held = error.errno in {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
        finally:
            self._disk.close(fd)
        if not self.held:
            discard(self._disk, self._path)
        return self.held

    def give_up(self, error: OSError) -> None:
        """Lets go of the room when the error says that there is none left."""
        if error.errno in FULL and self._size:
            self.held = False
            discard(self._disk, self._path)
