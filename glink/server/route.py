"""What a route is, what its handler is given and what it gives back.

The handlers' modules build tables of `Route`; `site` serves them and `openapi` describes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from glink.jsontext import dumps
from glink.permit import Scope
from glink.server.auth import Who
from glink.server.problem import HttpProblem

JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Param:
    """A query parameter: its JSON Schema (`string` with `pattern`, or `integer` with bounds) and what it is for."""

    name: str
    summary: str
    pattern: str = r".{1,1000}"
    number: tuple[int, int] | None = None
    required: bool = False

    def read(self, written: str) -> str:
        """The text as written, if it fits; raises 400. Numbers are texts still: `int` never fails on them."""
        if self.number is not None:
            low, high = self.number
            if not (_NUMBER.fullmatch(written) and low <= int(written) <= high):
                raise HttpProblem(400, f"the parameter {self.name} must be a whole number from {low} to {high}")
        elif not re.fullmatch(self.pattern, written):
            raise HttpProblem(400, f"the parameter {self.name} must match {self.pattern}")
        return written


_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
PROJECT: Final = Param("project", "name of a project", pattern=r"[A-Za-z0-9._/-]{1,300}")


@dataclass(frozen=True, slots=True)
class Call:
    """One request, authorised. `project` is the one that it is about, wherever it was named; the token covers it.

    `body` is an instance of the route's model, None without one. Where the body names several projects, as a list of
    events may, `projects` has them all, each covered. `query` holds what was given, valid and each once.
    """

    who: Who
    project: str | None = None
    projects: tuple[str, ...] = ()
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None
    body_digest: str = ""
    remote: str = ""

    def must(self, scope: Scope, *, agent: str | None = None) -> None:
        """Raise 403 unless the caller may also do this; for routes whose body decides what is asked."""
        for project in self.projects or (None,):
            self.who.must(scope, project, agent=agent)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `body` is bytes, a regular file to be sent, or a `Reader` that takes the connection over."""

    body: Any = b""
    status: int = 200
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, value: Any, status: int = 200, **headers: str) -> Reply:
        """A JSON answer; `Retry_After="1"` is the header Retry-After."""
        return cls(dumps(value), status, JSON, {name.replace("_", "-"): text for name, text in headers.items()})

    @classmethod
    def html(cls, page: bytes, status: int = 200) -> Reply:
        """A page; `site` adds the policy that lets it load nothing but own files."""
        return cls(page, status, "text/html; charset=utf-8")

    @classmethod
    def file(cls, path: Path, content_type: str = "application/octet-stream") -> Reply:
        """A regular file, sent without being held in memory and without holding a thread."""
        return cls(path, 200, content_type)


Handler = Callable[[Call], Reply]


@dataclass(frozen=True, slots=True)
class Route:
    """One method and path. In `path`, `{project}` may stand for several parts, every other `{name}` for one.

    `scope` is what the caller's token must allow on the project; of a tuple one suffices, and the handler asks for more
    with `Call.must`. `body` is a pydantic type; `raw` (a JSON Schema, for the description) hands the bytes over unread.
    `keyed`: under an Idempotency-Key the handler is called once, and its answer told again. `replies` maps status to
    None, content types, a JSON Schema or a pydantic type; problems need not be listed. A `page` sends a browser without
    credentials to the login.
    """

    method: Literal["GET", "POST", "PUT"]
    path: str
    scope: Scope | tuple[Scope, ...]
    handler: Handler
    summary: str
    query: tuple[Param, ...] = ()
    body: Any = None
    raw: Mapping[str, Any] | None = None
    replies: Mapping[int, Any] = field(default_factory=lambda: {200: {}})
    keyed: bool = False
    page: bool = False

    @property
    def scopes(self) -> tuple[Scope, ...]:
        return self.scope if isinstance(self.scope, tuple) else (self.scope,)

    @property
    def names(self) -> tuple[str, ...]:
        """The variables of the path, in order."""
        return tuple(re.findall(r"\{(\w+)\}", self.path))
