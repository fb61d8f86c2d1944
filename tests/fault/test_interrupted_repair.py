"""A repair that is stopped after any of its calls is finished by the next, and nobody opens the bus in between."""

from __future__ import annotations

from contextlib import suppress
from copy import deepcopy
from random import Random

import pytest

from glink.bus import fsck, marks, segment
from glink.bus.repair import repair
from glink.errors import BusCorrupt, UsageError
from glink.testing.simulated_disk import Crashed, SimulatedDisk
from tests.fault.story import BUS, LIMITS, Story
from tests.rig import Time

NOTES = 24


def damaged() -> tuple[SimulatedDisk, list[tuple[int, int]]]:
    """A bus with a flipped bit in a sealed segment, another segment gone, a broken seal, and damage in the last one.

    Returns its disk and what is lost.
    """
    disk, story = SimulatedDisk(), Story()
    bus = story.open(disk)
    for n in range(NOTES):
        bus.stage({"type": "note.a", "project": "p", "data": {"n": n, "pad": "x" * 300}})
        bus.commit()
    bus.close()
    firsts = segment.firsts(disk, BUS / "events")
    assert len(firsts) > 5
    lost = [(firsts[0] + 1, firsts[0] + 1), (firsts[2], firsts[3] - 1), (firsts[-1], firsts[-1])]
    _flip(disk, firsts[0], b'"n":%d,' % firsts[0], b'"N":%d,' % firsts[0])
    disk.unlink(BUS / "events" / segment.name_of(firsts[2]))
    disk.fsync_dir(BUS / "events")
    _flip(disk, firsts[4], b'"glink":"seal"', b'"glink":"sEal"')
    _flip(disk, firsts[-1], b'"n":%d,' % (firsts[-1] - 1), b'"N":%d,' % (firsts[-1] - 1))
    return disk, lost


def _flip(disk: SimulatedDisk, first: int, old: bytes, new: bytes) -> None:
    node = disk._node(BUS / "events" / segment.name_of(first))
    assert node.data.count(old) == 1
    node.data = node.data.replace(old, new)
    node.durable = bytes(node.data)


def _repair(disk: SimulatedDisk, accepted: list[tuple[int, int]]) -> None:
    repair(disk, BUS, LIMITS, accepted, clock=Time())


def _prove(disk: SimulatedDisk, lost: list[tuple[int, int]]) -> None:
    """Everything whole is there, once; each loss is told of, once; work goes on."""
    assert fsck.check(disk, BUS, LIMITS).sound
    bus = Story().open(disk)
    found = list(bus.replay(0))
    gaps = [record["data"] for record in found if record["type"] == "log.gap"]
    assert [(gap["from"], gap["to"]) for gap in gaps] == lost
    gone = {seq for first, last in lost for seq in range(first, last + 1)}
    notes = [record["seq"] for record in found if record["type"] == "note.a"]
    assert notes == [seq for seq in range(1, NOTES + 1) if seq not in gone]
    assert [record["seq"] for record in found] == [*notes, *range(NOTES + 1, NOTES + 1 + len(lost))]
    bus.stage({"type": "note.b"})
    bus.commit()
    bus.close()


def _finish(disk: SimulatedDisk, lost: list[tuple[int, int]], *, again: bool) -> None:
    """The next repair, without a range, or with the same ones; and only it opens the bus until it is through."""
    begun = marks.read_repair(disk, BUS)
    if begun is not None:
        assert begun == lost
        assert not fsck.check(disk, BUS, LIMITS).sound
        with pytest.raises(BusCorrupt, match="finish it with `glink repair`"):
            Story().open(disk)
        _repair(disk, lost if again else [])
    elif fsck.check(disk, BUS, LIMITS).damages:
        with pytest.raises(UsageError, match="--accept-loss"):
            _repair(disk, [])
        _repair(disk, lost)


def _has_begun(disk: SimulatedDisk, lost: list[tuple[int, int]], calls: int) -> bool:
    trial = deepcopy(disk)
    trial.crash_after(calls)
    with pytest.raises(Crashed):
        _repair(trial, lost)
    return trial.killed().exists(BUS / "repair")


@pytest.mark.parametrize("power", [False, True])
def test_a_repair_is_finished_by_the_next(power: bool) -> None:
    """Killed, or without power, after each call; and once more while it is finished."""
    disk, lost = damaged()
    random, calls, begun = Random(1), 0, 0
    while True:
        calls += 1
        trial = deepcopy(disk)
        trial.crash_after(calls)
        try:
            _repair(trial, lost)
        except Crashed:
            after = trial.power_cut(random) if power else trial.killed()
            begun += after.exists(BUS / "repair")
            if random.random() < 0.3:
                after.crash_after(random.randrange(1, 150))
                with suppress(Crashed):
                    _finish(after, lost, again=True)
                after = after.power_cut(random) if power else after.killed()
            _finish(after, lost, again=False)
            _prove(after.power_cut(random), lost)
        else:
            break
    assert calls > 100
    assert begun > 50


def test_damage_that_was_not_accepted_stops_a_repair_that_goes_on() -> None:
    """What came since is named, and only what is new has to be accepted."""
    disk, lost = damaged()
    disk.crash_after(next(calls for calls in range(1, 1_000) if _has_begun(disk, lost, calls)))
    with pytest.raises(Crashed):
        _repair(disk, lost)
    trial = disk.killed()
    firsts = segment.firsts(trial, BUS / "events")
    fresh = (firsts[2] + 1, firsts[2] + 1)
    _flip(trial, firsts[2], b'"n":%d,' % firsts[2], b'"N":%d,' % firsts[2])
    with pytest.raises(UsageError, match=f"glink repair --accept-loss {fresh[0]}-{fresh[1]}$"):
        _repair(trial, [])
    _repair(trial, [fresh])
    _prove(trial, sorted([*lost, fresh]))
