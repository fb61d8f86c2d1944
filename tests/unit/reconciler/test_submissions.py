"""Desired state that comes by a request: one event, reconciled like a file, and files win."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from glink.errors import Conflict, NotThere, Refused, Reused, UsageError
from glink.jsontext import canonical
from glink.reconciler.survey import survey
from glink.workflow import Workflow
from tests.rig import Rig, step, workflow


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    made = Rig(tmp_path / "bus")
    made.observe()
    return made


def submit(rig: Rig, *steps: Any, name: str = "s", **more: Any) -> dict:
    source = workflow(name, *steps)
    sha = rig.bus.blobs.put(canonical(source))
    return rig.ask("submit", name, workflow=Workflow.of(source, sha), **more)


def test_one_event_is_acknowledgement_desired_state_and_request(rig: Rig) -> None:
    before = len(rig.records)
    answer = submit(rig, step("1"), step("2", after=("1",)))
    assert (answer["run"], answer["generation"]) == (1, 1)
    assert [one["type"] for one in rig.records[before:]] == ["workflow.submitted", "step.dispatched"]
    rig.settle()
    assert rig.state("s").settled.status == "succeeded"


def test_the_same_again_is_a_run_and_other_steps_are_an_edit(rig: Rig) -> None:
    submit(rig, step("1"))
    rig.settle()
    assert submit(rig, step("1"))["run"] == 2
    rig.settle()
    assert (rig.state("s").generation, rig.dispatched()) == (1, ["1", "1"])
    submit(rig, step("1"), step("2", "new", after=("1",)))
    rig.settle()
    assert rig.state("s").generation == 2


def test_a_submission_stands_over_a_restart(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus")
    rig.observe()
    submit(rig, step("1"), step("2", after=("1",)))
    rig.succeed(min(rig.hands.jobs))
    rig.conductor.turn(0)
    rig.close(clean=False)
    again = Rig(tmp_path / "bus", time=rig.time)
    again.observe()
    again.settle()
    assert again.dispatched() == ["2"]
    assert again.state("s").settled.number == 1
    assert not again.state("s").orphaned
    again.close()


def test_what_projects_own_is_not_overwritten_but_equal_steps_are_a_run(rig: Rig) -> None:
    rig.observe(workflow("s", step("1")))
    rig.settle()
    with pytest.raises(Conflict, match="its steps are others"):
        submit(rig, step("1", "other"))
    assert submit(rig, step("1"))["run"] == 2
    rig.settle()
    assert rig.dispatched() == ["1", "1"]


def test_a_file_with_the_name_takes_its_place(rig: Rig) -> None:
    submit(rig, step("1"))
    rig.settle()
    rig.observe(workflow("s", step("1", "from a file")))
    rig.settle()
    state = rig.state("s")
    assert (state.submitted, state.replaced, state.generation) == (False, True, 2)
    assert "SubmissionReplaced" in {one.type for one in survey(rig.desks["s"], rig.time.at).conditions}
    with pytest.raises(Conflict):
        submit(rig, step("1", "again by request"))


def test_an_idempotency_key_gives_the_same_answer_also_after_a_restart(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus")
    rig.observe()
    first = submit(rig, step("1"), key="k", body="b")
    rig.settle()
    rig.close(clean=False)
    again = Rig(tmp_path / "bus", time=rig.time)
    again.observe()
    assert submit(again, step("1"), key="k", body="b")["run"] == first["run"]
    with pytest.raises(Reused):
        submit(again, step("1"), key="k", body="other")
    again.time.at += 86_401
    again.ask("write", "s", events=[{"project": "s", "type": "note.x"}], key="l")
    assert submit(again, step("1"), key="k", body="b")["run"] == 2, "a key is kept for a day"
    again.close()


def test_a_request_that_joins_a_run_remembers_its_key(rig: Rig) -> None:
    submit(rig, step("1"))
    answer = rig.ask("run", "s", key="k", body="b")
    assert (answer["run"], answer["joined"]) == (1, True)
    rig.settle()
    assert rig.ask("run", "s", key="k", body="b")["run"] == 1
    assert rig.ask("run", "s")["run"] == 2


def test_delete_ends_what_was_submitted_and_refuses_what_files_want(rig: Rig) -> None:
    submit(rig, step("1"))
    rig.settle()
    rig.ask("delete", "s")
    with pytest.raises(NotThere):
        rig.ask("run", "s")
    rig.observe(workflow("f", step("1")))
    with pytest.raises(Refused, match="delete them"):
        rig.ask("delete", "f")
    assert submit(rig, step("1"))["run"] == 2, "its history goes on"


def test_notes_are_written_all_or_none_and_make_no_project(rig: Rig) -> None:
    submit(rig, step("1"))
    wanted = [{"project": "s", "type": "note.x", "data": {"a": 1}}, {"project": "nobody", "type": "note.x"}]
    with pytest.raises(NotThere):
        rig.ask("write", "s", events=wanted)
    with pytest.raises(UsageError, match="no free type"):
        rig.ask("write", "s", events=[{"project": "s", "type": "step.succeeded"}])
    with pytest.raises(UsageError, match="begin with _"):
        rig.ask("write", "s", events=[{"project": "s", "type": "note.x", "data": {"_by": "me"}}])
    seq = rig.ask("write", "s", events=wanted[:1], key="k")["seq"]
    assert rig.ask("write", "s", events=wanted[:1], key="k")["seq"] == seq
    assert rig.state("s").notes["note.x"] == [
        {"seq": seq, "time": rig.records[-1]["time"], "data": rig.records[-1]["data"]}
    ]
    assert rig.records[-1]["data"]["_by"] == "test"


def test_serve_only_runs_what_is_asked_for_and_nothing_by_itself(rig: Rig) -> None:
    rig.conductor.world.serve_only = True
    rig.observe(workflow("f", step("1"), step("2", after=("1",))))
    assert (rig.dispatched(), rig.reason("f", "1")) == ([], "never_ran")
    rig.ask("run", "f")
    rig.settle()
    assert rig.dispatched() == ["1", "2"]


def test_a_file_that_says_the_same_takes_its_place(rig: Rig) -> None:
    submit(rig, step("1"))
    rig.settle()
    rig.observe(workflow("s", step("1")))
    rig.settle()
    assert (rig.dispatched(), rig.state("s").submitted) == (["1"], False)
    with pytest.raises(Conflict):
        submit(rig, step("1", "other"))
    with pytest.raises(Refused, match="delete them"):
        rig.ask("delete", "s")
    rig.observe(workflow("s", step("1")))
    assert rig.types().count("workflow.changed") == 1


def test_notes_are_written_all_or_none(rig: Rig) -> None:
    submit(rig, step("1"))
    with pytest.raises(UsageError, match="36000 events"):
        rig.ask("write", "s", events=[{"project": "s", "type": "a"}] * 36_000)
    rig.time.at += 2
    rig.turn()
    assert "a" not in rig.types()
    rig.ask("write", "s", events=[{"project": "s", "type": "a"}] * 9_000)
    assert rig.types().count("a") == 9_000


@pytest.mark.parametrize("about", ["p", "q"])
def test_a_note_that_a_condition_asks_for_is_heard(rig: Rig, about: str) -> None:
    """At once, and the same after a restart."""
    wanted = workflow("p", step("1", when=f"bus.latest('go', project='{about}').data.y == 1"), step("2"))
    rig.observe(wanted, workflow("q", step("1")))
    rig.settle()
    assert (rig.reason("p", "1"), rig.state("p").settled.number) == ("condition_false", 1)
    rig.ask("write", about, events=[{"project": about, "type": "go", "data": {"y": 1}}])
    rig.settle()
    assert (rig.reason("p", "1"), rig.state("p").settled.number) == ("up_to_date", 2)
    rig.close()
    again = Rig(rig.path, time=rig.time)
    again.observe(wanted, workflow("q", step("1")))
    assert (again.records, again.reason("p", "1")) == ([], "up_to_date")
    again.close()
