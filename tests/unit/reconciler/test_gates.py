"""Since when a step waits for a place: since whatever made it ready, however that ended."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.rig import AGENTS, Rig, step, workflow

QUEUE: dict[str, Any] = {"timeout": {"queue": 60.0}}
ONE = AGENTS | {"a": replace(AGENTS["a"], concurrency=1)}


def end_of_queue(rig: Rig, name: str) -> float:
    """Seconds from now until the step has waited too long."""
    board = rig.desks["p"].board
    assert board is not None
    due = board.decisions[name].due
    assert due is not None
    return due - rig.time.at


@pytest.mark.parametrize(
    "middle",
    [
        pytest.param([step("m", "short", ("b",), "b")], id="answered"),
        pytest.param([step("m", "short", ("b",), "b", when="false")], id="skipped"),
        pytest.param([step("m", "short", ("b",), "b", allow_failure=True, retry={"attempts": 1})], id="failed"),
        pytest.param([step("m", "short", ("b",), "b"), step("n", "cut off", ("m",), "b", context="none")], id="far"),
    ],
)
def test_a_place_is_waited_for_since_the_last_of_all_steps_before_has_ended(tmp_path: Path, middle: list[Any]) -> None:
    rig = Rig(tmp_path / "bus", agents=ONE)
    last = middle[-1]["id"]
    steps = [step("x"), step("b", "long", agent="b"), *middle, step("w", "wait", (last,), join="all_done", **QUEUE)]
    rig.observe(workflow("p", *steps))
    rig.time.at += 7200
    while "b" in {job.agent for job in rig.hands.jobs.values()}:
        fence = next(fence for fence, job in rig.hands.jobs.items() if job.agent == "b")
        if rig.hands.jobs[fence].task.step == "m" and middle[0].get("allow_failure"):
            rig.fail(fence, "agent_failed")
        else:
            rig.succeed(fence, "b")
        rig.turn()
    assert (rig.reason("p", "w"), end_of_queue(rig, "w")) == ("never_ran", 60)


def test_a_step_that_is_asked_for_in_a_run_that_is_open_long_has_its_whole_time(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus", agents=ONE)
    rig.observe(workflow("p", step("w", **QUEUE), step("x", agent="b"), step("y")))
    for fence in sorted(fence for fence, job in rig.hands.jobs.items() if job.agent == "a"):
        rig.succeed(fence)
    rig.turn()
    rig.time.at += 7200
    rig.ask("retry", "p", step="w")
    assert (rig.reason("p", "w"), end_of_queue(rig, "w")) == ("forced", 60)


def test_what_another_project_has_open_with_an_agent_is_waited_for_no_longer_than_said(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus", agents=ONE)
    rig.observe(workflow("q", step("x")))
    rig.observe(workflow("p", step("w", **QUEUE)))
    rig.time.at += 59
    rig.turn()
    assert rig.reason("p", "w") == "never_ran"
    rig.time.at += 1
    rig.conductor.turn(0)
    rig.turn()
    lapse = rig.state("p").steps["w"].lapse
    assert (lapse.cls, lapse.message) == ("queue_timeout", "no place with agent a within 60 s")
    assert rig.state("p").settled.status == "failed"
