"""A step that was renamed has the answer of the one it was, at once and after a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.rig import Rig, step, workflow


def renamed(tmp_path: Path) -> Rig:
    rig = Rig(tmp_path / "bus")
    rig.observe(workflow("p", step("old", "x")))
    rig.settle(lambda job: "answer")
    rig.observe(workflow("p", step("new", "x"), step("other", "y")))
    return rig


def test_its_answer_is_there_and_is_handed_on(tmp_path: Path) -> None:
    rig = renamed(tmp_path)
    rig.settle()
    assert (rig.dispatched(), rig.state("p").steps["new"].answer.output) == (["old", "other"], "answer")
    rig.observe(workflow("p", step("new", "x"), step("reads", "got {{ steps.new.output }}", ("new",))))
    assert [job.task.text for job in rig.hands.jobs.values()] == ["got answer"]
    rig.settle()
    rig.close()
    again = Rig(tmp_path / "bus")
    assert again.state("p").steps["new"].answer.output == "answer"
    again.close()


def test_it_is_taken_over_once_whatever_becomes_of_the_others(tmp_path: Path) -> None:
    rig = renamed(tmp_path)

    def fails(job: Any) -> Exception:
        return Exception("limit")

    rig.settle(fails)
    assert rig.types().count("step.restored") == 1
    assert rig.types()[-1] == "run.settled"
    rig.close()


def test_one_that_is_renamed_while_it_runs_is_paid_for_once(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus", concurrency=1)
    rig.observe(workflow("p", step("old", "x")))
    rig.observe(workflow("p", step("new", "x")))
    rig.settle()
    assert (rig.dispatched(), rig.types()[-2:]) == (["old"], ["step.restored", "run.settled"])
    rig.close()


def test_so_is_one_whose_project_is_renamed(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus", concurrency=1)
    rig.observe(workflow("p", step("1", "x")))
    rig.observe(workflow("q", step("1", "x")), gone=("p",))
    rig.settle()
    assert [job.task.project for job in rig.hands.started] == ["p"]
    assert rig.reason("q", "1") == "restored"
    rig.close()
