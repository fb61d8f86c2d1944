"""The `alive` lock: how an engine sees, also after its own death, that an attempt still runs.

The file `alive` in the attempt's folder is flocked before the process starts and its descriptor is inherited, so the
lock is held as long as any process of the attempt lives, whoever started it. The process's pid is appended once it is
known. Called by `process` (take, note), `adoption` (look) and `killing` (held).

flock, not POSIX locks: those belong to a process and are not inherited.
"""

from __future__ import annotations

import fcntl
import os
import stat
from dataclasses import dataclass
from pathlib import Path

NAME = "alive"
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(frozen=True, slots=True)
class Alive:
    """What `alive` tells: whether somebody holds it, and the pid that stands in it (None: started, or died, before)."""

    held: bool
    pid: int | None


def take(folder: Path) -> int:
    """The descriptor of the attempt's `alive`, locked; BlockingIOError when a process already runs in the folder."""
    descriptor = os.open(f"{folder}/{NAME}", os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def note(descriptor: int, pid: int) -> None:
    """Write down who runs; what the file says from here on is that the attempt was started."""
    os.write(descriptor, b"%d\n" % pid)


def look(folder: Path) -> Alive | None:
    """What the folder's `alive` tells; None when there is no such file (or something else bears its name)."""
    try:
        descriptor = os.open(f"{folder}/{NAME}", _READ)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return Alive(_locked(descriptor), _pid_in(os.read(descriptor, 32)))
    finally:
        os.close(descriptor)


def held(folder: Path) -> bool:
    """Whether any process of the attempt still holds `alive`."""
    found = look(folder)
    return found is not None and found.held


def _locked(descriptor: int) -> bool:
    # Shared, so that two who look at the same time do not take each other for the agent.
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _pid_in(text: bytes) -> int | None:
    """The first line as a pid: only a whole line counts, and only what can be one (the agent may write here too)."""
    line, newline, _ = text.partition(b"\n")
    return int(line) if newline and line.isdigit() and 1 < int(line) < 1 << 22 else None
