"""Addresses: what is one, what of it may be shown, and where a reference may lead."""

from __future__ import annotations

import pytest

from glink.outward.address import Address


@pytest.mark.parametrize(
    ("text", "whole", "place"),
    [
        ("http://127.0.0.1:9000/review", "http://127.0.0.1:9000/review", "127.0.0.1:9000"),
        ("https://Example.ORG", "https://example.org/", "example.org"),
        ("https://example.org:443/a?key=s3cret", "https://example.org/a?key=s3cret", "example.org"),
        ("http://[::1]:80/x", "http://[::1]/x", "[::1]"),
    ],
)
def test_an_address_is_taken_apart_and_only_its_place_is_shown(text: str, whole: str, place: str) -> None:
    """A path or a query may hold a secret; the usual port is left out."""
    found = Address.of(text)
    assert (str(found), found.place) == (whole, place)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.org/x",
        "ftp://example.org",
        "file:///etc/passwd",
        "http://",
        "http:///path",
        "http://user:hunter2@example.org",
        "http://hunter2@example.org",
        "http://example.org/#part",
        "http://example.org:99999/",
        "http://example.org:x/",
        "http://exa mple.org/",
        "http://example.org/\r\nX-Evil: 1",
        "http://example.org\\@evil.example/",
        "http://[::1/",
        "http://bücher.example/",
        "http://" + "a" * 64 + ".example/",
        "http://example.org/" + "a" * 2_048,
    ],
)
def test_what_is_no_address_is_refused_and_not_repeated(text: str) -> None:
    """It may hold a secret by mistake."""
    with pytest.raises(ValueError, match=r"^(is not an address|holds a user|has a part behind)") as caught:
        Address.of(text)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("reference", "leads"),
    [
        ("/jobs/1", "http://a.example:8000/jobs/1"),
        ("2?x=1", "http://a.example:8000/ask/2?x=1"),
        ("http://A.example:8000/z", "http://a.example:8000/z"),
    ],
)
def test_a_reference_is_followed_within_the_origin(reference: str, leads: str) -> None:
    """Relative and absolute ones."""
    assert str(Address.of("http://a.example:8000/ask/1").join(reference)) == leads


@pytest.mark.parametrize(
    "reference",
    [
        "https://a.example:8000/z",
        "http://a.example/z",
        "http://b.example:8000/z",
        "//169.254.169.254/latest/meta-data",
        "http://a.example:8000@b.example/",
        "file:///etc/passwd",
        "javascript:alert(1)",
    ],
)
def test_a_reference_never_leads_to_another_origin(reference: str) -> None:
    """Another scheme, host or port."""
    with pytest.raises(ValueError, match=r"leads away|is not an address|holds a user"):
        Address.of("http://a.example:8000/ask").join(reference)
