"""A share of the random days; `python -m tests.long --only days` lives through more of them."""

import pytest

from tests.fault.days import Day, live_through

_SHARES, _DAYS = 10, 6


@pytest.mark.parametrize("share", range(_SHARES))
def test_whatever_a_day_brings_all_that_must_hold_holds(share):
    live_through(range(share * _DAYS, (share + 1) * _DAYS))


def test_a_seed_gives_the_same_day_each_time(tmp_path):
    """So a failure can be seen again."""
    days = []
    for name in ("once", "again"):
        (tmp_path / name).mkdir()
        days.append(Day(3, tmp_path / name))
        days[-1].live(20)
    assert days[0].done == days[1].done
    assert days[0].events == days[1].events
