"""Browsers that have logged in: a random cookie each, held in memory, that can only read.

Opened by `login`, asked by `site` for requests without a token.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from secrets import token_urlsafe
from threading import Lock
from time import monotonic
from typing import Any, Final

from glink.limits import Limits
from glink.server.auth import Who, digest_of

NAME: Final = "glink_session"
_COOKIE: Final = re.compile(rf"(?:^|;) *{NAME}=([A-Za-z0-9_-]{{43}}) *(?=;|$)", re.ASCII)


class Sessions:
    """Digest of the cookie to who holds it; the oldest goes when there are too many."""

    def __init__(self, limits: Limits, *, secure: bool, now: Callable[[], float] = monotonic) -> None:
        self._most, self._seconds, self._secure, self._now = limits.sessions, limits.session_seconds, secure, now
        self._open: OrderedDict[str, tuple[Who, float]] = OrderedDict()
        self._lock = Lock()

    def begin(self, who: Who) -> str:
        """A new session; the value of the header Set-Cookie."""
        cookie = token_urlsafe(32)
        with self._lock:
            while len(self._open) >= self._most:
                self._open.popitem(last=False)
            self._open[digest_of(cookie)] = who.reading(), self._now() + self._seconds
        safe = "; Secure" if self._secure else ""
        return f"{NAME}={cookie}; Path=/; Max-Age={int(self._seconds)}; HttpOnly; SameSite=Strict{safe}"

    def who(self, environ: Mapping[str, Any]) -> Who | None:
        """Whose session the request belongs to."""
        cookies = _COOKIE.findall(environ.get("HTTP_COOKIE", ""))
        if len(cookies) != 1:
            return None
        digest = digest_of(cookies[0])
        with self._lock:
            who, end = self._open.get(digest, (None, 0.0))
            if self._now() >= end:
                self._open.pop(digest, None)
                return None
        return who
