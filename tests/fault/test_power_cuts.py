"""P1 on a real file system: the plug is pulled, and what was acknowledged is there."""

import os
import tempfile
from pathlib import Path

import pytest

from tests.fault.powercut import Image, obstacle


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize(("kind", "cuts"), [("ext4", 60), ("xfs", 3)])
def test_what_was_acknowledged_survives_power_cuts(kind, cuts):
    """One bus, cut again and again; each life begins with what the last cut left."""
    if reason := obstacle(kind):
        pytest.skip(reason)
    memory = (
        "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    )  # the image's file: a medium that nobody else waits for
    with tempfile.TemporaryDirectory(dir=memory) as folder, Image(kind, Path(folder)) as image:
        for _ in range(cuts):
            image.cut()
        assert image.acknowledged > cuts
