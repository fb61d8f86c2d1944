"""Bodies: what is read, and each way in which two readers could read one differently."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glink.server.body import parse
from glink.server.problem import HttpProblem
from tests.unit.server.small import MAIN, Small

NOTE = b'{"project": "solo", "type": "note.a", "data": %b}'

# the body, and what is said of it
REFUSED = [
    (b"", "the body is missing"),
    (b" ", "the body is not JSON"),
    (b"{", "the body is not JSON"),
    (b"{}x", "the body is not JSON"),
    (b"{'a': 1}", "the body is not JSON"),
    (b'{"a": 1,}', "the body is not JSON"),
    (b"\xef\xbb\xbf{}", "the body is not JSON"),
    (b"\xff\xfe{\x00}\x00", "the body is not UTF-8"),
    (b'"\xe4"', "the body is not UTF-8"),
    (b'"\xed\xa0\x80"', "the body is not UTF-8"),
    (b"NaN", "the body has NaN, which is no JSON"),
    (b'{"a": -Infinity}', "the body has -Infinity, which is no JSON"),
    (b"1e999", "the body has a number that is too large"),
    (b"-1e999", "the body has a number that is too large"),
    (b"9" * 4_000, "the body has a number that is too long"),
    (b"18446744073709551616", "the body has a lone surrogate or a number that is too long"),
    (b'{"a": 1, "a": 1}', "the body names a key twice"),
    (b'[{"x": {"a": 1, "\\u0061": 1}}]', "the body names a key twice"),
    (b'"\\ud800"', "the body has a lone surrogate or a number that is too long"),
    (b'{"\\udfff": 1}', "the body has a lone surrogate or a number that is too long"),
    (b'"\\u0000"', "the body has a NUL character"),
    (b'{"a": ["b\\u0000"]}', "the body has a NUL character"),
    (b'{"\\u0000": 1}', "the body has a NUL character"),
    (b'"\x00"', "the body is not JSON"),
    (b'"a\nb"', "the body is not JSON"),
    (b"[" * 33 + b"]" * 33, "the body is nested deeper than 32 levels"),
    (b'{"a":' * 33 + b"1" + b"}" * 33, "the body is nested deeper than 32 levels"),
    (b"[" * 500 + b"]" * 500, "the body is nested"),
    (b"[" * 200_000, "the body is nested too deep"),
    (b'{"a":' * 200_000, "the body is nested too deep"),
]


@pytest.mark.parametrize(("body", "said"), REFUSED, ids=lambda value: repr(value[:24]))
def test_a_body_that_is_not_strictly_json_is_refused(small: Small, body: bytes, said: str) -> None:
    answer = small.ask("POST", "/write", body, Content_Type="application/json")
    assert answer.status == 400
    assert answer.json["detail"].startswith(said)


@pytest.mark.parametrize(
    "body",
    [b"[" * 32 + b"]" * 32, b'"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["', rb'"\\u0000"', b'"\\ud83d\\ude00"', b"-0.0", b"1e308",
     b"18446744073709551615", b"-9223372036854775808", b'{"a": 1, "A": 1}', b"null", b" 1 "],
)  # fmt: skip
def test_what_is_json_is_read(body: bytes) -> None:
    assert parse(body, 32) == json.loads(body)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab\u00e9", max_size=3), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(JSON_VALUES)
def test_every_plain_value_is_read_as_any_json_reader_does(value: object) -> None:
    assert parse(json.dumps(value).encode(), 32) == value


@given(st.binary(max_size=40) | st.text('{}[]",:0123456789.eE+-\\u tfn\x00', max_size=40).map(str.encode))
def test_no_bytes_do_anything_but_parse_or_be_refused(body: bytes) -> None:
    try:
        value = parse(body, 32)
    except HttpProblem:
        return
    assert value == json.loads(body)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ('Application/JSON;charset="UTF-8"', 201),
        ("application/json; charset=latin-1", 415),
        ("application/jsonx", 415),
        ("text/plain", 415),
        ("text/json", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/json, text/plain", 415),
        ("", 415),
    ],
)
def test_only_json_is_taken(small: Small, kind: str, status: int) -> None:
    """What a form or a simple request of a page can send is never JSON."""
    assert small.ask("POST", "/write", NOTE % b"{}", Content_Type=kind).status == status


def test_a_compressed_body_is_refused(small: Small) -> None:
    answer = small.ask("POST", "/write", NOTE % b"{}", Content_Type="application/json", Content_Encoding="gzip")
    assert answer.status == 415


def test_a_body_has_a_size(small: Small) -> None:
    """Its bytes are counted before they are read."""
    most = small.limits.body_bytes
    padded = NOTE % (b'{"a":"' + b"x" * (most - 100) + b'"}')
    assert small.ask("POST", "/write", padded.ljust(most + 1), Content_Type="application/json").status == 413


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"[]x", ""),
        (b'"x"', ""),
        (b"null", ""),
        (b"{}", "project"),
        (b"[1]", "[0]"),
        (b'[{"project": "solo"}]', "[0].type"),
    ],
)
def test_a_body_of_another_shape_is_said_to_be_so(small: Small, body: bytes, where: str) -> None:
    """422 with each mistake and its place, or 400 for what is no JSON at all."""
    answer = small.ask("POST", "/write", body, Content_Type="application/json")
    assert answer.status == (422 if where or body != b"[]x" else 400)
    if answer.status == 422:
        assert answer.json["errors"]
        assert all({"where", "what", "cure"} <= set(one) for one in answer.json["errors"])


def test_who_asks_is_looked_at_before_the_body(small: Small) -> None:
    """Nobody can make the server parse."""
    bad = b"[" * 200_000
    assert small.ask("POST", "/write", bad, token=None, Content_Type="application/json").status == 401
    assert small.ask("POST", "/write", bad, token="reader-of-team-a", Content_Type="application/json").status == 403


def test_a_body_where_none_is_expected_is_refused(small: Small) -> None:
    assert small.ask("POST", "/projects/solo/suspend", b"{}", MAIN).status == 400
    assert small.ask("GET", "/health", b"{}", MAIN).status == 400
