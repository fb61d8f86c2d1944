"""The one door to `subprocess`: start a process of an attempt, wait for it, end it, and say how it ended.

Called by the kinds that run programs (`command`, `script`, `python`), from many threads at once. What the order of
starting is for: the `alive` lock is held before the process is there, and the process holds it before anybody looks.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace

from glink.agents import alive, killing
from glink.agents.agent import Control
from glink.agents.captured import Captured
from glink.agents.waiting import Attempt, Ending, Wait
from glink.clock import wait_for

RECORD = "exit"

# One line around the argv that writes its exit code down. The record counts when its newline is there, so it is
# whole or absent without a rename (which would cost a second process).
_RECORDING = ("/bin/sh", "-c", f'"$@"; code=$?; echo "$code" > {RECORD}; exit "$code"', "glink")


@dataclass(frozen=True, slots=True)
class Launch:
    """What to start: argv, the whole environment, what stdin holds, whether the exit code is written down."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    stdin: bytes = b""
    exit_record: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended. `status` is the exit code, or 128 + the signal; None where it is not known.

    `stdout` is whole (up to its cap), `stderr` its tail. `seconds` is how long it was waited for.
    """

    ending: Ending
    status: int | None = None
    stdout: bytes = b""
    stderr: bytes = b""
    seconds: float = 0.0

    def with_status(self, status: int | None) -> Ended:
        """The same end with an exit code that was learnt from a record."""
        return replace(self, status=status)


def run(attempt: Attempt, launch: Launch, control: Control) -> Ended:
    """Start the process and wait for its end. Raises OSError or ValueError when it cannot be started.

    At a deadline, a cancel or a broken cap all processes of the attempt are ended before this returns. After an exit
    what the process left running in its group ends too: an answer that is being judged must not change any more. A
    detached one is left as it is.
    """
    captured = Captured.create(attempt.folder, attempt.limits)
    try:
        process = _start(attempt, launch, captured)
        try:
            return _attend(attempt, process, captured, control)
        except BaseException:
            _abandon(process)
            raise
    finally:
        captured.close()


def _attend(attempt: Attempt, process: subprocess.Popen[bytes], captured: Captured, control: Control) -> Ended:
    pidfd = os.pidfd_open(process.pid)
    try:
        wait = Wait(attempt, captured, control, pidfd)
        ending = wait.to_the_end()
        if ending is Ending.DETACHED:
            process.returncode = 0  # not ours to wait for any more
            return Ended(ending)
        end(attempt, ending, process.pid, pidfd)
        return judged(ending, _reap(process, pidfd, attempt.limits.kill_after), captured, wait.seconds)
    finally:
        os.close(pidfd)


def end(attempt: Attempt, ending: Ending, pid: int | None, pidfd: int | None) -> None:
    """End what must not go on after `ending`."""
    if ending is Ending.EXITED:
        if pid is not None:
            killing.kill_group(pid)
        return
    # Whoever floods the disk gets no time to go on doing so.
    grace = 0.0 if ending is Ending.TOO_LARGE else attempt.limits.kill_after
    killing.end(attempt.folder, attempt.fence, pid=pid, pidfd=pidfd, grace=grace)


def judged(ending: Ending, status: int | None, captured: Captured, seconds: float) -> Ended:
    """The end with what was written; too much is the ending `TOO_LARGE`, also when it was seen only now."""
    if captured.too_large():
        captured.cut()
        ending = Ending.TOO_LARGE if ending is Ending.EXITED else ending
    stdout = captured.stdout() if ending is Ending.EXITED else b""
    return Ended(ending, status, stdout, captured.stderr_tail(), seconds)


def _start(attempt: Attempt, launch: Launch, captured: Captured) -> subprocess.Popen[bytes]:
    lock = alive.take(attempt.folder)
    try:
        stdin = _readable(launch.stdin)
        try:
            process = subprocess.Popen(
                (*_RECORDING, *launch.argv) if launch.exit_record else launch.argv,
                cwd=attempt.folder,
                env=launch.env,
                stdin=stdin,
                stdout=captured.out,
                stderr=captured.err,
                pass_fds=(lock,),
                start_new_session=True,
            )
        finally:
            if stdin >= 0:
                os.close(stdin)
        try:
            alive.note(lock, process.pid)
        except OSError:
            _abandon(process)
            raise
        return process
    finally:
        os.close(lock)


def _abandon(process: subprocess.Popen[bytes]) -> None:
    """End a process that cannot be attended to: no outcome may say *failed* while it works on."""
    if process.returncode is None:
        killing.kill_group(process.pid)
        process.wait()


def _readable(content: bytes) -> int:
    """A descriptor that reads as `content` and then ends: a nameless file, so nobody waits for anybody to write."""
    if not content:
        return subprocess.DEVNULL
    descriptor = os.memfd_create("stdin")
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _reap(process: subprocess.Popen[bytes], pidfd: int, seconds: float) -> int | None:
    """The exit status; None when even KILL did not end it (stuck in the kernel), then nobody waits for it."""
    if not wait_for(lambda: killing.has_ended(pidfd), seconds=seconds):
        process.returncode = 0
        return None
    code = process.wait()
    return 128 - code if code < 0 else code
