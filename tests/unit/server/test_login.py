"""The browser's way in: a token once, then a cookie that can only read."""

from __future__ import annotations

from pathlib import Path

import pytest

from glink.limits import Limits
from glink.server.auth import Who
from glink.server.sessions import Sessions
from tests.unit.server.small import MAIN, READER, Small

FORM = "application/x-www-form-urlencoded"


def cookie_of(small: Small, token: str = MAIN) -> str:
    answer = small.ask("POST", "/login", f"token={token}&next=%2Fpage".encode(), None, Content_Type=FORM)
    assert (answer.status, answer.headers["location"]) == (303, "/page")
    return answer.headers["set-cookie"].partition(";")[0]


def test_a_browser_without_credentials_is_led_to_the_login(small: Small) -> None:
    """Only from a page, and only who wants HTML."""
    led = small.ask("GET", "/page", token=None, Accept="text/html,*/*;q=0.8")
    assert (led.status, led.headers["location"]) == (303, "/login?next=/page")
    assert small.ask("GET", "/page", token=None, Accept="application/json").status == 401
    assert small.ask("GET", "/status", token=None, Accept="text/html").status == 401


def test_the_cookie_opens_pages_and_reads(small: Small) -> None:
    cookie = cookie_of(small)
    assert small.ask("GET", "/page", token=None, Cookie=cookie).status == 200
    assert small.ask("GET", "/projects/any/plan", token=None, Cookie=f"other=1; {cookie}").status == 200


def test_the_cookie_can_do_nothing_else(small: Small) -> None:
    """Whatever its token may; so there is nothing that another site could have a browser do."""
    cookie = cookie_of(small)
    assert small.post("/write", {"project": "solo", "type": "note.a"}, None, Cookie=cookie).status == 403
    assert small.ask("POST", "/projects/solo/suspend", token=None, Cookie=cookie).status == 403


def test_the_cookie_is_for_the_projects_of_its_token(small: Small) -> None:
    cookie = cookie_of(small, READER)
    assert small.ask("GET", "/projects/team-a/x/plan", token=None, Cookie=cookie).status == 200
    assert small.ask("GET", "/projects/team-b/x/plan", token=None, Cookie=cookie).status == 403


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(small: Small) -> None:
    answer = small.post("/login", {"token": MAIN}, None)
    assert answer.status == 204
    flags = answer.headers["set-cookie"].split("; ")[1:]
    assert flags == ["Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Strict"]


@pytest.mark.parametrize(
    "cookie",
    [
        "glink_session=",
        "glink_session=x",
        "glink_session=" + "A" * 43,
        "xglink_session={}",
        "{0}; {0}",
        "{}x",
        "glink_session=\xff",
    ],
)
def test_any_other_cookie_is_none(small: Small, cookie: str) -> None:
    """Forged, garbled, or given twice."""
    right = cookie_of(small)
    assert small.ask("GET", "/page", token=None, Cookie=cookie.format(right)).status == 401


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        (FORM, b"token=wrong", 403),
        (FORM, b"", 403),
        (FORM, b"token=" + MAIN.encode() + b"&next=//evil.example", 400),
        (FORM, b"token=" + MAIN.encode() + b"&next=/\\evil.example", 400),
        (FORM, b"token=" + MAIN.encode() + b"&next=http://evil.example", 400),
        (FORM, b"token=" + MAIN.encode() + b"&next=/a%0d%0aSet-Cookie:x", 400),
        (FORM, b"&".join([b"a=1"] * 100), 400),
        (FORM, b"\xff", 400),
        ("application/json", b'{"token": "wrong"}', 403),
        ("application/json", b'{"token": 1}', 422),
        ("application/json", b'["token"]', 422),
        ("application/json", b"{}", 422),
        ("application/json", b"", 400),
        ("text/plain", b"token=" + MAIN.encode(), 415),
        ("", b"token=" + MAIN.encode(), 415),
    ],
)
def test_a_login_that_is_none_gives_no_cookie(small: Small, kind: str, body: bytes, status: int) -> None:
    answer = small.ask("POST", "/login", body, None, Content_Type=kind)
    assert answer.status == status
    assert "set-cookie" not in answer.headers


def test_failed_logins_are_counted(small: Small) -> None:
    """Five in a minute, then even the right token has to wait."""
    for _ in range(5):
        assert small.post("/login", {"token": "guess"}, None).status == 403
    late = small.post("/login", {"token": MAIN}, None)
    assert (late.status, late.headers["retry-after"]) == (429, "60")


def test_the_page_escapes_where_it_leads(small: Small) -> None:
    """Its parameter is checked, and written as text."""
    assert b'value="/project/a"' in small.ask("GET", "/login?next=/project/a", token=None).body
    assert small.ask("GET", '/login?next=/"><script>', token=None).status == 400


def test_sessions_end_and_are_bounded(tmp_path: Path) -> None:
    """After their time, and the oldest when there are too many."""
    now = [0.0]
    sessions = Sessions(Limits(sessions=2, session_seconds=10.0), secure=True, now=lambda: now[0])
    who = Who("ana", frozenset())

    def holder(header: str) -> Who | None:
        return sessions.who({"HTTP_COOKIE": header.partition(";")[0]})

    first, second, third = (sessions.begin(who) for _ in range(3))
    assert first.endswith("; Secure")
    assert [holder(one) is not None for one in (first, second, third)] == [False, True, True]
    now[0] = 10.0
    assert holder(third) is None
