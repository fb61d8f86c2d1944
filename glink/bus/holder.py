"""Who holds the bus: the lock is on the directory itself, so no file that is unlinked or renamed can lose it.

`LOCK` only names the holder's pid and URL for people; it decides nothing. Called when a bus is opened, and by readers.
"""

from __future__ import annotations

import fcntl
import os
import re
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from glink.bus.fsio import Disk, discard, read_file, replace_file
from glink.clock import wait_for
from glink.errors import BusHeld
from glink.jsontext import JSONError, dumps, loads

_PROC_LOCK = re.compile(r"^\d+: FLOCK\s+ADVISORY\s+WRITE\s+(\d+)\s+[0-9a-f]+:[0-9a-f]+:(\d+)\s", re.MULTILINE)
_PATIENCE = 0.25  # a reader that looks whether the lock is free holds it for some microseconds


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds the bus; `pid` is 0 and `url` empty where unknown."""

    pid: int
    url: str

    def __str__(self) -> str:
        pid = f"pid {self.pid}" if self.pid else "another process"
        return f"{pid} at {self.url}" if self.url else pid


def take(disk: Disk, bus: Path) -> int:
    """The descriptor that holds the directory; closing it gives the bus back. Raises BusHeld."""
    fd = disk.open(bus, os.O_RDONLY | os.O_DIRECTORY)
    got = False
    try:
        got = wait_for(lambda: disk.flock(fd, fcntl.LOCK_EX), seconds=_PATIENCE)
    finally:
        if not got:
            disk.close(fd)
    if not got:
        raise BusHeld(f"{bus} is held by {find(disk, bus) or Holder(0, '')}; one daemon at a time can use it")
    return fd


def is_held(disk: Disk, bus: Path) -> bool:
    """Whether some process holds the directory now."""
    fd = disk.open(bus, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return not disk.flock(fd, fcntl.LOCK_SH)
    finally:
        disk.close(fd)


def find(disk: Disk, bus: Path) -> Holder | None:
    """The holder by LOCK, else by the kernel's table of locks; None where neither knows one."""
    named, pids = _named(disk, bus), _pids_in_kernel_table(disk, bus)
    if named is not None and (not pids or named.pid in pids):
        return named
    return Holder(pids[0], "") if pids else None


class Sign:
    """LOCK, as this process keeps it: written again when somebody took it away or wrote into it."""

    def __init__(self, disk: Disk, bus: Path) -> None:
        self._disk, self._path = disk, bus / "LOCK"
        self._said: Holder | None = None
        self._written: tuple[int, ...] | None = None
        self._writing = Lock()

    def show(self, holder: Holder) -> None:
        """Costs one stat while the file is the one that was written last; raises OSError."""
        with self._writing:
            if holder == self._said and self._written is not None and self._mark() == self._written:
                return
            self._written = None
            replace_file(self._disk, self._path, dumps({"pid": holder.pid, "url": holder.url}) + b"\n")
            self._said, self._written = holder, self._mark()

    def take_down(self) -> None:
        discard(self._disk, self._path)

    def _mark(self) -> tuple[int, ...] | None:
        """What is another after every write, rename or unlink; None where no file is."""
        try:
            found = self._disk.stat(self._path)
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _named(disk: Disk, bus: Path) -> Holder | None:
    try:
        found = loads(read_file(disk, bus / "LOCK") or b"")
    except JSONError:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("pid"), int):
        return None
    return Holder(found["pid"], str(found.get("url", "")))


def _pids_in_kernel_table(disk: Disk, bus: Path) -> list[int]:
    inode = str(disk.stat(bus).st_ino)
    return [int(pid) for pid, at in _PROC_LOCK.findall(disk.kernel_locks()) if at == inode and int(pid) > 0]
