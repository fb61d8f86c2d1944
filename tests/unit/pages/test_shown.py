"""How values are written on a page."""

from __future__ import annotations

import pytest

from glink.pages import shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 ms"), (0, "0 ms"), (0.0421, "42 ms"), (0.1, "0.1 s"), (1.0, "1 s"), (4.14, "4.1 s"), (9.96, "10 s"), (59.4, "59 s"),
        (59.6, "1 min"), (125, "2 min 5 s"), (3600, "1 h"), (12_000, "3 h 20 min"), (86_400 * 2 + 14_400, "2 d 4 h"),
    ],
)  # fmt: skip
def test_a_length_of_time_has_at_most_two_units(seconds: float, text: str) -> None:
    assert shown.span(seconds) == text


def test_a_moment_is_a_day_and_a_time_and_nothing_stays_nothing() -> None:
    assert shown.moment("2026-11-06T10:23:45.000001Z") == "6 Nov 2026, 10:23:45"
    assert shown.moment("") == ""


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("main@sha1:f86aee4679784f21e053cb420a23fa7067f77bde", "main@f86aee46"),
        ("main@sha1:f86aee4679784f21e053cb420a23fa7067f77bde+dirty.sha256:0123456789abcdef", "main@f86aee46 + changes"),
        ("files@sha256:0123456789abcdef", "files@01234567"),
        ("", ""),
    ],
)
def test_a_revision_is_cut_to_eight_digits(text: str, short: str) -> None:
    assert shown.revision(text) == short


def test_money_has_as_many_digits_as_it_needs() -> None:
    assert [shown.money(one) for one in (1234.5, 0.0421, 0.5, True, "1")] == ["$1,234.50", "$0.0421", "$0.5", "", ""]


def test_a_count_agrees_with_its_noun() -> None:
    assert [shown.count(1, "step"), shown.count(1200, "step"), shown.count(2, "step waits", "steps wait")] == [
        "1 step",
        "1,200 steps",
        "2 steps wait",
    ]
