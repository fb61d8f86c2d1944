"""An address on the web that the operator wrote, or that a service answered with: taken apart once, and checked.

Called by the kinds of agents and reporters that speak HTTP. What is shown of an address is its `place` alone: a path or
a query may hold a secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin, urlsplit

_CHARACTERS: Final = 2_048
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """`target` is path and query, as they go into the request."""

    scheme: str
    host: str
    port: int
    target: str

    @classmethod
    def of(cls, text: str) -> Address:
        """Raises ValueError, which says what to write and repeats nothing of the text."""
        if (
            not 0 < len(text) <= _CHARACTERS
            or not text.isascii()
            or not text.isprintable()
            or set(text) & set(' \\"<>')
        ):
            raise ValueError(f"is not an address; write http://HOST/PATH, at most {_CHARACTERS} ASCII characters")
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", parts.port
            host.encode("idna")
        except ValueError:  # of the port, of a bad IPv6 address, of a label of the name
            raise ValueError("is not an address; write http://HOST:PORT/PATH") from None
        if parts.scheme not in _PORTS or not host:
            raise ValueError("is not an address; write http://HOST/PATH or https://HOST/PATH")
        if parts.username is not None or parts.password is not None:
            raise ValueError("holds a user or a password; put them into a header")
        if parts.fragment:
            raise ValueError("has a part behind `#`, which is never sent; leave it out")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(parts.scheme, host, _PORTS[parts.scheme] if port is None else port, target)

    def join(self, reference: str) -> Address:
        """The address that a reference found at this one leads to; ValueError when it leads to another origin."""
        found = Address.of(urljoin(str(self), reference))
        if (found.scheme, found.host, found.port) != (self.scheme, self.host, self.port):
            raise ValueError(f"leads away from {self.place}")
        return found

    @property
    def place(self) -> str:
        """`host:port`, for people; the port only where it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.place}{self.target}"
