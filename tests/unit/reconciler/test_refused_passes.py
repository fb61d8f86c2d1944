"""What becomes of a pass that the disk refuses, or that breaks in the middle: nothing of it is lost, nothing comes in another order."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest

from glink.agents.agent import Adoption
from glink.errors import BusError
from glink.jsontext import canonical
from glink.project import Loaded
from glink.reconciler.inbox import Request
from glink.watch.source import Observation
from glink.workflow import Workflow
from tests.rig import FullDisk, Rig, step, workflow


def test_an_older_look_at_the_files_does_not_come_after_a_newer_one(tmp_path: Path) -> None:
    disk = FullDisk()
    rig = Rig(tmp_path / "bus", disk=disk)
    rig.observe(workflow("p", step("1", "v1")))
    rig.settle()
    rig._see(workflow("p", step("1", "v2")))
    disk.full = True
    rig.turn()
    disk.full = False
    rig.time.at += 0.3
    rig.observe(workflow("p", step("1", "v3")))
    assert rig.conductor._patience() == pytest.approx(0.7)
    rig.time.at += 2
    rig.settle()
    assert [job.task.text for job in rig.hands.started] == ["v1", "v3"]
    assert rig.desks["p"].workflow == rig._last["p"].workflow
    rig.close()


def test_answers_that_the_disk_refused_come_back_although_others_were_taken_since(tmp_path: Path) -> None:
    disk = FullDisk()
    rig = Rig(tmp_path / "bus", disk=disk)
    rig.observe(workflow("p", step("1")), workflow("q", step("1")))
    rig.succeed(min(rig.hands.jobs))
    disk.full = True
    rig.turn()
    disk.full = False
    rig.succeed(min(rig.hands.jobs))
    rig.turn()
    assert 0 < rig.conductor._patience() <= 1
    rig.time.at += 1
    rig.turn()
    assert rig.types().count("step.succeeded") == 2
    rig.close()


def test_a_first_look_that_was_refused_is_the_first_one_still(tmp_path: Path) -> None:
    """What an earlier engine left is adopted once, and what has no files any more is orphaned."""
    wanted = workflow("p", step("1", "v1"))
    first = Rig(tmp_path / "bus")
    first.observe(wanted, workflow("gone", step("1")))
    (fence,) = (fence for fence, job in first.hands.jobs.items() if job.task.project == "p")
    first.close(clean=False)
    disk = FullDisk()
    rig = Rig(tmp_path / "bus", disk=disk, adoption=Adoption.NEVER_STARTED)
    rig._see(wanted)
    disk.full = True
    rig.turn()
    assert not rig.conductor.quiet
    disk.full = False
    rig.time.at += 2
    rig.turn()
    assert [(job.task.project, job.task.fence) for job in rig.hands.started] == [("p", fence)]
    assert rig.state("gone").orphaned
    rig.succeed(fence)
    rig.turn()
    assert rig.state("p").settled.status == "succeeded"
    rig.close()


def test_what_comes_behind_an_item_that_broke_the_pass_is_taken_by_the_next_one(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus")
    rig.observe(workflow("p", step("1")), workflow("q", step("1")))
    books, reads = rig.conductor.books, rig.conductor.books.surroundings

    def broken(content: str) -> Workflow | None:
        raise BusError("no", errno=errno.EIO)

    rig.desks["q"].unseat()
    books.surroundings = replace(reads, earlier=broken)
    invalid = {**rig._last, "q": Loaded("q", None, (), {}, {})}
    rig.inbox.put(Observation("later", invalid, frozenset({"q"}), frozenset()))
    rig.succeed(next(fence for fence, job in rig.hands.jobs.items() if job.task.project == "p"))
    request = Request(verb="suspend", project="p")
    rig.inbox.put(request)
    rig.conductor.turn(0)
    books.surroundings = reads
    for _ in range(3):
        rig.time.at += 2
        rig.turn()
    request.wait(0)
    assert rig.reason("p", "1") == "up_to_date"
    rig.close()


def test_a_submission_that_was_refused_leaves_no_project(tmp_path: Path) -> None:
    disk = FullDisk()
    rig = Rig(tmp_path / "bus", disk=disk)
    rig.observe(workflow("p", step("1")))
    wanted = workflow("s", step("1"))
    sha = rig.bus.blobs.put(canonical(wanted))
    disk.full = True
    with pytest.raises(BusError):
        rig.ask("submit", "s", workflow=Workflow.of(wanted, sha))
    disk.full = False
    rig.time.at += 2
    rig.turn()
    assert list(rig.desks) == ["p"]
    rig.settle()
    rig.close()
