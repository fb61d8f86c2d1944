"""What is refused whoever asks: hosts, origins, methods, paths."""

from __future__ import annotations

import pytest

from glink.server.guard import Guard, is_loopback, path_of
from glink.server.problem import HttpProblem
from tests.unit.server.small import MAIN, Small


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:8426", 200),
        ("localhost:1", 200),
        ("LOCALHOST", 200),
        ("[::1]:80", 200),
        ("glink.example", 200),
        ("Glink.Example:443", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("10.0.0.1", 421),
        ("glink.example.", 421),
        ("", 400),
        ("a b", 400),
        ("127.0.0.1:8426:1", 400),
        ("user@127.0.0.1", 400),
        ("127.0.0.1, evil.example", 400),
        ("127.0.0.1\n", 400),
        ("l\xf6calhost", 400),
    ],
)
def test_only_known_hosts_are_answered(small: Small, host: str, status: int) -> None:
    """A page that rebinds its name to this machine sends its own name."""
    assert small.ask("GET", "/health", Host=host).status == status


def test_outside_of_loopback_any_address_is_a_host() -> None:
    """An address cannot be rebound; a foreign name can."""
    guard = Guard.of("0.0.0.0", ())
    environ = {"REQUEST_METHOD": "GET", "REQUEST_URI": "/"}
    guard.check({**environ, "HTTP_HOST": "192.168.1.5:8426"})
    guard.check({**environ, "HTTP_HOST": "[fe80::1]:8426"})
    with pytest.raises(HttpProblem, match="does not answer to that Host"):
        guard.check({**environ, "HTTP_HOST": "evil.example"})


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://127.0.0.1"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": "http://127.0.0.1:9999"}, 403),
        ({"Origin": "http://localhost"}, 403),
        ({"Sec_Fetch_Site": "same-origin"}, 200),
        ({"Sec_Fetch_Site": "none"}, 200),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "image"}, 403),
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}, 200),
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"}, 403),
    ],
)
def test_pages_of_other_origins_may_not_ask(small: Small, headers: dict[str, str], status: int) -> None:
    """A link may be followed; nothing else comes in from another site, and no header allows any."""
    answer = small.ask("GET", "/health", **headers)
    assert answer.status == status
    assert not any(name.startswith("access-control") for name in answer.headers)


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "CONNECT", "DELETE", "PATCH", "PROXY", "ANY", "get", "X"])
def test_other_methods_are_not_served(small: Small, method: str) -> None:
    answer = small.ask(method, "/health")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, POST, PUT")


def test_a_method_that_the_path_does_not_have_names_those_it_has(small: Small) -> None:
    assert small.ask("POST", "/status").headers["allow"] == "GET, HEAD"
    assert small.ask("GET", "/write").headers["allow"] == "POST"


def test_head_is_get_without_its_body(small: Small) -> None:
    answer = small.ask("HEAD", "/health")
    assert (answer.status, answer.body) == (200, b"")
    assert small.ask("HEAD", "/nowhere").body == b""


@pytest.mark.parametrize(
    "path",
    [
        "//health", "/health/", "/health//", "/health;x", "/health%3Bx", "/health/../health", "/./health", "/health/.",
        "/%2e%2e/health", "/%2E/health", "/he%61lth", "/health%00", "/health%0a", "/health%0d%0a", "/health%", "/health%2",
        "/health%zz", "/health\\", "/health%5c", "/health%25", "/health#x", "/he\xe4lth", "/health%ff", "/health%c0%af",
        "/HEALTH", "/health|", '/health"', "/health<", "/ health", "http://127.0.0.1/health", "*", "health", "",
    ],
)  # fmt: skip
def test_a_path_has_one_spelling(small: Small, path: str) -> None:
    """Whatever a proxy or a framework would mend into a route is refused."""
    assert small.ask("GET", path).status in (400, 404)
    assert small.ask("GET", path, token=None).status in (400, 401)


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "a/../b",
        "-rf",
        "",
        "a//b",
        "a/",
        "/a",
        ".hidden",
        "_shared",
        "x" * 64,
        "a/b/c/d/e",
        "a.tmp",
        "a..b",
        "\ufb01",
        "a b",
    ],
)
def test_what_cannot_name_a_project_is_refused_wherever_it_stands(small: Small, name: str) -> None:
    """In the path, in the query and in a body."""
    from urllib.parse import quote

    assert small.ask("GET", f"/projects/{quote(name)}/plan").status in (400, 404)
    assert small.ask("GET", f"/status?project={quote(name)}").status == 400
    assert small.post("/write", {"project": name, "type": "note.a"}).status == 400


@pytest.mark.parametrize("name", ["a\n", "a\0", "a\u2028", "A" * 256])
def test_hidden_characters_and_long_names_are_refused(small: Small, name: str) -> None:
    from urllib.parse import quote

    assert small.ask("GET", f"/projects/{quote(name)}/plan").status == 400
    assert small.ask("GET", f"/status?project={quote(name)}").status == 400
    assert small.post("/write", {"project": name, "type": "note.a"}).status == 400


def test_the_verb_is_matched_from_the_right(small: Small) -> None:
    """A project may be called like a verb, and have several parts."""
    assert small.ask("GET", "/projects/plan/plan").json["project"] == "plan"
    assert small.ask("GET", "/projects/a/b/steps/s/output").json["path"] == {"project": "a/b", "step": "s"}
    found = small.ask("GET", "/projects/a/steps/b/steps/c/output").json
    assert found["path"] == {"project": "a/steps/b", "step": "c"}
    assert small.ask("GET", "/projects/a%2Fb/plan").json["project"] == "a/b"
    assert small.ask("GET", "/projects/a%2F..%2Fb/plan").status == 400


def test_a_path_is_unescaped_once() -> None:
    assert path_of("/a/%C3%A9?x=%2e") == "/a/\xc3\xa9"
    with pytest.raises(HttpProblem):
        path_of("/a%252e")


@pytest.mark.parametrize(
    ("host", "only_here"),
    [("127.0.0.1", True), ("127.8.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("10.0.0.1", False), ("glink.example", False), ("localhost.evil.example", False)],
)  # fmt: skip
def test_loopback_is_known(host: str, only_here: bool) -> None:
    assert is_loopback(host) is only_here


def test_the_token_is_not_asked_for_before_the_host(small: Small) -> None:
    """A foreign page learns nothing, whatever it sends along."""
    assert small.ask("GET", "/projects/a/plan", token=MAIN, Host="evil.example").status == 421
