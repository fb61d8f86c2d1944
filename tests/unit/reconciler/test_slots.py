"""Slots: never more in flight than the engine and the agent allow, and given on as soon as they are free."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from glink.reconciler.actions import Plan
from glink.reconciler.board import Board
from glink.reconciler.plan import plan
from tests.rig import AGENTS, Rig, step, workflow

FIVE = workflow("p", *(step(f"s{one}", f"task {one}") for one in range(5)))


def test_the_engine_gives_out_no_more_slots_than_it_has(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus", concurrency=2)
    rig.observe(FIVE)
    assert rig.dispatched() == ["s0", "s1"]
    rig.succeed(min(rig.hands.jobs))
    rig.turn()
    assert rig.dispatched() == ["s0", "s1", "s2"]
    rig.settle()
    assert rig.dispatched() == ["s0", "s1", "s2", "s3", "s4"]
    rig.close()


def test_an_agent_takes_no_more_than_its_own_and_holds_up_nobody_else(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus", agents=AGENTS | {"a": replace(AGENTS["a"], concurrency=1)})
    rig.observe(workflow("p", step("x", "1"), step("y", "2"), step("z", "3", agent="b")))
    assert sorted(rig.dispatched()) == ["x", "z"]
    rig.settle()
    assert sorted(rig.dispatched()) == ["x", "y", "z"]
    rig.close()


def test_a_slot_that_one_project_gives_back_goes_to_another_that_waits(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus", concurrency=1)
    rig.observe(workflow("p", step("x")), workflow("q", step("y")))
    assert rig.dispatched() == ["x"]
    rig.settle()
    assert rig.dispatched() == ["x", "y"]
    rig.close()


def test_a_slot_is_offered_to_one_that_waits_not_to_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty projects wait for one slot: each step costs a look at its own project and at the one that gets the slot."""
    planned: list[str] = []

    def counted(board: Board, **more: Any) -> Plan:
        planned.append(board.workflow.project)
        return plan(board, **more)

    monkeypatch.setattr("glink.reconciler.conductor.plan", counted)
    rig = Rig(tmp_path / "bus", concurrency=1)
    rig.observe(*(workflow(f"p{one:02}", step("x")) for one in range(50)))
    planned.clear()
    rig.settle()
    assert [one.task.project for one in rig.hands.started] == [f"p{one:02}" for one in range(50)]
    assert len(planned) < 4 * 50
    rig.close()


def test_who_waits_for_an_agent_of_few_places_does_not_hold_up_who_waits_behind(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus", concurrency=2, agents=AGENTS | {"a": replace(AGENTS["a"], concurrency=1)})
    rig.observe(workflow("p", step("x")), workflow("q", step("x")), workflow("r", step("x", agent="b")))
    assert sorted(one.task.project for one in rig.hands.started) == ["p", "r"]
    rig.succeed(next(fence for fence, job in rig.hands.jobs.items() if job.task.project == "r"))
    rig.turn()
    assert len(rig.hands.started) == 2
    rig.settle()
    assert [one.task.project for one in rig.hands.started][-1] == "q"
    rig.close()
