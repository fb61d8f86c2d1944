"""One HTTP request and its answer, bounded in every way. Called by the kinds of agents and reporters that speak HTTP.

The talking is done by a thread of its own (`connection`), so that whoever waits hears the engine and meets its deadline
whatever the other side does: a name that is not resolved, a handshake that hangs, a byte a minute. When the wait ends
the socket is shut down and the thread with it.

No redirect is followed and nothing is tried again: that is for the operator and the reconciler to say. Each exchange has
a fresh connection, since a kept one that the other side has closed would cost an attempt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from glink.outward.address import Address
from glink.outward.patience import Patience


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent, and what of the answer is taken: `most` bytes of its body, where more is a fault unless `cut`.

    `connect` bounds the connecting, in seconds. `only_public` refuses to talk to an address of a private network.
    """

    address: Address
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    most: int = 1 << 20
    cut: bool = False
    connect: float = 10.0
    only_public: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. Names of headers are in lower case; `public` tells whether it came from a public address."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    public: bool = False


class Broken(Exception):
    """There is no whole answer. `code` is short and stable, the text for people; it holds no secret of the address."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def exchange(request: Request, patience: Patience, *, longest: float = math.inf) -> Reply:
    """Send and wait for the whole answer; raises Broken, or Stopped of `patience`.

    `longest` bounds this one exchange, in seconds; past it, it is Broken (`slow`).
    """
    from glink.outward.connection import Call  # urllib3 is imported when somebody speaks HTTP

    patience.check()
    with Call(request) as call:
        call.start()
        if not patience.rest(longest, call.done, lambda: call.heard):
            raise Broken("slow", f"{request.address.place} did not answer within {longest:g} s")
        return call.result()
