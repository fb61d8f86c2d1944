"""Idempotency keys: the same request under the same key is answered once and told again.

`site` asks it for every route that is `keyed`. Held in memory and bounded; the oldest answers go first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Lock
from time import monotonic
from typing import Final

from glink.limits import Limits
from glink.server.problem import HttpProblem
from glink.server.route import Reply

_PATIENCE: Final = 60.0


@dataclass(slots=True)
class _Deed:
    """One request under its key. `reply` stays None while it is under way, and when it failed."""

    digest: str
    began: float
    reply: Reply | None = None
    ended: Event = field(default_factory=Event)


class Once:
    """(token name, key) to digest and answer. A request that failed is forgotten: trying it again is the cure."""

    def __init__(self, limits: Limits, now: Callable[[], float] = monotonic) -> None:
        self._most, self._seconds, self._now = limits.idempotency_keys, limits.idempotency_seconds, now
        self._deeds: OrderedDict[tuple[str, str], _Deed] = OrderedDict()
        self._lock = Lock()

    def answer(self, who: str, key: str, digest: str, deed: Callable[[], Reply]) -> Reply:
        """The reply of `deed`, done at most once under this key; raises 422 for another request under the same key.

        While the first is under way, the others wait for it, and raise 503 when that takes too long.
        """
        while True:
            with self._lock:
                found = self._deeds.get((who, key))
                if found is None or self._now() - found.began >= self._seconds:
                    mine = self._begin((who, key), digest)
                    break
            if found.digest != digest:
                raise HttpProblem(422, "the Idempotency-Key was used for another request")
            if not found.ended.wait(_PATIENCE):
                raise HttpProblem(503, "the same request is still under way", {"Retry-After": "1"})
            if found.reply is not None:
                return found.reply
        return self._do((who, key), mine, deed)

    def _begin(self, place: tuple[str, str], digest: str) -> _Deed:
        self._deeds.pop(place, None)
        for oldest in list(self._deeds)[: max(len(self._deeds) - self._most + 1, 0)]:
            if self._deeds[oldest].ended.is_set():
                del self._deeds[oldest]
        mine = self._deeds[place] = _Deed(digest, self._now())
        return mine

    def _do(self, place: tuple[str, str], mine: _Deed, deed: Callable[[], Reply]) -> Reply:
        try:
            mine.reply = deed()
        finally:
            with self._lock:
                if mine.reply is None and self._deeds.get(place) is mine:
                    del self._deeds[place]
            mine.ended.set()
        return mine.reply
