"""A held step below a floor runs as last released; what becomes of that is like any other attempt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.rig import Rig, step, workflow


def held(path: Path, first: dict[str, Any], **more: Any) -> Rig:
    """Step 1 is done, and an edit of it waits for a release."""
    rig = Rig(path)
    rig.observe(workflow("p", first, **more))
    rig.settle()
    rig.observe(workflow("p", step("1", "two", on_change="hold")))
    rig.settle()
    assert rig.reason("p", "1") == "held"
    return rig


@pytest.mark.parametrize(("cls", "tries"), [("agent_failed", 1), ("transient", 3)])
def test_its_failure_counts_and_stands(tmp_path: Path, cls: str, tries: int) -> None:
    rig = held(tmp_path / "bus", step("1", "one", on_change="hold"))
    rig.ask("run", "p", force=True)
    rig.settle(lambda job: Exception(cls), rounds=20)
    assert [job.task.text for job in rig.hands.started] == ["one"] * (tries + 1)
    assert [job.task.attempt for job in rig.hands.started[1:]] == list(range(1, tries + 1))
    assert (rig.reason("p", "1"), rig.state("p").settled.status) == ("exhausted", "failed")
    seen = len(rig.records)
    rig.close()
    again = Rig(tmp_path / "bus", time=rig.time)
    again.observe(workflow("p", step("1", "two", on_change="hold")))
    again.settle()
    assert (again.reason("p", "1"), again.dispatched(), seen > 0) == ("exhausted", [], True)
    again.ask("release", "p")
    again.settle()
    assert (again.dispatched(), again.reason("p", "1")) == (["1"], "up_to_date")
    again.close()


def test_a_definition_that_cannot_be_rendered_any_more_does_not_run(tmp_path: Path) -> None:
    first = step("1", "go {{ params.city }}", on_change="hold")
    rig = held(tmp_path / "bus", first, params={"city": {"default": "x"}})
    rig.ask("run", "p", force=True)
    rig.settle()
    assert (rig.reason("p", "1"), rig.dispatched(), rig.desks["p"].problems) == ("held", ["1"], ())
    rig.close()
