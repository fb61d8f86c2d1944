"""Who may what: the table of tokens over routes, and what counts as showing a token."""

from __future__ import annotations

import pytest

from glink.permit import TokenSpec
from glink.server.auth import Tokens, digest_of
from tests.unit.server.small import MAIN, READER, WORKER, WRITER, Small

NOTE = {"project": "team-a/x", "type": "note.a"}
PLAN, OTHER = "/projects/team-a/x/plan", "/projects/team-b/x/plan"
SUSPEND = "/projects/team-a/x/suspend"

# route, then the status for: nobody, a wrong token, reader of team-a, writer of team-a and solo, worker, main
TABLE = [
    ("GET", "/health", None, 200, 200, 200, 200, 200, 200),
    ("GET", "/login", None, 200, 200, 200, 200, 200, 200),
    ("GET", PLAN, None, 401, 401, 200, 200, 403, 200),
    ("GET", OTHER, None, 401, 401, 403, 403, 403, 200),
    ("GET", "/projects/solo/plan", None, 401, 401, 403, 200, 403, 200),
    ("GET", "/status?project=team-a/x", None, 401, 401, 200, 200, 403, 200),
    ("GET", "/status?project=team-b/x", None, 401, 401, 403, 403, 403, 200),
    ("GET", "/status", None, 401, 401, 200, 200, 403, 200),
    ("GET", "/events", None, 401, 401, 200, 200, 403, 200),
    ("GET", "/events?project=team-b/x", None, 401, 401, 403, 403, 403, 200),
    ("GET", "/metrics", None, 401, 401, 403, 403, 403, 200),
    ("GET", "/openapi.json", None, 401, 401, 200, 200, 403, 200),
    ("GET", "/page", None, 401, 401, 200, 200, 403, 200),
    ("POST", "/write", NOTE, 401, 401, 403, 201, 403, 201),
    ("POST", "/write", {**NOTE, "project": "team-b/x"}, 401, 401, 403, 403, 403, 201),
    ("POST", "/write", [NOTE, {**NOTE, "project": "team-b/x"}], 401, 401, 403, 403, 403, 201),
    ("POST", SUSPEND, None, 401, 401, 403, 403, 403, 200),
    ("GET", "/nowhere", None, 401, 401, 404, 404, 404, 404),
    ("GET", "/write", None, 401, 401, 405, 405, 405, 405),
    ("POST", "/health", None, 401, 401, 405, 405, 405, 405),
]


@pytest.mark.parametrize(("place", "token"), list(enumerate([None, "wrong", READER, WRITER, WORKER, MAIN])))
@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row[0]} {row[1]}")
def test_each_token_may_what_the_table_says(small: Small, row: tuple, place: int, token: str | None) -> None:
    """Authorised by the route that matched and the project that is meant; everything else is refused."""
    method, target, body = row[:3]
    answer = small.ask(method, target, token=token) if body is None else small.post(target, body, token)
    assert answer.status == row[3 + place]


def test_every_route_but_health_and_login_wants_a_token(small: Small) -> None:
    """Also routes that are added later: the scope is part of a route."""
    for route in small.site.routes:
        path = route.path.replace("{project}", "solo").replace("{step}", "a")
        status = small.ask(route.method, path, token=None).status
        assert status == 401 or route.path in ("/health", "/login")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": f"Bearer {MAIN}"}, 200),
        ({"Authorization": f"bearer   {MAIN}"}, 200),
        ({"X_API_Key": MAIN}, 200),
        ({"X_API_Key": MAIN, "Authorization": f"Bearer {MAIN}"}, 200),
        ({"X_API_Key": MAIN, "Authorization": f"Bearer {WRITER}"}, 400),
        ({"X_API_Key": "", "Authorization": f"Bearer {MAIN}"}, 400),
        ({}, 401),
        ({"X_API_Key": ""}, 401),
        ({"X_API_Key": MAIN[:-1]}, 401),
        ({"X_API_Key": MAIN + " "}, 401),
        ({"X_API_Key": MAIN.upper()}, 401),
        ({"X_API_Key": digest_of(MAIN)}, 401),
        ({"X_API_Key": "x" * 100_000}, 401),
        ({"X_API_Key": "t\xf6ken"}, 401),
        ({"Authorization": MAIN}, 401),
        ({"Authorization": f"Basic {MAIN}"}, 401),
        ({"Authorization": f"Bearer {MAIN} {MAIN}"}, 401),
        ({"Authorization": f"Bearer {MAIN}, Bearer {MAIN}"}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Cookie": f"glink_session={MAIN}"}, 401),
    ],
)
def test_a_token_is_shown_in_one_of_two_headers(small: Small, headers: dict[str, str], status: int) -> None:
    answer = small.ask("GET", PLAN, token=None, **headers)
    assert answer.status == status
    assert (answer.headers.get("www-authenticate") == 'Bearer realm="glink"') == (status == 401)


def test_a_token_in_the_query_is_no_token(small: Small) -> None:
    """It would end up in logs."""
    assert small.ask("GET", f"{PLAN}?token={MAIN}", token=None).status == 401
    assert small.ask("GET", f"{PLAN}?token={MAIN}").status == 400


def test_a_worker_works_for_its_agents_alone() -> None:
    """`work:coder` is for coder, `work:*` for all, and either covers its projects only."""
    specs = [
        TokenSpec("one", digest_of("1"), ("work:coder", "read")),
        TokenSpec("all", digest_of("2"), ("work:*",), ("team-a/*",)),
    ]
    tokens = Tokens.of(specs, None)
    one, everyone = tokens.holder("1"), tokens.holder("2")
    assert one is not None
    assert everyone is not None
    one.must("work", "x", agent="coder")
    everyone.must("work", "team-a/x", agent="painter")
    with pytest.raises(Exception, match="the token one may not work for the agent painter"):
        one.must("work", "x", agent="painter")
    with pytest.raises(Exception, match="the token all is not for the project team-b/x"):
        everyone.must("work", "team-b/x", agent="coder")


def test_with_auth_none_nobody_has_to_show_a_token(small: Small, tmp_path) -> None:
    """Named tokens still say who it is."""
    open_to_all = Small(tmp_path / "open", tokens=Tokens.of((), None, open_to_all=True))
    try:
        assert open_to_all.ask("GET", PLAN, token=None).status == 200
        assert open_to_all.ask("GET", PLAN, token="whatever").status == 200
        assert open_to_all.calls[-1].who.name == "anyone"
    finally:
        open_to_all.close()


def test_the_handler_is_told_who_asks(small: Small) -> None:
    """The name is the actor of what is written."""
    small.post("/write", NOTE, WRITER)
    assert (small.calls[-1].who.name, small.calls[-1].project) == ("writer", "team-a/x")
    small.post("/write", NOTE, MAIN)
    assert small.calls[-1].who.name == "api"


def test_a_body_is_authorised_before_its_handler_sees_it(tmp_path) -> None:
    """Every project that it names; a handler that checks nothing is safe."""
    from glink.permit import Scope
    from glink.server.route import Reply, Route
    from tests.unit.server.small import Note

    route = Route("POST", "/all", Scope.WRITE, lambda call: Reply.json(call.projects), "all", body=list[Note])
    small = Small(tmp_path, more=(route,))
    other = {**NOTE, "project": "team-b/x"}
    try:
        assert small.post("/all", [NOTE, NOTE], WRITER).json == ["team-a/x"]
        assert small.post("/all", [NOTE, other], WRITER).status == 403
        assert small.post("/all", [NOTE, other], MAIN).json == ["team-a/x", "team-b/x"]
    finally:
        small.close()
