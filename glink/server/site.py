"""The routes, served: guard, caller, permission, body, handler, answer, in this order.

`Site` is a WSGI application over the routes of a bottle application. Bottle matches them; it writes no answer itself,
so whatever is raised on the way becomes a problem in JSON, also what bottle finds wrong. `serve` runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import bottle
from pydantic import TypeAdapter, ValidationError

from glink.digest import of_bytes, of_value
from glink.errors import GlinkError, Problem
from glink.limits import Limits
from glink.loading.discovery import name_fault
from glink.loading.document import quoted, spell
from glink.loading.mistakes import mistakes
from glink.permit import Scope
from glink.server.answer import Environ, Fields, StartResponse, begin, refuse, stumbled
from glink.server.auth import Tokens, Who, unauthorised
from glink.server.body import read_bytes, read_json
from glink.server.guard import Guard
from glink.server.login import login_routes, way_back
from glink.server.once import Once
from glink.server.openapi import openapi_route
from glink.server.problem import HttpProblem, invalid, problem_of
from glink.server.query import read_query
from glink.server.rate import Rate
from glink.server.route import Call, Reply, Route
from glink.server.sessions import Sessions

Deed = Callable[[Environ, dict[str, str]], Reply]

_KEY_CHARACTERS: Final = 128
_STRANGER: Final = Who("", frozenset())


class Site:
    """All routes behind one door. A request that no route matches is told so only if it shows a token."""

    def __init__(
        self, routes: Sequence[Route], *, tokens: Tokens, guard: Guard, limits: Limits, secure: bool = False
    ) -> None:
        self._tokens, self._guard, self._limits = tokens, guard, limits
        self._sessions = Sessions(limits, secure=secure)
        self._once = Once(limits)
        self._rate = Rate(limits.requests_per_second, 1.0)
        self.routes = [*routes, *login_routes(tokens, self._sessions, limits)]
        self.routes.append(openapi_route(self.routes))
        self._bottle = bottle.Bottle()
        # the more a path says, the earlier it is tried
        for route in sorted(self.routes, key=lambda one: (-one.path.count("/"), len(one.names))):
            self._bottle.route(_rule(route.path), route.method, self._deed(route))

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; nothing is raised."""
        try:
            self._count(environ["REMOTE_ADDR"])
            self._guard.check(environ)
            deed, path = self._matched(environ)
            return begin(deed(environ, path), environ, start_response)
        except HttpProblem as refusal:
            return refuse(refusal, environ, start_response)
        except (GlinkError, TimeoutError) as error:
            return refuse(problem_of(error), environ, start_response)
        except Exception:  # whatever a handler stumbles over is this request's alone
            return stumbled(environ, start_response)

    def _count(self, remote: str) -> None:
        if wait := self._rate.count(remote):
            raise HttpProblem(429, "too many requests", {"Retry-After": str(wait)})

    def _matched(self, environ: Environ) -> tuple[Deed, dict[str, str]]:
        environ["PATH_INFO"] = environ["PATH_INFO"].encode("latin-1").decode()
        try:
            found, path = self._bottle.match(environ)
        except bottle.HTTPError as error:
            raise self._unmatched(error, environ) from None
        return found.callback, path

    def _deed(self, route: Route) -> Deed:
        params = {one.name: one for one in route.query}
        shape = None if route.body is None else TypeAdapter(route.body)

        def deed(environ: Environ, path: dict[str, str]) -> Reply:
            who = self._admit(route, environ)
            query = read_query(environ["QUERY_STRING"], params)
            project = path.get("project", query.get("project"))
            if project is not None:
                self._may(who, route, project)
            body, data = self._body(route, shape, environ)
            named = _projects(body) if project is None else (project,)
            for one in named:
                self._may(who, route, one)
            call = Call(
                who=who,
                project=named[0] if len(named) == 1 else None,
                projects=named,
                path=path,
                query=query,
                body=body,
                headers=Fields(environ),
                key=_key(environ),
                body_digest=of_bytes(data),
                remote=environ["REMOTE_ADDR"],
            )
            return self._handle(route, call)

        return deed

    def _handle(self, route: Route, call: Call) -> Reply:
        if not route.keyed or call.key is None:
            return route.handler(call)
        asked = of_value([route.path, dict(call.path), dict(call.query), call.body_digest])
        return self._once.answer(call.who.name, call.key, asked, lambda: route.handler(call))

    def _admit(self, route: Route, environ: Environ) -> Who:
        """The caller, who may do at least something here; raises 401 and 403."""
        if route.scope is Scope.OPEN:
            return _STRANGER
        who = self._tokens.caller(environ) or self._sessions.who(environ)
        if who is None:
            if route.page and "text/html" in environ.get("HTTP_ACCEPT", ""):
                raise HttpProblem(303, "log in first", {"Location": way_back(environ["PATH_INFO"])})
            raise unauthorised("show a token: Authorization: Bearer TOKEN")
        if who.may.isdisjoint(route.scopes):
            who.must(route.scopes[0], None)
        return who

    def _may(self, who: Who, route: Route, project: str) -> None:
        """Raise 400 for what names no project, 403 for one that the token is not for."""
        if fault := name_fault(project, self._limits):
            raise HttpProblem(400, f"{quoted(project)} cannot name a project: it {fault}")
        if route.scope is not Scope.OPEN:
            who.must(next(one for one in route.scopes if one in who.may), project)

    def _body(self, route: Route, shape: TypeAdapter[Any] | None, environ: Environ) -> tuple[Any, bytes]:
        if route.raw is not None:
            data = read_bytes(environ, self._limits)
            return data, data
        if shape is None:
            if environ.get("CONTENT_LENGTH", "0").strip("0"):
                raise HttpProblem(400, "there is a body, and none is expected")
            return None, b""
        value, data = read_json(environ, self._limits)
        try:
            return shape.validate_python(value), data
        except ValidationError as error:
            found = mistakes(error, value, route.body)
            raise invalid([Problem("body", 0, 0, spell(one.where), one.what, one.cure) for one in found]) from None

    def _unmatched(self, found: bottle.HTTPError, environ: Environ) -> HttpProblem:
        """What bottle says itself: no such path, or not with this method."""
        if self._tokens.caller(environ) is None and self._sessions.who(environ) is None:
            return unauthorised("show a token: Authorization: Bearer TOKEN")
        if found.status_code == 405:
            allowed = found.get_header("Allow")
            return HttpProblem(405, "the method is not served here", {"Allow": allowed.replace("GET", "GET, HEAD")})
        return HttpProblem(404, "there is nothing at this path; see /openapi.json")


def _rule(path: str) -> str:
    """A path in bottle's words: the project may have several parts, so what follows it is matched from the right."""
    parts = ("<project:path>" if one == "{project}" else one for one in path.split("/"))
    return "/".join(parts).replace("{", "<").replace("}", ">")


def _projects(body: Any) -> tuple[str, ...]:
    """Every project that a body names, once each."""
    items = body if isinstance(body, list) else [body]
    names = (getattr(one, "project", None) for one in items)
    return tuple(dict.fromkeys(one for one in names if one is not None))


def _key(environ: Environ) -> str | None:
    key: str | None = environ.get("HTTP_IDEMPOTENCY_KEY")
    if key is not None and not (key.isascii() and key.isprintable() and 0 < len(key) <= _KEY_CHARACTERS):
        raise HttpProblem(400, f"an Idempotency-Key has 1 to {_KEY_CHARACTERS} printable ASCII characters")
    return key
