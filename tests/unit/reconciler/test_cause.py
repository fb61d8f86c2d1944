"""What brought a change: the edit with its generation, the request, the answer of another step; then and now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glink.reconciler.cause import Cause, Ran, passed_over, pending, ran
from tests.rig import Rig, step, workflow


def held(**more: Any) -> dict[str, Any]:
    """A step whose edits wait, so that the difference can be looked at."""
    return step("a", on_change="hold", **more)


def causes(rig: Rig, name: str = "a") -> tuple[Cause, ...]:
    board = rig.desks["p"].board
    assert board is not None
    return pending(board, name)


def last(rig: Rig, name: str) -> Ran:
    board = rig.desks["p"].board
    assert board is not None
    found = ran(board, name, rig.bus.read)
    assert found is not None
    return found


def test_an_edit_is_named_by_the_newest_generation_in_which_the_part_became_what_it_is(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus")
    for number, task in enumerate(["one", "two", "three", "three", "three"]):
        agent = "b" if number == 4 else "a"
        rig.observe(workflow("p", held(task=task, agent=agent), step("z", str(number))), revision=f"r{number}")
        rig.settle()
    assert causes(rig) == (Cause("agent", "edit", 5, "r4"), Cause("task", "edit", 3, "r2"))
    assert causes(rig, "z") == ()


def test_a_file_or_a_parameter_that_a_task_names_is_part_of_its_edit(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus")
    task = "{{ params.city }} {{ files['a.txt'] }}"
    for number, (city, text, other) in enumerate([("x", "1", "1"), ("y", "1", "1"), ("y", "2", "1"), ("y", "2", "2")]):
        params, texts = {"city": {"default": city}, "else": {"default": number}}, {"a.txt": text, "b.txt": other}
        rig.observe(workflow("p", held(task=task), params=params, texts=texts), revision=f"r{number}")
        rig.settle()
    assert causes(rig) == (Cause("task", "edit", 3, "r2"),)


def test_an_answer_of_another_step_is_named_and_so_is_what_brought_that(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus")
    below = step("b", "then", ("a",))
    rig.observe(workflow("p", step("a", "one"), below), revision="r0")
    rig.settle()
    rig.time.at += 1
    rig.observe(workflow("p", step("a", "two"), below), revision="r1")
    rig.settle()
    found = last(rig, "b")
    assert (found.run, found.reason, found.changed) == (2, "output_changed", ("context", "task"))
    assert found.causes == (Cause("context", "step", steps=("a",)), Cause("task", "step", steps=("a",)))
    assert last(rig, "a").causes == (Cause("task", "edit", 2, "r1"),)
    assert (last(rig, "a").generation, last(rig, "a").revision) == (2, "r1")


def test_a_request_with_other_parameters_is_named_with_who_asked(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus")
    params = {"city": {"default": "x", "type": "string"}}
    below = step("b", "in {{ params.city }}", ("a",), context="auto")
    rig.observe(workflow("p", step("a", "one"), below, params=params))
    rig.settle(lambda job: "same")
    rig.time.at += 1
    rig.ask("run", "p", params={"city": "y"})
    rig.settle(lambda job: "same")
    assert last(rig, "b").causes == (Cause("task", "request", run=2, who="test"),)
    rig.ask("run", "p", params={"city": "z"})
    rig.turn()
    (cause,) = last(rig, "b").causes
    assert cause.by == "", "a later request did not bring what ran before it"


def test_a_step_that_never_answered_is_compared_with_its_last_try(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus", concurrency=1)
    rig.observe(workflow("p", step("a", "one", retry={"attempts": 1}), step("c", agent="b")), revision="r0")
    rig.fail(min(rig.hands.jobs), "refused")
    rig.turn()
    rig.observe(workflow("p", step("a", "two", retry={"attempts": 1}), step("c", agent="b")), revision="r1")
    assert causes(rig) == (Cause("task", "edit", 2, "r1"),)


def test_generations_that_were_replaced_before_they_settled_are_passed_over(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus")
    for number in range(4):
        rig.observe(workflow("p", step("a", f"task {number}")), revision=f"r{number}")
        if number == 0:
            rig.settle()
    told = [{"generation": 2, "revision": "r1"}, {"generation": 3, "revision": "r2"}]
    assert passed_over(rig.state("p")) == told
    rig.close(clean=True)
    assert passed_over(Rig(tmp_path / "bus").state("p")) == told
