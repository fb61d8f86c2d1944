"""The server: waitress with eight threads, and one for `/health`, around a WSGI application, started and stopped.

Called by the composition root, once the bus is held. The loop of connections runs in a thread of its own.
"""

from __future__ import annotations

import logging
import resource
from collections.abc import Callable, Iterable
from threading import Event, Thread
from time import sleep
from typing import Any, Final

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.task import ThreadedTaskDispatcher

from glink.clock import wait_for
from glink.errors import UsageError
from glink.limits import Limits
from glink.server.wire import Server

THREADS: Final = 8
# Whether the engine is well must be told even when every thread waits for it.
APART: Final = frozenset({"/health"})
_SPARE_DESCRIPTORS: Final = 256
_LAST_WORDS: Final = 2.0
_PAUSE: Final = 0.1
_LOG: Final = logging.getLogger(__name__)
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Serving:
    """A running server. `url` is where it is reached from this machine."""

    def __init__(self, application: Application, *, host: str, port: int, limits: Limits) -> None:
        """Bind and go; raises UsageError when the address cannot be had."""
        _allow_descriptors(limits.connections + limits.streams + _SPARE_DESCRIPTORS)
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a full queue is no news
        self._map: dict[int, Any] = {}
        self._tasks, self._apart = ThreadedTaskDispatcher(), ThreadedTaskDispatcher()
        adjustments = Adjustments(listen=_listen(host, port), **_settings(limits))
        more = {
            "dispatcher": self._tasks,
            "adj": adjustments,
            "limits": limits,
            "apart": APART,
            "apart_tasks": self._apart,
        }
        try:
            self._servers = [Server(application, self._map, sockinfo=one, **more) for one in adjustments.listen]
        except OSError as error:
            wasyncore.close_all(self._map, ignore_all=True)
            raise UsageError(
                f"cannot listen at {host}:{port}: {error.strerror}; choose another `server.port`"
            ) from None
        self._tasks.set_thread_count(THREADS)
        self._apart.set_thread_count(1)
        self.port = int(self._servers[0].effective_port)
        self.url = f"http://{_reachable(host)}:{self.port}"
        self._thread = Thread(target=self._loop, name="http", daemon=True)
        self._thread.start()

    def stop(self, *, seconds: float) -> None:
        """Accept nobody any more, let what is being answered end for so long, close every connection."""
        self._in_loop(self._stop_accepting)
        self._tasks.shutdown(timeout=seconds)
        self._apart.shutdown(timeout=seconds)
        wait_for(lambda: not any(one.owes_bytes() for one in self._servers), seconds=_LAST_WORDS)
        self._in_loop(lambda: wasyncore.close_all(self._map, ignore_all=True))
        self._thread.join()

    def _stop_accepting(self) -> None:
        for one in self._servers:
            one.stop_accepting()

    def _loop(self) -> None:
        while self._map:
            try:
                wasyncore.loop(timeout=1, use_poll=True, map=self._map)
            except Exception:  # one connection's trouble must not end all the others
                _LOG.exception("the loop of the connections stumbled, and goes on")
                sleep(_PAUSE)

    def _in_loop(self, deed: Callable[[], object]) -> None:
        """Do it in the thread of the connections, and wait for that."""
        done = Event()

        def thunk() -> None:
            try:
                deed()
            finally:
                done.set()

        self._servers[0].trigger.pull_trigger(thunk)
        done.wait()


def _settings(limits: Limits) -> dict[str, Any]:
    return {
        "threads": THREADS,
        "asyncore_use_poll": True,
        "max_request_header_size": limits.header_bytes,
        "max_request_body_size": limits.body_bytes + 1,
        "inbuf_overflow": limits.body_bytes + 1,
        "log_socket_errors": False,
        "clear_untrusted_proxy_headers": False,
        "ident": "",
    }


def _listen(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _reachable(host: str) -> str:
    """Where this machine reaches a server that listens at `host`."""
    if host in ("0.0.0.0", "::"):  # noqa: S104  (compared, not bound)
        return "127.0.0.1" if host == "0.0.0.0" else "[::1]"  # noqa: S104
    return f"[{host}]" if ":" in host else host


def _allow_descriptors(count: int) -> None:
    """As many open files as the limits ask for, where the system lets this process have them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
