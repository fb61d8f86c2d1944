"""From a reply, a refusal or a bug to the head and body that WSGI wants. Called by `site` at the end of every request."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from glink.server.problem import CONTENT_TYPE, HttpProblem, problem_body
from glink.server.reader import Reader
from glink.server.route import Reply
from glink.server.wire import STREAM
from glink.words import escaped

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

_LOG: Final = logging.getLogger(__name__)
_COMMON: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "same-origin"}
_PAGE: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
}


class Fields(Mapping[str, str]):
    """The headers of a request, by names in lower case with dashes."""

    def __init__(self, environ: Environ) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        key = name.upper().replace("-", "_")
        text: str = self._environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"]
        return text

    def __iter__(self) -> Iterator[str]:
        names = (one.removeprefix("HTTP_") for one in self._environ if one.startswith("HTTP_") or one == "CONTENT_TYPE")
        return (one.lower().replace("_", "-") for one in names)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def begin(reply: Reply, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """The head of an answer, and its body."""
    headers = {"Content-Type": reply.content_type, **_COMMON}
    if reply.content_type.startswith("text/html"):
        headers |= _PAGE
    headers |= {name: _field(text) for name, text in reply.headers.items()}
    body: Iterable[bytes]
    if isinstance(reply.body, Reader):
        body = _begun(reply.body, environ)
    elif isinstance(reply.body, Path):
        body, headers["Content-Length"] = _opened(reply.body, environ)
    else:
        body, headers["Content-Length"] = [reply.body], str(len(reply.body))
    start_response(_line(reply.status), list(headers.items()))
    return [] if environ["REQUEST_METHOD"] == "HEAD" else body


def _line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"


def _field(text: str) -> str:
    """A header's value, whatever text it was made of."""
    return escaped(text).encode("latin-1", "backslashreplace").decode("latin-1")


def _begun(reader: Reader, environ: Environ) -> list[bytes]:
    """The head of the answer is the site's; the rest is the reader's own."""
    if environ["REQUEST_METHOD"] == "HEAD":
        reader.gone()
    else:
        environ[STREAM] = reader
    return []


def _opened(path: Path, environ: Environ) -> tuple[Iterable[bytes], str]:
    """A regular file and its size; raises 404."""
    try:
        found = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        raise HttpProblem(404, "it is not there any more") from None
    about = os.fstat(found)
    if not stat.S_ISREG(about.st_mode) or environ["REQUEST_METHOD"] == "HEAD":
        os.close(found)
        if stat.S_ISREG(about.st_mode):
            return [], str(about.st_size)
        raise HttpProblem(404, "it is not there any more")
    file: Iterable[bytes] = environ["wsgi.file_wrapper"](os.fdopen(found, "rb"))
    return file, str(about.st_size)


def refuse(refusal: HttpProblem, environ: Environ, start_response: StartResponse) -> list[bytes]:
    return _say(refusal.status, refusal.body(), refusal.headers, environ, start_response)


def stumbled(environ: Environ, start_response: StartResponse) -> list[bytes]:
    number = token_hex(8)
    _LOG.exception("request %s failed", number)
    body = problem_body(500, "this is a bug in Glink; the log has it under the request id", number, {})
    return _say(500, body, {}, environ, start_response)


def _say(
    status: int, body: bytes, more: Mapping[str, str], environ: Environ, start_response: StartResponse
) -> list[bytes]:
    headers = {"Content-Type": CONTENT_TYPE, "Content-Length": str(len(body)), **_COMMON, **more}
    start_response(_line(status), list(headers.items()))
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
