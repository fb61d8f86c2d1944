"""The whole engine over a disk whose n-th call fails, for every n: it converges, and pays for nothing twice."""

from __future__ import annotations

import errno
from copy import deepcopy
from random import Random

import pytest

from glink.errors import BusError
from glink.testing.simulated_disk import Crashed, SimulatedDisk
from tests.fault.story import BUS
from tests.rig import Rig, Time, outcome, step, workflow

WORK = workflow(
    "p", step("a", "one"), step("b", "two", ("a",)), step("c", "three", agent="b"), step("d", "four", ("c",), agent="b")
)


class Agents:
    """What the world outside sees: which attempts were started, and how often each answer was asked for."""

    def __init__(self) -> None:
        self.started: dict[int, str] = {}

    def work(self, rig: Rig) -> None:
        """Answer what was given away."""
        for fence, job in sorted(rig.hands.jobs.items()):
            # Adopted or started anew after a crash, it is the same attempt.
            assert self.started.setdefault(fence, job.task.step) == job.task.step
            rig.succeed(fence, f"answer of {job.task.step}")


def life(disk: SimulatedDisk, agents: Agents, time: Time) -> bool:
    """One engine until its project has settled; False when the disk ended it."""
    try:
        rig = Rig(BUS, disk=disk, time=time, at_once=lambda job: outcome(job) if job.agent == "b" else None)
        rig.observe(WORK)
        for _ in range(100):
            agents.work(rig)
            rig.conductor.turn(0)
            time.at += 1
            desk = rig.desks.get("p")  # there is none where the disk refused the first look
            if (
                desk is not None
                and desk.state.settled is not None
                and rig.conductor.failure is None
                and not rig.hands.jobs
            ):
                rig.close()
                return True
    except BusError:
        return False
    return False


def prove(disk: SimulatedDisk, agents: Agents, time: Time) -> None:
    """Every attempt that was started is on the bus, every step succeeded once, and nothing more is to be done."""
    rig = Rig(BUS, disk=disk, time=time)
    records = list(rig.bus.replay(0))
    fences = {one["seq"]: one["step"] for one in records if one["type"] == "step.dispatched"}
    assert fences.items() >= agents.started.items()
    assert sorted(one["step"] for one in records if one["type"] == "step.succeeded") == ["a", "b", "c", "d"]
    assert len(fences) == 4
    rig.observe(WORK)
    assert rig.dispatched() == []
    rig.bus.close()


@pytest.mark.parametrize(
    ("number", "lasting"), [(errno.EIO, False), (errno.ENOSPC, False), (errno.ENOSPC, True), (errno.EMFILE, True)]
)
def test_any_call_of_the_engine_may_fail(number: int, lasting: bool) -> None:
    """Once, or from then on until the engine has given up; then the faults end and all goes on by itself."""
    position = 0
    while True:
        position += 1
        disk, agents, time = SimulatedDisk(), Agents(), Time()

        def fail(kind: str, at: int, position: int = position) -> int | None:
            return number if at == position or (lasting and at > position) else None

        disk.fail = fail
        done = life(disk, agents, time)
        met = disk.calls >= position
        disk = disk.killed()
        for _ in range(3):
            done = done or life(disk, agents, time)
            disk = disk.killed()
        assert done, position
        prove(disk, agents, time)
        if not met:
            break
    assert position > 100


def test_the_power_may_go_after_any_call_of_the_engine() -> None:
    """What the agents were given is on the bus of every survivor, and no step is given away again."""
    random, calls = Random(0), 0
    while True:
        calls += 1
        disk, agents, time = SimulatedDisk(), Agents(), Time()
        disk.crash_after(calls)
        try:
            life(disk, agents, time)
        except Crashed:
            for _ in range(3):
                after, seen = disk.power_cut(random), deepcopy(agents)
                assert life(after, seen, deepcopy(time))
                prove(after.killed(), seen, time)
        else:
            break
    assert calls > 100
