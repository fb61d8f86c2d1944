"""From how a process ended to an outcome: exit codes, signals, deadlines, and what was written.

Called by the kinds that start processes. What a program wrote is data: it is decoded without fail, cut to size, and
control characters in it reach no terminal, log line or page by way of a message.
"""

from __future__ import annotations

import errno
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from glink import jsontext
from glink.agents.agent import ErrorClass, Outcome
from glink.agents.message import with_tail
from glink.agents.process import Ended
from glink.agents.waiting import Attempt, Ending

_SPAWN: Mapping[int | None, ErrorClass] = {
    errno.ENOENT: ErrorClass.CONFIG,
    errno.ENOTDIR: ErrorClass.CONFIG,
    errno.EISDIR: ErrorClass.CONFIG,
    errno.EACCES: ErrorClass.CONFIG,
    errno.ENOEXEC: ErrorClass.CONFIG,
    errno.ELOOP: ErrorClass.CONFIG,
    errno.E2BIG: ErrorClass.TOO_LARGE,
}


def text_of(stdout: bytes) -> str:
    """Output as text: UTF-8, whatever is not becomes U+FFFD, as does NUL; one newline at the end goes."""
    return stdout.decode("utf-8", "replace").replace("\0", "\ufffd").removesuffix("\n")


def not_started(error: OSError | ValueError, argv0: str, attempt: Attempt) -> Outcome:
    """No process came to be: what the operator named is not there, or the machine had no room for it."""
    limit = attempt.limits.message_bytes
    if not isinstance(error, OSError):  # a NUL or a lone surrogate in argv or environment
        return Outcome.failed(ErrorClass.CONFIG, "argument", with_tail(f"cannot start {argv0}", str(error), limit))
    if error.filename is not None and str(error.filename).startswith(str(attempt.folder)):
        what, cls = "cannot use the attempt's folder", ErrorClass.TRANSIENT
    else:
        what, cls = f"cannot start {argv0}", _SPAWN.get(error.errno, ErrorClass.TRANSIENT)
    code = errno.errorcode.get(error.errno or 0, "spawn").lower()
    return Outcome.failed(cls, code, with_tail(what, error.strerror or str(error), limit))


def judge(
    ended: Ended,
    attempt: Attempt,
    *,
    exit_codes: Mapping[int, ErrorClass] = MappingProxyType({}),
    as_json: bool = False,
    may_be_empty: bool = False,
) -> Outcome:
    """The outcome of a program that answers by its stdout and succeeds by exit 0."""
    outcome = failure_of(ended, attempt, exit_codes)
    if outcome is None:
        outcome = answer(text_of(ended.stdout), as_json=as_json, may_be_empty=may_be_empty)
    return replace(outcome, seconds=ended.seconds)


def failure_of(
    ended: Ended, attempt: Attempt, exit_codes: Mapping[int, ErrorClass] = MappingProxyType({})
) -> Outcome | None:
    """The failed outcome that an end and its status mean by themselves; None when it exited with 0."""

    def failed(cls: ErrorClass, code: str, what: str) -> Outcome:
        return Outcome.failed(cls, code, with_tail(what, text_of(ended.stderr), attempt.limits.message_bytes))

    if ended.ending is not Ending.EXITED:
        return _unfinished(ended.ending, attempt, failed)
    if ended.status is None:
        return failed(ErrorClass.INTERNAL, "stuck", "its end could not be seen")
    if ended.status == 0:
        return None
    if ended.status in exit_codes:
        return failed(exit_codes[ended.status], f"exit-{ended.status}", f"exit {ended.status}")
    if ended.status in {126, 127}:
        return failed(ErrorClass.CONFIG, f"exit-{ended.status}", f"exit {ended.status} (a program is not there)")
    if ended.status > 128 and (name := _signal_name(ended.status - 128)):
        return failed(ErrorClass.INTERNAL, f"signal-{ended.status - 128}", f"killed by {name}")
    return failed(ErrorClass.AGENT_FAILED, f"exit-{ended.status}", f"exit {ended.status}")


def _unfinished(ending: Ending, attempt: Attempt, failed: Callable[[ErrorClass, str, str], Outcome]) -> Outcome:
    match ending:
        case Ending.RUN_TIMEOUT:
            return failed(ErrorClass.TIMEOUT, "run", f"ran longer than {attempt.run_seconds} s")
        case Ending.IDLE_TIMEOUT:
            return failed(ErrorClass.TIMEOUT, "idle", f"wrote nothing for {attempt.idle_seconds} s")
        case Ending.CANCELLED:
            return failed(ErrorClass.CANCELLED, "cancelled", "cancelled")
        case Ending.TOO_LARGE:
            return failed(ErrorClass.TOO_LARGE, "stdout", f"wrote more than {attempt.limits.output_bytes} bytes")
        case Ending.DETACHED:
            return failed(ErrorClass.LOST, "detached", "left running")
        case _:
            return failed(ErrorClass.LOST, "no-record", "ended while no engine looked, without a final record")


def answer(output: str, *, as_json: bool, may_be_empty: bool) -> Outcome:
    """The outcome of a program that did not fail: its text, or the JSON value that this is."""
    if not output.strip() and not may_be_empty:
        return Outcome.failed(ErrorClass.INVALID_OUTPUT, "empty", "the answer is empty")
    if not as_json:
        return Outcome(output=output)
    try:
        return Outcome(output=jsontext.loads(output))
    except jsontext.JSONError as error:
        return Outcome.failed(ErrorClass.INVALID_OUTPUT, "json", f"the answer is not JSON: {error}")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return ""
