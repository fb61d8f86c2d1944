"""A machine that comes up with a wrong clock: no answer and no order is lost, and nothing waits for years."""

from __future__ import annotations

from pathlib import Path

import pytest

from glink.clock import SystemClock
from tests.rig import START, Rig, Time, step, workflow

YEARS = 10 * 365 * 86_400.0
WORK = workflow("p", step("a", "one"), step("b", "two", ("a",), retry={"delay": 60.0, "jitter": False}))


@pytest.mark.parametrize("jump", [-YEARS, YEARS])
def test_after_a_reboot_a_retry_is_due_after_its_delay_at_most(tmp_path: Path, jump: float) -> None:
    """What was done stays done; the order on the bus is that of the events."""
    rig = Rig(tmp_path / "bus")
    rig.observe(WORK)
    rig.succeed(min(rig.hands.jobs))
    rig.turn()
    rig.fail(min(rig.hands.jobs))
    rig.turn()
    rig.close()
    again = Rig(tmp_path / "bus", time=Time(START + jump), rebooted=True)
    again.observe(WORK)
    again.time.at += 61
    again.turn()
    assert again.dispatched() == ["b"]
    again.settle()
    assert again.state("p").settled.status == "succeeded"
    seqs = [record["seq"] for record in again.bus.replay(0)]
    assert seqs == list(range(1, len(seqs) + 1))
    again.close()


def test_an_agent_does_not_cool_for_years(tmp_path: Path) -> None:
    """A day at most, whatever the clock says."""
    rig = Rig(tmp_path / "bus")
    rig.observe(WORK)
    rig.fail(min(rig.hands.jobs), "throttled", retry_at=START + 3600)
    rig.turn()
    rig.close()
    again = Rig(tmp_path / "bus", time=Time(START - YEARS), rebooted=True)
    assert again.conductor.world.cooling["a"] <= START - YEARS + 86_400
    again.bus.close()


def test_the_engines_clock_does_not_follow_the_walls() -> None:
    """It counts on from where it began by the time since boot, over restarts too."""
    clock = SystemClock()
    clock.resume(1_000.0, clock.boot_time() - 5.0)
    assert 1_005.0 <= clock.now() < 1_065.0
