"""Slots and timers of the conductor: given back when an attempt is gone, forgotten when nothing waits for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from glink.agents.agent import Adoption
from glink.errors import BusError
from tests.rig import Rig, step, workflow


def test_a_cancelled_attempt_keeps_its_slot_until_it_is_gone(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus", concurrency=1)
    rig.observe(workflow("p", step("a"), step("b")))
    (fence,) = rig.hands.jobs
    rig.ask("cancel", "p", step="a")
    assert (rig.hands.cancelled, rig.dispatched(), rig.conductor.ending) == ([fence], ["a"], True)
    rig.fail(fence, "cancelled")
    rig.turn()
    assert (rig.dispatched(), rig.conductor.ending, rig.conductor.world.in_flight) == (["a", "b"], False, 1)
    rig.settle()
    assert rig.conductor.quiet


def test_a_cancel_that_the_disk_did_not_take_leaves_the_slot_to_the_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path / "bus")
    rig.observe(workflow("p", step("a")))
    (fence,) = rig.hands.jobs
    with monkeypatch.context() as patch:
        patch.setattr(rig.bus, "commit", _full)
        with pytest.raises(BusError):
            rig.ask("cancel", "p", step="a")
    assert (rig.hands.cancelled, rig.conductor.ending, rig.conductor.world.in_flight) == ([], False, 1)
    rig.time.at += 2
    rig.succeed(fence)
    rig.turn()
    assert (rig.conductor.world.in_flight, rig.reason("p", "a")) == (0, "up_to_date")


def _full() -> None:
    raise BusError("no space")


def test_an_attempt_that_never_began_is_not_begun_by_its_cancel(tmp_path: Path) -> None:
    first = Rig(tmp_path / "bus")
    first.observe(workflow("p", step("a")))
    first.close(clean=False)
    rig = Rig(tmp_path / "bus", adoption=Adoption.NEVER_STARTED)
    rig.turn_with_request("cancel", workflow("p", step("a")), step="a")
    assert (rig.dispatched(), rig.conductor.world.in_flight, rig.reason("p", "a")) == ([], 0, "cancelled")


def test_an_engine_that_only_records_begins_nothing_that_an_earlier_one_left(tmp_path: Path) -> None:
    first = Rig(tmp_path / "bus")
    first.observe(workflow("p", step("a"), step("b")))
    first.close(clean=False)
    rig = Rig(tmp_path / "bus", adoption=Adoption.NEVER_STARTED)
    rig.conductor.world.draining = True
    rig.turn_with_request("cancel", workflow("p", step("a"), step("b")), step="a")
    assert (rig.dispatched(), rig.reason("p", "b")) == ([], "in_flight")


def test_a_place_in_the_queue_that_was_given_is_not_waited_for(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus")
    rig.observe(workflow("p", step("a", timeout={"queue": 3600.0})))
    rig.succeed(min(rig.hands.jobs))
    rig.turn()
    assert rig.conductor.quiet


def test_an_agent_that_nobody_wants_any_more_is_not_waited_for(tmp_path: Path) -> None:
    """However long it cools: `up --once` ends when all that wanted it have answered or were cancelled."""
    rig = Rig(tmp_path / "bus")
    rig.observe(workflow("p", step("x")), workflow("q", step("y")))
    first, second = sorted(rig.hands.jobs)
    rig.succeed(first)
    rig.fail(second, "throttled", retry_at=rig.time.at + 80_000)
    rig.turn()
    assert not rig.conductor.quiet
    rig.ask("cancel", "q")
    assert rig.conductor.quiet
