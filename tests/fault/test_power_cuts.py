"""P1 on a real file system: the plug is pulled, and what was acknowledged is there."""

import pytest

from tests.fault.powercut import Image, obstacle


@pytest.mark.parametrize(("kind", "cuts"), [("ext4", 60), ("xfs", 3)])
def test_what_was_acknowledged_survives_power_cuts(tmp_path, kind, cuts):
    """One bus, cut again and again; each life begins with what the last cut left."""
    if reason := obstacle(kind):
        pytest.skip(reason)
    with Image(kind, tmp_path) as image:
        for _ in range(cuts):
            image.cut()
        assert image.acknowledged > cuts
