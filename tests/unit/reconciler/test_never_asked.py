"""Failures that no agent saw: a task that cannot be rendered when its slot is there, a queue that took too long."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.rig import AGENTS, Rig, step, workflow

BROKEN = "{{ now }} {{ bus.latest('x').data.y }}"  # whose fingerprint is taken without rendering it


def test_a_task_that_fails_at_its_slot_ends_its_run(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus")
    rig.observe(workflow("p", step("1", BROKEN, allow_failure=True), step("2", "x", ("1",), join="all_done")))
    rig.settle()
    assert (rig.types()[2], rig.types()[-1], rig.dispatched()) == ("step.failed", "run.settled", ["2"])
    rig.close()


def test_it_takes_the_place_of_a_cancel(tmp_path: Path) -> None:
    wanted = workflow(
        "p", step("0"), step("1", BROKEN, ("0",), allow_failure=True), step("2", "z", ("1",), join="all_done")
    )
    rig = Rig(tmp_path / "bus")
    rig.observe(wanted)
    rig.ask("cancel", "p", step="1")
    rig.settle()
    rig.ask("run", "p", force=True)
    rig.settle()
    thought = [rig.reason("p", one) for one in "012"]
    assert thought[1] == "exhausted"
    rig.close()
    again = Rig(tmp_path / "bus", time=rig.time)
    again.observe(wanted)
    assert ([again.reason("p", one) for one in "012"], again.records) == (thought, [])
    again.close()


def test_its_key_is_the_same_after_a_checkpoint(tmp_path: Path) -> None:
    """What was asked for is not what the standing answer was asked for, though given away with the same fingerprint."""
    rig = Rig(tmp_path / "bus")
    for task in ("x", "{{ steps['0'].output.missing }}"):
        rig.observe(workflow("p", step("0"), step("1", task, ("0",), context="none")))
        rig.settle()
    kept = rig.state("p").packed()
    assert rig.state("p").steps["1"].key != rig.state("p").steps["1"].answer.key
    rig.close()
    again = Rig(tmp_path / "bus")
    assert again.state("p").packed() == kept
    again.close()


def test_time_in_a_queue_counts_from_when_a_paused_agent_is_back(tmp_path: Path) -> None:
    agents = {**AGENTS, "a": replace(AGENTS["a"], concurrency=1)}
    rig = Rig(tmp_path / "bus", agents=agents)
    rig.observe(workflow("q", step("1")))
    rig.fail(min(rig.hands.jobs), "auth")
    rig.turn()
    rig.observe(workflow("p", step("1", "t", timeout={"queue": 30.0})))
    rig.ask("retry", "q")
    assert [job.task.project for job in rig.hands.started] == ["q", "q"]
    rig.time.at += 31
    rig.turn()
    assert rig.reason("p", "1") == "exhausted"
    assert rig.state("p").steps["1"].lapse.cls == "queue_timeout"
    rig.succeed(max(rig.hands.jobs))
    rig.turn()
    rig.close()


def test_a_throttled_agent_is_not_asked_again_at_once_whatever_it_says(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus")
    rig.observe(workflow("p", step("1")))
    rig.fail(min(rig.hands.jobs), "throttled", retry_at=rig.time.at - 5)
    rig.turn()
    assert (rig.dispatched(), rig.conductor._patience()) == (["1"], 1.0)
    rig.time.at += 1
    rig.turn()
    assert rig.dispatched() == ["1", "1"]
    rig.settle()
    rig.close()
