"""Who holds the bus: the lock is on the directory itself, so no file that is unlinked or renamed can lose it.

`LOCK` only names the holder's pid and URL for people; it decides nothing. Called when a bus is opened, and by readers.
"""

from __future__ import annotations

import fcntl
import os
import re
from dataclasses import dataclass
from pathlib import Path

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


def announce(disk: Disk, bus: Path, holder: Holder) -> None:
    """(Re)writes LOCK where it is missing or says something else."""
    if _named(disk, bus) != holder:
        replace_file(disk, bus / "LOCK", dumps({"pid": holder.pid, "url": holder.url}) + b"\n")


def withdraw(disk: Disk, bus: Path) -> None:
    discard(disk, bus / "LOCK")


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
