"""What a board does ahead of time, and what it knows of projects that are gone."""

from __future__ import annotations

from pathlib import Path

from tests.rig import Rig, step, workflow


def test_what_needs_no_other_steps_answer_is_fingerprinted_when_the_project_is_seated(tmp_path: Path) -> None:
    """A step's turn then costs only the step; what names another step's answer has to wait for it."""
    rig = Rig(tmp_path / "bus")
    alone, named = step("b", "alone", after=["a"], context="none"), "{{ steps.a.output }}"
    rig.observe(workflow("p", step("a"), alone, step("c", named, after=["a"])))
    board = rig.desks["p"].board
    assert board is not None
    assert set(board.memo) == {"a", "b"}
    foreseen = board.memo["b"]
    rig.settle()
    assert board.memo["b"] == foreseen
    assert rig.state("p").steps["b"].answer.key == foreseen[2]
    rig.close()


def test_only_the_last_projects_to_settle_keep_what_nothing_but_deciding_needs(tmp_path: Path) -> None:
    """The others are looked at all the same, and run what an edit changes and no more."""
    rig = Rig(tmp_path / "bus")
    names = [f"p{number:02}" for number in range(20)]
    rig.observe(*(workflow(name, step("a"), step("b", "{{ steps.a.output }}", after=["a"])) for name in names))
    rig.settle()
    boards = [rig.desks[name].board for name in names]
    assert [len(board.memo) for board in boards if board is not None] == [0] * 4 + [2] * 16
    assert {rig.reason("p00", step) for step in "ab"} == {"up_to_date"}
    rig.observe(*(workflow(name, step("a"), step("b", "another", after=["a"])) for name in names))
    rig.settle()
    assert rig.dispatched("p00") == ["a", "b", "b"]
    rig.close()


def test_the_projects_that_are_gone_are_known_also_after_a_restart_and_a_return(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus")
    rig.observe(workflow("p", step("a")), workflow("q", step("a", "another")))
    rig.settle()
    rig.observe(gone=("p",))
    assert list(rig.conductor.books.surroundings.orphans) == ["p"]
    rig.close()
    again = Rig(tmp_path / "bus")
    assert list(again.conductor.books.surroundings.orphans) == ["p"]
    again.observe(workflow("p", step("a")), workflow("q", step("a", "another")))
    assert not again.conductor.books.surroundings.orphans
    assert again.dispatched() == []
    again.close()
