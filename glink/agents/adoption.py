"""What becomes of an attempt that was in flight when an earlier engine ended: look at it, wait for it.

Called by the kinds that start processes, for their `examine` and `adopt`. The rule is that of the bus's recovery:
`alive` held: it runs. Free: its final record says how it ended, else it is lost. Free and empty, or not there, in the
same boot: it never started.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from glink.agents import alive, killing
from glink.agents.agent import Adoption, Control
from glink.agents.captured import Captured
from glink.agents.process import Ended, end, judged
from glink.agents.waiting import Attempt, Ending, Wait


def examine(folder: Path, *, same_boot: bool, record: str | None, synced: bool) -> Adoption:
    """What became of the attempt. `record` names the kind's final record, if it leaves one.

    A record that was not `synced` does not count after a reboot: the disk may hold it without the output beside it.
    """
    if record is not None and (same_boot or synced) and read_record(folder, record, 1) is not None:
        return Adoption.FINISHED
    found = alive.look(folder)
    if found is not None and found.held:
        return Adoption.RUNNING
    if same_boot and (found is None or found.pid is None):
        return Adoption.NEVER_STARTED
    return Adoption.LOST


def adopt(attempt: Attempt, control: Control, *, record: str | None) -> Ended:
    """Wait for the attempt to end; both deadlines count from now, so that it has its full time once more.

    EXITED when the final record is there, NO_RECORD when all its processes are gone without one.
    """
    try:
        captured = Captured.reopen(attempt.folder, attempt.limits)
    except OSError:
        # Its own output files were taken away by the agent: nothing can be judged, so nothing may go on.
        killing.end(attempt.folder, attempt.fence, pid=None, pidfd=None, grace=0.0)
        return Ended(Ending.NO_RECORD)
    try:
        pid, pidfd = _leader(attempt)
        try:
            wait = Wait(attempt, captured, control, pidfd)
            ending = _wait(attempt, wait, record)
            if ending not in {Ending.DETACHED, Ending.EXITED, Ending.NO_RECORD}:
                end(attempt, ending, None if killing.has_ended(pidfd) else pid, pidfd)
            return judged(ending, None, captured, wait.seconds)
        finally:
            if pidfd is not None:
                os.close(pidfd)
    finally:
        captured.close()


def read_record(folder: Path, name: str, limit: int) -> bytes | None:
    """The final record, at most `limit` + 1 bytes of it; None when it is not there or not whole (no newline yet)."""
    try:
        descriptor = os.open(f"{folder}/{name}", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or os.pread(descriptor, 1, max(found.st_size - 1, 0)) != b"\n":
            return None
        return os.pread(descriptor, limit + 1, 0)
    finally:
        os.close(descriptor)


def _wait(attempt: Attempt, wait: Wait, record: str | None) -> Ending:
    while True:
        # The lock first: a record is written before the lock is let go.
        held = alive.held(attempt.folder)
        if record is not None and read_record(attempt.folder, record, 1) is not None:
            return Ending.EXITED
        if not held:
            return Ending.NO_RECORD
        ending = wait.step(attempt.limits.look)
        # Its leader's end alone says nothing: others may still work on what it was asked.
        if ending not in {None, Ending.EXITED}:
            return ending


def _leader(attempt: Attempt) -> tuple[int | None, int | None]:
    """The noted process and a pidfd of it, if that number still is a process of the attempt."""
    found = alive.look(attempt.folder)
    if found is None or found.pid is None:
        return None, None
    try:
        pidfd = os.pidfd_open(found.pid)
    except OSError:
        return None, None
    if killing.belongs(found.pid, attempt.folder, attempt.fence):
        return found.pid, pidfd
    os.close(pidfd)
    return None, None
