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
