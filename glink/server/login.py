"""`/login`: a token shown once, for a cookie that can only read. Its failures are counted."""

from __future__ import annotations

from html import escape
from typing import Final
from urllib.parse import parse_qsl, quote

from glink.limits import Limits
from glink.permit import Scope
from glink.server.auth import Tokens
from glink.server.body import parse
from glink.server.problem import HttpProblem
from glink.server.rate import Rate
from glink.server.route import Call, Param, Reply, Route
from glink.server.sessions import Sessions

PATH: Final = "/login"
_NEXT: Final = Param("next", "the page to go to afterwards", pattern=r"/(?![/\\])[A-Za-z0-9._~/@+%-]{0,300}")
_MINUTE: Final = 60.0
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Glink: log in</title>
<link rel="icon" type="image/svg+xml" href="/assets/icon.svg">
<link rel="stylesheet" href="/assets/site.css">
</head>
<body class="door">
<main>
<h1>Glink</h1>
<form method="post" action="/login">
<label for="token">Token</label>
<input id="token" type="password" name="token" autocomplete="current-password" required autofocus>
<input type="hidden" name="next" value="{next}">
<button>Log in</button>
</form>
<p role="alert" class="said">{said}</p>
<p class="dim">The token is that of the engine, <code>GLINK_API_TOKEN</code>; without one it made its own, in the file <code>token</code> of the bus. What you log in for can only read.</p>
</main>
</body>
</html>
"""


def login_routes(tokens: Tokens, sessions: Sessions, limits: Limits) -> list[Route]:
    """The page and the deed."""
    failures = Rate(limits.login_failures, _MINUTE)

    def show(call: Call) -> Reply:
        return page(call.query.get("next", "/"))

    def enter(call: Call) -> Reply:
        form = call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        token, after = _read(call, form=form)
        if failures.spent(call.remote):
            raise HttpProblem(429, "too many failed logins", {"Retry-After": str(int(_MINUTE))})
        who = tokens.holder(token)
        if who is None:
            failures.count(call.remote)
            if form:
                return page(after, "This token is not known.", 403)
            raise HttpProblem(403, "the token is not known")
        headers = {"Set-Cookie": sessions.begin(who)}
        return (
            Reply(b"", 303, "text/plain", headers | {"Location": after}) if form else Reply(b"", 204, headers=headers)
        )

    form = {"type": "object", "required": ["token"], "properties": {"token": {"type": "string"}}}
    return [
        Route("GET", PATH, Scope.OPEN, show, "a page that asks for a token", (_NEXT,), replies={200: "text/html"}),
        Route("POST", PATH, Scope.OPEN, enter, "a cookie for a token", raw=form, replies={204: None, 303: None}),
    ]


def page(after: str, said: str = "", status: int = 200) -> Reply:
    """The form; `after` is where it leads."""
    return Reply.html(_PAGE.format(next=escape(after), said=escape(said)).encode(), status)


def way_back(path: str) -> str:
    """The login's address for a browser that wanted `path`."""
    return f"{PATH}?next={quote(path, safe='/')}"


def _read(call: Call, *, form: bool) -> tuple[str, str]:
    """The token shown, and where to go."""
    if form:
        try:
            fields = dict(parse_qsl(call.body.decode(), max_num_fields=5))
        except ValueError:
            raise HttpProblem(400, "the form is malformed") from None
        return fields.get("token", ""), _NEXT.read(fields.get("next") or "/")
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HttpProblem(415, "log in by a form or by JSON")
    value = parse(call.body, 2)
    if not isinstance(value, dict) or set(value) != {"token"} or not isinstance(value["token"], str):
        raise HttpProblem(422, 'log in with {"token": "..."}')
    return value["token"], "/"
