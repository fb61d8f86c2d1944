"""A `Control` that is moved by hand: for the tests of agents, here and in distributions that add kinds."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self


class ManualControl:
    """What an agent hears; `cancel` and `detach` say it, from any thread. A context manager."""

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.cancelled = False
        self.detached = False

    def cancel(self) -> None:
        """Ask the attempt to end."""
        self.cancelled = True
        os.eventfd_write(self._descriptor, 1)

    def detach(self) -> None:
        """Say that the engine goes."""
        self.detached = True
        os.eventfd_write(self._descriptor, 1)

    def fileno(self) -> int:
        return self._descriptor

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
