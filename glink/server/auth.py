"""Who asks: tokens, compared in constant time by digest, and what each of them may do.

Called by `site` for each request that matched a route that is not open, before its body is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from hashlib import sha256
from hmac import compare_digest
from typing import Any, Final

from glink.permit import Scope, TokenSpec
from glink.server.problem import HttpProblem

MAIN: Final = "api"
NOBODY: Final = "anyone"
EVERYTHING: Final = frozenset(Scope) - {Scope.OPEN}
_LONGEST: Final = 512
_BEARER: Final = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +(?P<token>\S+)")


@dataclass(frozen=True, slots=True)
class Who:
    """An authenticated caller. `name` is the actor of what it does; `agents` are those that it works for, None all."""

    name: str
    may: frozenset[Scope]
    projects: tuple[str, ...] = ("*",)
    agents: frozenset[str] | None = None

    def covers(self, project: str | None) -> bool:
        """Whether the token is for this project; what belongs to none is for those who have all."""
        return "*" in self.projects or (project is not None and any(fnmatchcase(project, one) for one in self.projects))

    def must(self, scope: Scope, project: str | None, *, agent: str | None = None) -> None:
        """Raise 403 unless it may do this to the project (None: to no project in particular)."""
        if scope not in self.may:
            raise HttpProblem(403, f"the token {self.name} may not {scope}")
        if project is not None and not self.covers(project):
            raise HttpProblem(403, f"the token {self.name} is not for the project {project}")
        if agent is not None and self.agents is not None and agent not in self.agents:
            raise HttpProblem(403, f"the token {self.name} may not work for the agent {agent}")

    def must_have_all(self) -> None:
        """Raise 403 unless the token is for every project."""
        if not self.covers(None):
            raise HttpProblem(403, f"the token {self.name} is not for all projects")

    def reading(self) -> Who:
        """The same caller in a browser: a cookie can only read."""
        return replace(self, may=self.may & {Scope.READ})


@dataclass(frozen=True, slots=True)
class Tokens:
    """Every token there is, by sha256 of its text. `open_to_all`: nobody has to show one (`server.auth: none`)."""

    known: Mapping[str, Who] = field(default_factory=dict)
    open_to_all: bool = False

    @classmethod
    def of(cls, specs: Iterable[TokenSpec], main: str | None, *, open_to_all: bool = False) -> Tokens:
        """The named tokens of the configuration and the one that may do everything."""
        known = {} if main is None else {digest_of(main): Who(MAIN, EVERYTHING)}
        return cls(known | {one.sha256: _who(one) for one in specs}, open_to_all)

    def holder(self, token: str) -> Who | None:
        """Whose token this is. Every digest is compared, so the time tells nothing."""
        shown = digest_of(token) if len(token) <= _LONGEST else ""
        found = None
        for digest, who in self.known.items():
            if compare_digest(digest, shown):
                found = who
        return found

    def caller(self, environ: Mapping[str, Any]) -> Who | None:
        """Who a request comes from by its headers, None when they name nobody; raises 400 and 401."""
        token = _presented(environ)
        who = None if token is None else self.holder(token)
        if who is None and self.open_to_all:
            return Who(NOBODY, EVERYTHING)
        if who is None and token is not None:
            raise unauthorised("the token is not known")
        return who


def unauthorised(detail: str) -> HttpProblem:
    """401, with the scheme that is asked for."""
    return HttpProblem(401, detail, {"WWW-Authenticate": 'Bearer realm="glink"'})


def digest_of(token: str) -> str:
    """sha256 of a token's text, as `tokens:` writes it: `printf %s "$TOKEN" | sha256sum`."""
    return sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def _presented(environ: Mapping[str, Any]) -> str | None:
    written, key = environ.get("HTTP_AUTHORIZATION"), environ.get("HTTP_X_API_KEY")
    if written is None:
        return key
    found = _BEARER.fullmatch(written)
    if found is None:
        raise unauthorised("the header Authorization must be: Bearer TOKEN")
    token = found["token"]
    if key is not None and not compare_digest(key.encode(), token.encode()):
        raise HttpProblem(400, "Authorization and X-API-Key name different tokens")
    return token


def _who(spec: TokenSpec) -> Who:
    words = [one.partition(":") for one in spec.may]
    agents = {agent for word, _, agent in words if word == Scope.WORK}
    return Who(
        spec.name,
        frozenset(Scope(word) for word, _, _ in words),
        spec.projects,
        None if "*" in agents else frozenset(agents),
    )
