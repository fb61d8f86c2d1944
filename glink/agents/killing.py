"""How an attempt's processes are ended: politely, then not, then those that ran away.

Called by `process` and `adoption` at a deadline, a cancel or a broken cap.
"""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from pathlib import Path

from glink.agents import alive
from glink.agents.environment import marks
from glink.clock import wait_for

_SWEEPING = 5.0  # seconds: what cannot be killed in them (a process stuck in the kernel) is left


def end(folder: Path, fence: int, *, pid: int | None, pidfd: int | None, grace: float) -> None:
    """TERM to the group of `pid`; after `grace` seconds, or once all are gone, KILL to it; then sweep up strays.

    `pid` is a group's leader that is known to belong to the attempt (and, where it is a child, not reaped yet: so its
    number cannot have gone to somebody else), or None. A grace of 0 sends KILL at once.
    """
    if grace > 0 and pid is not None:
        _signal_group(pid, signal.SIGTERM)
        wait_for(lambda: has_ended(pidfd) and not alive.held(folder), seconds=grace)
    if pid is not None:
        _signal_group(pid, signal.SIGKILL)
    # A sweep may miss a process that was just being forked: sweep until one finds nobody.
    wait_for(lambda: not _sweep(folder, fence), seconds=_SWEEPING)


def kill_group(pid: int) -> None:
    """KILL to the group of a leader that is not reaped yet."""
    _signal_group(pid, signal.SIGKILL)


def _signal_group(pid: int, number: signal.Signals) -> None:
    """Signal a process group; one that is gone, or became somebody else's user, is not there to hear."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def has_ended(pidfd: int | None) -> bool:
    """Whether the process behind a pidfd has ended (None: it is not there any more)."""
    if pidfd is None:
        return True
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(0))


def belongs(pid: int, folder: Path, fence: int) -> bool:
    """Whether a process is one of the attempt's: it holds its `alive`, or carries its marks in its environment."""
    return _is_member(pid, _identity(folder), marks(folder, fence))


def _sweep(folder: Path, fence: int) -> bool:
    """Kill every process of the attempt that is still there, wherever it moved itself; whether there was one."""
    identity, wanted, found = _identity(folder), marks(folder, fence), False
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid() and _kill_member(int(name), identity, wanted):
            found = True
    return found


def _kill_member(pid: int, identity: tuple[int, int] | None, wanted: tuple[bytes, bytes]) -> bool:
    # The pidfd is opened before the look, so that the number cannot become somebody else's between look and signal.
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if not _is_member(pid, identity, wanted):
            return False
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        return True
    except OSError:
        return False
    finally:
        os.close(pidfd)


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = os.lstat(f"{folder}/{alive.NAME}")
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_member(pid: int, identity: tuple[int, int] | None, wanted: tuple[bytes, bytes]) -> bool:
    # A process may end, or be another user's, at any line of this: then it is none of ours.
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            if set(wanted) <= set(file.read().split(b"\0")):
                return True
        return identity is not None and any(_is(path, identity) for path in _descriptors(pid))
    except OSError:
        return False


def _descriptors(pid: int) -> list[str]:
    return [f"/proc/{pid}/fd/{name}" for name in os.listdir(f"/proc/{pid}/fd")]


def _is(path: str, identity: tuple[int, int]) -> bool:
    # The name is compared first: stat on a descriptor of somebody's dead network mount would hang.
    try:
        if not os.readlink(path).endswith(f"/{alive.NAME}"):
            return False
        found = os.stat(path)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == identity
