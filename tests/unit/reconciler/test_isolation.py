"""One project that the engine stumbles over stands still and says why; the others, and whoever asks, go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from glink.errors import GlinkError, UsageError
from glink.event import Record
from glink.reconciler import conductor as conducting
from glink.reconciler.survey import survey
from tests.rig import Rig, step, workflow


def stumbling(monkeypatch: pytest.MonkeyPatch, project: str) -> None:
    """Planning this project is a bug from here on."""
    real = conducting.plan

    def plan(board: Any, **more: Any) -> Any:
        if board.workflow.project == project:
            raise RuntimeError("a bug")
        return real(board, **more)

    monkeypatch.setattr(conducting, "plan", plan)


def test_the_others_go_on_and_an_edit_is_tried_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path / "bus")
    with monkeypatch.context() as patch:
        stumbling(patch, "bad")
        rig.observe(workflow("bad", step("1")), workflow("good", step("1")))
        rig.settle()
        assert rig.dispatched() == ["1"]
        report = survey(rig.desks["bad"], rig.time.at)
        assert report.sync == "Unknown"
        assert "RuntimeError: a bug" in report.errors[0]["what"]
        with pytest.raises(GlinkError, match="a bug"):
            rig.ask("run", "bad")
    rig.observe(workflow("bad", step("1", "another")))
    rig.settle()
    assert rig.dispatched("bad") == ["1"]
    rig.close()


def test_what_the_bus_does_not_take_is_refused_and_holds_up_nobody(tmp_path: Path) -> None:
    """Not an answer, not a parameter, not a note is large or deep enough to stop the engine."""
    rig = Rig(tmp_path / "bus")
    rig.observe(workflow("p", step("1"), params={"x": {}}), workflow("q", step("1")))
    rig.settle()
    with pytest.raises(GlinkError, match="a record holds at most"):
        rig.ask("run", "p", params={"x": "y" * 70_000})
    rig.ask("run", "p")
    rig.observe(workflow("q", step("1", "another")))
    with pytest.raises(UsageError, match="a note holds at most"):
        rig.ask("write", "p", events=[{"project": "p", "type": "note.x", "data": {"x": "y" * 70_000}}])
    deep: Any = "end"
    for _ in range(40):
        deep = {"d": deep}
    fence = next(fence for fence, job in rig.hands.jobs.items() if job.task.project == "p")
    rig.succeed(fence, deep)
    rig.turn()
    assert rig.state("p").steps["1"].lapse.code == "unwritable"
    assert rig.conductor.failure is None
    rig.settle()
    assert rig.state("q").settled.status == "succeeded"
    rig.close()


def test_a_pass_that_broke_after_its_sync_is_not_performed_again_at_the_stop(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus")

    def breaks(records: list[Record]) -> None:
        rig.conductor.listeners.remove(breaks)
        raise ValueError

    rig.conductor.listeners.append(breaks)
    with pytest.raises(ValueError):
        rig.observe(workflow("p", step("a")))
    rig.conductor.stop()
    assert rig.dispatched() == ["a"]
    assert rig.types() == ["source.observed", "workflow.changed", "step.dispatched", "engine.stopped"]
