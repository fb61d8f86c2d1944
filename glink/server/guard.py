"""Requests that are refused for what they are, whoever sends them: foreign hosts and pages, odd methods and paths.

Called by `site` before anything else. The path is read from the request line as it was sent: servers and frameworks
unescape and normalise, and each does it a little differently.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from string import ascii_letters, digits
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from glink.server.problem import HttpProblem

METHODS: Final = ("GET", "HEAD", "POST", "PUT")
_TARGET: Final = re.compile(r"/[A-Za-z0-9\-._~!$&'()*+,=:@/%]*", re.ASCII)
_ESCAPES: Final = re.compile(r"%(?:([0-9A-Fa-f]{2})|)")
# What needs no escape must not be escaped, and what ends or separates must not be smuggled in. A `/` may: clients
# made from the API's description write a project's name as one part.
_NEVER_ESCAPED: Final = frozenset(
    b"%\\;?#-._~" + ascii_letters.encode() + digits.encode() + bytes(range(0x20)) + b"\x7f"
)
_NAME: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::[0-9]{1,5})?", re.ASCII)
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True, slots=True)
class Guard:
    """`hosts` are the names that this server answers to; `addresses`: also to any IP address.

    A page that rebinds its own name to this address sends that name as Host; an address it cannot rebind.
    """

    hosts: frozenset[str]
    addresses: bool

    @classmethod
    def of(cls, host: str, names: tuple[str, ...]) -> Guard:
        """For a server that listens on `host` and is also reached by `names`."""
        written = f"[{host}]" if ":" in host else host
        return cls(_LOCAL | {written.lower(), *(one.lower() for one in names)}, addresses=not is_loopback(host))

    def check(self, environ: dict[str, Any]) -> None:
        """Raise 400, 403, 405 or 421, or leave the decoded path in PATH_INFO."""
        method = environ["REQUEST_METHOD"]
        if method not in METHODS:
            raise HttpProblem(405, "the method is not served", {"Allow": ", ".join(METHODS)})
        self._check_host(environ.get("HTTP_HOST"))
        _check_origin(environ, method)
        environ["PATH_INFO"] = path_of(environ["REQUEST_URI"])

    def _check_host(self, written: str | None) -> None:
        if written is None:
            raise HttpProblem(400, "the header Host is missing")
        found = _NAME.fullmatch(written)
        if found is None:
            raise HttpProblem(400, "the header Host is malformed")
        host = found["host"].lower()
        if host not in self.hosts and not (self.addresses and _is_address(host)):
            raise HttpProblem(421, "this server does not answer to that Host; see `server.hosts` of the configuration")


def path_of(target: str) -> str:
    """The path of a request target, unescaped, as WSGI wants it (UTF-8 bytes read as latin-1); raises 400."""
    raw = target.partition("?")[0]
    if not _TARGET.fullmatch(raw):
        raise HttpProblem(400, "the path is malformed")
    if "%" not in raw:
        path = raw.encode()
    else:
        if any(int(found[1] or "00", 16) in _NEVER_ESCAPED for found in _ESCAPES.finditer(raw)):
            raise HttpProblem(400, "the path has an escape that it must not have")
        path = unquote_to_bytes(raw)
        try:
            path.decode()
        except UnicodeDecodeError:
            raise HttpProblem(400, "the path is not UTF-8") from None
    if not {b".", b".."}.isdisjoint(path.split(b"/")):
        raise HttpProblem(400, "the path has . or .. in it")
    return path.decode("latin-1")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens there."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_address(host: str) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _check_origin(environ: Mapping[str, Any], method: str) -> None:
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and origin.partition("://")[2].lower() != environ["HTTP_HOST"].lower():
        raise HttpProblem(403, "a page of another origin may not ask")
    site = environ.get("HTTP_SEC_FETCH_SITE", "none")
    if site not in ("none", "same-origin"):
        followed = environ.get("HTTP_SEC_FETCH_MODE") == "navigate" and environ.get("HTTP_SEC_FETCH_DEST") == "document"
        if not (followed and method == "GET"):
            raise HttpProblem(403, "a page of another site may not ask")
