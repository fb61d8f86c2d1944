"""What a process writes: its stdout and stderr, caught in files of the attempt's folder and kept small.

Files, not pipes: a grandchild that holds a pipe open would hold up the step, and output must outlive the engine.
Called by `process` for processes that it starts and by `adoption` for those that an earlier engine started.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from glink.limits import Limits

_OPEN = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Captured:
    """The two open files of one attempt. Used by one thread; `close` it."""

    __slots__ = ("_limits", "_seen", "err", "out")

    def __init__(self, out: int, err: int, limits: Limits) -> None:
        self.out = out
        self.err = err
        self._limits = limits
        self._seen = (0, 0)

    @classmethod
    def create(cls, folder: Path, limits: Limits) -> Captured:
        """Fresh empty files `stdout` and `stderr`."""
        return cls._open(folder, os.O_CREAT | os.O_TRUNC, limits)

    @classmethod
    def reopen(cls, folder: Path, limits: Limits) -> Captured:
        """The files of an earlier engine; an agent that removed or replaced its own has written nothing."""
        return cls._open(folder, os.O_CREAT, limits)

    @classmethod
    def _open(cls, folder: Path, flags: int, limits: Limits) -> Captured:
        out = _regular(f"{folder}/stdout", flags)
        try:
            return cls(out, _regular(f"{folder}/stderr", flags), limits)
        except OSError:
            os.close(out)
            raise

    def grew(self) -> bool:
        """Whether anything was written since the last time that this was asked. Cuts an overlong stderr."""
        now = (os.fstat(self.out).st_size, os.fstat(self.err).st_size)
        if now == self._seen:
            return False
        if now[1] > self._limits.stderr_bytes:
            now = (now[0], self._keep_newest(now[1]))
        self._seen = now
        return True

    def too_large(self) -> bool:
        """Whether stdout is over its cap."""
        return os.fstat(self.out).st_size > self._limits.output_bytes

    def stdout(self) -> bytes:
        """All of stdout, up to its cap."""
        return _read(self.out, 0, min(os.fstat(self.out).st_size, self._limits.output_bytes))

    def stderr_tail(self) -> bytes:
        """The last bytes of stderr, enough for a message."""
        size = os.fstat(self.err).st_size
        start = max(size - self._limits.message_bytes, 0)
        return _read(self.err, start, size - start)

    def cut(self) -> None:
        """Give the disk back what was written beyond the cap."""
        if self.too_large():
            os.ftruncate(self.out, self._limits.output_bytes)

    def close(self) -> None:
        os.close(self.out)
        os.close(self.err)

    def _keep_newest(self, size: int) -> int:
        # A talkative stderr is no reason to lose an answer that was paid for. The files are opened to append, so the
        # writer goes on behind what is kept.
        kept = _read(self.err, size - self._limits.stderr_bytes // 2, self._limits.stderr_bytes // 2)
        os.ftruncate(self.err, 0)
        os.write(self.err, kept)
        return os.fstat(self.err).st_size


def _regular(path: str, flags: int) -> int:
    descriptor = os.open(path, _OPEN | flags, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is not a regular file")
    return descriptor


def _read(descriptor: int, start: int, count: int) -> bytes:
    parts: list[bytes] = []
    while count > 0 and (part := os.pread(descriptor, count, start)):
        parts.append(part)
        start, count = start + len(part), count - len(part)
    return b"".join(parts)
