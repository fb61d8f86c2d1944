"""P3 and P4 with real processes."""

import pytest

from tests.fault.kills import Mortal
from tests.fault.races import race

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def test_an_engine_that_is_killed_loses_no_step_and_does_none_twice(tmp_path):
    """Thirty times, at moments that chance picks."""
    mortal = Mortal(tmp_path)
    while mortal.kills < 30:
        mortal.live_and_die()
    mortal.prove()


def test_of_daemons_that_race_for_a_directory_one_holds_it(tmp_path):
    """A new one first, then the one that the killed winner of the last race left."""
    for _ in range(10):
        race(tmp_path / "bus", 6)
