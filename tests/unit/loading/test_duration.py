"""Durations are written as people write them."""

from __future__ import annotations

from typing import Any

import pytest

from glink.loading.duration import seconds_of


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("10m", 600),
        ("1h30m", 5400),
        ("250ms", 0.25),
        ("90s", 90),
        ("1.5s", 1.5),
        ("1d", 86_400),
        (5, 5),
        (0.5, 0.5),
        (0, 0),
    ],
)
def test_a_duration_is_a_number_of_seconds(written: Any, seconds: float) -> None:
    """Units are d, h, m, s and ms, the larger first; a bare number is seconds."""
    assert seconds_of(written) == seconds


@pytest.mark.parametrize(
    "written",
    ["", "10", "m", "10 m", "30m1h", "-5s", -5, True, None, [], "1e3s", "9" * 50 + "s", "٣s", "99999d", float("nan")],
)
def test_anything_else_says_what_to_write(written: Any) -> None:
    """Words, negative and endless times are refused."""
    with pytest.raises(ValueError, match="write a duration such as 90s, 10m, 1h30m, 250ms, or a number of seconds"):
        seconds_of(written)
