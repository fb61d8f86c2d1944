"""The order of things in a request, and what every error becomes."""

from __future__ import annotations

import errno
import logging
from pathlib import Path

import pytest

from glink.errors import (
    BusCorrupt,
    BusError,
    BusHeld,
    Conflict,
    GlinkError,
    InvalidInput,
    NoState,
    NotThere,
    Problem,
    Refused,
    UsageError,
)
from glink.limits import Limits
from glink.permit import Scope
from glink.server.route import Call, Reply, Route
from tests.unit.server.small import MAIN, Small

ERRORS = [
    (UsageError("wrong"), 400, {}),
    (NotThere("no project x"), 404, {}),
    (NoState("no bus"), 404, {}),
    (Refused("not now"), 409, {}),
    (Conflict("another one"), 409, {}),
    (BusHeld("held"), 503, {}),
    (BusError("no space", errno=errno.ENOSPC), 507, {}),
    (BusError("quota", errno=errno.EDQUOT), 507, {}),
    (BusError("input/output", errno=errno.EIO), 503, {}),
    (BusError("sync failed", poisoned=True), 503, {"outcome": "unknown"}),
    (BusCorrupt("damaged"), 503, {"error": "BusCorrupt"}),
    (TimeoutError("sync"), 503, {"outcome": "unknown"}),
    (GlinkError("what"), 500, {}),
]


def site_with(folder: Path, handler, **more) -> Small:
    return Small(folder, more=(Route("GET", "/do", Scope.READ, handler, "do it"),), **more)


@pytest.fixture
def raising(tmp_path: Path):
    """A site whose /do raises what it is given."""
    made: list[Small] = []

    def build(error: BaseException) -> Small:
        def handler(call: Call) -> Reply:
            raise error

        made.append(site_with(tmp_path / str(len(made)), handler))
        return made[-1]

    yield build
    for one in made:
        one.close()


@pytest.mark.parametrize(("error", "status", "more"), ERRORS, ids=lambda value: type(value).__name__)
def test_each_error_of_the_engine_has_its_status(raising, error: BaseException, status: int, more: dict) -> None:
    """Always a problem in JSON, under a request id of its own."""
    small = raising(error)
    first, second = small.ask("GET", "/do"), small.ask("GET", "/do")
    assert first.status == first.json["status"] == status
    assert first.headers["content-type"] == "application/problem+json"
    assert more.items() <= first.json.items()
    assert first.json["request_id"] != second.json["request_id"]
    soon = "60" if isinstance(error, BusCorrupt) else "1"
    assert first.headers.get("retry-after") == (soon if status in (503, 507) and not getattr(error, "poisoned", False)
                                                and not isinstance(error, BusHeld) else None)  # fmt: skip


def test_an_invalid_workflow_is_told_mistake_by_mistake(raising) -> None:
    error = InvalidInput([Problem("p.yaml", 3, 5, "steps[0].agent", "is missing", "add `agent:`")])
    answer = raising(error).ask("GET", "/do")
    assert answer.status == 422
    assert answer.json["errors"] == [
        {
            "path": "p.yaml",
            "line": 3,
            "column": 5,
            "where": "steps[0].agent",
            "what": "is missing",
            "cure": "add `agent:`",
            "source": "",
        }
    ]


def test_a_bug_is_logged_and_not_shown(raising, caplog: pytest.LogCaptureFixture) -> None:
    """The client gets an id to ask about; the log has the traceback under it."""
    with caplog.at_level(logging.ERROR):
        answer = raising(ZeroDivisionError("secret detail")).ask("GET", "/do")
    assert (answer.status, b"secret" in answer.body, b"Traceback" in answer.body) == (500, False, False)
    assert f"request {answer.json['request_id']} failed" in caplog.text
    assert "ZeroDivisionError: secret detail" in caplog.text


@pytest.mark.parametrize(
    "text", ["a\r\nSet-Cookie: x=1", "a\nb", "a\0b", "\ud800", "\u2028", "\x1b[31m", "ü", "\U0001f600", "x" * 9_000]
)
def test_no_text_can_begin_a_header(tmp_path: Path, text: str) -> None:
    """Stored text in a header or in an error is written out, never obeyed."""
    small = site_with(tmp_path / "a", lambda call: Reply.json({}, X_Name=text))
    with_error = site_with(tmp_path / "b", lambda call: Reply.json(1 // 0 if text is None else _refuse(text)))
    try:
        value = small.ask("GET", "/do").headers["x-name"]
        assert value.isprintable()
        assert "set-cookie" not in small.ask("GET", "/do").headers
        refused = with_error.ask("GET", "/do")
        assert refused.status == 409
        assert refused.json["detail"].isprintable()
    finally:
        small.close()
        with_error.close()


def _refuse(text: str) -> None:
    raise Refused(text)


def test_every_answer_says_not_to_guess_its_type_and_not_to_keep_it(small: Small) -> None:
    for target in ("/health", "/nowhere", "/events"):
        headers = small.ask("GET", target).headers
        assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")


def test_a_page_may_load_nothing_but_own_files(small: Small) -> None:
    headers = small.ask("GET", "/page").headers
    assert headers["content-security-policy"].startswith("default-src 'none'; ")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"


def test_too_many_requests_of_one_client_are_told_to_wait(tmp_path: Path) -> None:
    """Also those for /health: nothing is free."""
    small = Small(tmp_path, limits=Limits(requests_per_second=50))
    try:
        answers = [small.ask("GET", "/health") for _ in range(200)]
        refused = [one for one in answers if one.status == 429]
        assert refused
        assert {one.headers["retry-after"] for one in refused} == {"1"}
    finally:
        small.close()


def test_a_file_is_sent_as_it_is(tmp_path: Path) -> None:
    """With its size; a link, a folder, a pipe or nothing at all is not there."""
    import os

    (tmp_path / "f").write_bytes(b"\0\xff" * 50_000)
    (tmp_path / "link").symlink_to(tmp_path / "f")
    (tmp_path / "d").mkdir()
    os.mkfifo(tmp_path / "pipe")
    names = iter(["f", "link", "d", "pipe", "nothing"])
    small = site_with(tmp_path / "s", lambda call: Reply.file(tmp_path / next(names)))
    try:
        whole = small.ask("GET", "/do")
        assert (whole.status, whole.headers["content-length"], whole.body) == (200, "100000", b"\0\xff" * 50_000)
        assert [small.ask("GET", "/do").status for _ in range(4)] == [404] * 4
    finally:
        small.close()


@pytest.mark.parametrize(
    ("key", "status"), [("a", 201), ("x" * 128, 201), ("x" * 129, 400), ("", 400), ("a\tb", 400), ("schl\xfcssel", 400)]
)
def test_an_idempotency_key_has_a_shape(small: Small, key: str, status: int) -> None:
    assert small.post("/write", {"project": "solo", "type": "note.a"}, Idempotency_Key=key).status == status


def test_a_write_under_a_key_is_done_once(small: Small) -> None:
    """The same answer is told again; another body under the key, or the body of another project, is refused."""
    note = {"project": "solo", "type": "note.a", "data": {"n": 1}}
    first = small.post("/write", note, Idempotency_Key="k")
    again = small.post("/write", note, Idempotency_Key="k")
    assert (first.status, first.body) == (again.status, again.body)
    assert small.stored.durable_seq == 1
    assert small.post("/write", {**note, "data": {"n": 2}}, Idempotency_Key="k").status == 422
    assert small.post("/write", note, "writer-of-team-a", Idempotency_Key="k").json["seq"] == 2
    assert small.post("/write", note, MAIN).json["seq"] == 3


def test_the_more_a_path_says_the_earlier_it_is_tried(small: Small) -> None:
    """A project named `x/steps/y` is not mistaken for a step of `x`."""
    assert small.ask("GET", "/projects/x/steps/y/plan").json["project"] == "x/steps/y"


def test_bytes_may_be_put(tmp_path: Path) -> None:
    """As they are, whatever they are; the description says so."""
    raw = {"type": "string", "format": "binary"}
    put = Route("PUT", "/blob/{sha}", Scope.WORK, lambda call: Reply.json({"size": len(call.body)}), "store", raw=raw)
    small = Small(tmp_path, more=(put,))
    try:
        assert small.ask("PUT", "/blob/x", b"\0\xff{").json == {"size": 3}
        assert small.ask("PUT", "/blob/x", b"x", None).status == 401
        assert small.ask("PUT", "/blob/x", b"x" * (small.limits.body_bytes + 1)).status == 413
        described = small.ask("GET", "/openapi.json").json["paths"]["/blob/{sha}"]["put"]["requestBody"]
        assert list(described["content"]) == ["application/octet-stream"]
    finally:
        small.close()
