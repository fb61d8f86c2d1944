"""How often one client may ask: counts in windows of a fixed length, forgotten when the window ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from threading import Lock
from time import monotonic


class Rate:
    """At most `limit` in `seconds` for each client."""

    def __init__(self, limit: int, seconds: float, now: Callable[[], float] = monotonic) -> None:
        self._limit, self._seconds, self._now = limit, seconds, now
        self._window = -1
        self._counts: dict[str, int] = {}
        self._lock = Lock()

    def count(self, client: str) -> int:
        """Count one; the seconds to wait when that is too many, else 0."""
        at = self._now() / self._seconds
        with self._lock:
            if int(at) != self._window:
                self._window, self._counts = int(at), {}
            used = self._counts[client] = self._counts.get(client, 0) + 1
        return math.ceil((1 - at % 1) * self._seconds) if used > self._limit else 0

    def spent(self, client: str) -> bool:
        """Whether one more would be too many."""
        with self._lock:
            return int(self._now() / self._seconds) == self._window and self._counts.get(client, 0) >= self._limit
