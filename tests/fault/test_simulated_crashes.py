"""The machine loses power after any call to the disk: nothing that was acknowledged is lost, no half of anything shown."""

import errno
from random import Random

import pytest

from glink.testing.simulated_disk import SimulatedDisk
from tests.fault.crashes import crash_everywhere, fail_everywhere
from tests.fault.story import CHAPTERS


@pytest.mark.parametrize("seed", range(2))
def test_a_crash_after_any_call(seed):
    """Of a first day, a day on an older bus, and a day with a roll and a trim; and again while recovering."""
    assert sum(1 for _ in crash_everywhere(seed, survivors=3)) > 400


@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EMFILE, errno.EROFS])
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_any_call_may_fail(chapter, number, lasting):
    """Once, or from then on. Then the process ends, or the power, and on a whole disk everything converges."""
    assert fail_everywhere(chapter, number, lasting=lasting) > 30


def test_the_simulated_disk_keeps_what_was_synced_and_no_more(tmp_path):
    """A file's bytes by its own sync, its name by the folder's; some survivor lacks each of them without it."""
    import os

    from tests.fault.story import BUS

    def survivors(*, file, folder):
        disk = SimulatedDisk()
        disk.mkdir(BUS)
        disk.fsync_dir(BUS.parent)
        fd = disk.open(BUS / "x", os.O_RDWR | os.O_CREAT)
        disk.write(fd, b"a" * 2000)
        if file:
            disk.fsync(fd)
        if folder:
            disk.fsync_dir(BUS)
        seen = set()
        for seed in range(60):
            after = disk.power_cut(Random(seed))
            if not after.exists(BUS / "x"):
                seen.add("no name")
                continue
            data = after.pread(after.open(BUS / "x", os.O_RDONLY), 5000, 0)
            seen.add("whole" if data == b"a" * 2000 else "part")
        return seen

    assert survivors(file=True, folder=True) == {"whole"}
    assert survivors(file=False, folder=True) == {"whole", "part"}
    assert survivors(file=True, folder=False) == {"whole", "no name"}
