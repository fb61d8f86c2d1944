"""A body on the bus that is damaged concerns who needs it, and nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from glink import digest
from glink.answers.questions import answer
from glink.jsontext import canonical
from glink.project import Loaded
from glink.reconciler.inbox import Result
from glink.view import View
from glink.watch.source import Observation
from glink.workflow import Workflow
from tests.resting import Home
from tests.rig import Rig, step, workflow

LONG = "x" * 40_000


def flip(rig: Rig, sha: str) -> None:
    file = rig.bus.blobs.path(sha)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.chmod(0o600)
    file.write_bytes(data)


def goes_on(rig: Rig) -> bool:
    """Whether another project's edit is done."""
    rig.observe(*[workflow("q", step("1", "edited"))], revision="edited")
    return [job.task.text for job in rig.hands.jobs.values() if job.task.project == "q"] == ["edited"]


@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize(
    "task",
    ["go on", "go on {{ run.number }} {{ steps['1'].output }}", "go {{ steps['1'].output | default('without') }}"],
)
def test_an_answer_that_is_damaged_or_gone_fails_the_step_that_is_given_it(
    tmp_path: Path, task: str, gone: bool
) -> None:
    rig = Rig(tmp_path / "bus")
    rig.observe(workflow("p", step("1", "v1"), step("2", "go", ("1",))), workflow("q", step("1")))
    fence = next(fence for fence, job in rig.hands.jobs.items() if job.task.project == "p")
    rig.hands.jobs.pop(fence)
    sha = rig.bus.blobs.put(LONG.encode())
    data = {"digest": digest.brief(LONG.encode()), "blob": sha, "seconds": 0}
    rig.inbox.put(Result("p", "1", fence, "a", "step.succeeded", data))
    rig.settle()
    if gone:
        rig.bus.blobs.path(sha).unlink()
    else:
        flip(rig, sha)
    rig.observe(workflow("p", step("1", "v1"), step("2", task, ("1",))))
    rig.settle()
    assert rig.reason("p", "2") == "exhausted"
    said = "is not on the bus any more" if gone else "the blob is damaged"
    assert said in rig.state("p").steps["2"].lapse.message
    assert (rig.desks["p"].problems, rig.state("p").settled.status) == ((), "failed")
    assert goes_on(rig)
    rig.ask("run", "p", force=True)
    rig.settle(lambda job: "short")
    assert rig.state("p").settled.status == "succeeded"
    rig.close()


def test_a_last_good_workflow_that_is_damaged_stops_only_its_project(tmp_path: Path) -> None:
    """Until its files are right."""
    first = Rig(tmp_path / "bus")
    first.observe(workflow("p", step("1", "v1")), workflow("q", step("1")))
    first.settle()
    first.close()
    rig = Rig(tmp_path / "bus")
    flip(rig, rig.state("p").content)
    rig._see(workflow("q", step("1", "edited")))
    (seen,) = rig.inbox.take(0)
    invalid = {**seen.projects, "p": Loaded("p", None, (), {}, {})}
    rig.inbox.put(Observation(seen.revision, invalid, frozenset({"p", "q"}), frozenset()))
    rig.turn()
    assert (rig.dispatched(), rig.conductor.failure) == (["1"], None)
    assert "gone or damaged" in str(rig.desks["p"].problems[-1])
    rig.settle()
    rig.observe(workflow("p", step("1", "v1")))
    assert rig.reason("p", "1") == "up_to_date"
    rig.close()


def test_a_submitted_workflow_that_is_damaged_stops_only_its_project(tmp_path: Path) -> None:
    first = Rig(tmp_path / "bus")
    first.observe(workflow("q", step("1")))
    wanted = workflow("s", step("1"))
    sha = first.bus.blobs.put(canonical(wanted))
    first.ask("submit", "s", workflow=Workflow.of(wanted, sha))
    first.settle()
    first.close()
    rig = Rig(tmp_path / "bus")
    flip(rig, sha)
    rig.observe(workflow("q", step("1", "edited")))
    assert (rig.dispatched(), rig.conductor.failure) == (["1"], None)
    assert "gone or damaged" in str(rig.desks["s"].problems[-1])
    rig.settle()
    rig.close()


def test_readers_say_so_and_read_the_others(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.write("projects/p/workflow.yaml", "steps:\n  - {step: 1, agent: good, task: one}\n")
    home.run()
    planned = home.said("p")["plans"]
    content = View.take(home.config(), ["p"]).desk("p").state.content
    file = tmp_path / "bus" / "blobs" / "sha256" / content[:2] / content[2:]
    file.chmod(0o600)
    file.write_bytes(file.read_bytes().replace(b"one", b"two"))
    assert home.said("p")["plans"] == planned, "its files are right, so nothing is missing"
    home.write("projects/p/workflow.yaml", "steps: 7\n")
    view = View.take(home.config(), [])
    p, q = (one for one in answer(view, "projects")["projects"] if one["project"] in "pq")
    assert any("gone or damaged" in str(one) for one in p["errors"])
    assert (q["project"], q["sync"], q["errors"]) == ("q", "Synced", [])
