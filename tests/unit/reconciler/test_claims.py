"""Steps of pull agents: offered, claimed once, kept by heartbeats, answered with the current fence or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from glink import digest
from glink.bus.fsio import Disk
from glink.errors import BusError, Conflict, NotThere, Refused
from glink.reconciler.claims import key_of
from glink.reconciler.survey import survey
from glink.roster import AgentSpec
from tests.rig import AGENTS, Rig, step, workflow

WORKERS = {**AGENTS, "coder": AgentSpec("coder", "pull", {"lease": 60}, profile="w")}


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "bus", agents=WORKERS)
    made.observe(workflow("p", step("1", "write it", agent="coder"), step("2", after=("1",))))
    yield made
    made.close()


def claim(rig: Rig, worker: str = "w1", name: str = "1") -> dict:
    return rig.ask("claim", "p", step=name, agent="coder", worker=worker)


def result(rig: Rig, fence: int, output: str = "done") -> dict:
    data = {"digest": digest.brief(output.encode()), "output": output, "seconds": 1.0}
    digests = [data["digest"]]
    return rig.ask("result", "p", step="1", fence=fence, type="step.succeeded", data=data, digests=digests)


def test_a_ready_step_is_offered_once_and_takes_no_slot(rig: Rig) -> None:
    rig.turn()
    assert rig.types().count("step.offered") == 1
    assert rig.reason("p", "1") == "no_worker"
    assert rig.conductor.world.in_flight == 0


def test_a_step_that_nobody_came_for_in_a_minute_is_told(rig: Rig) -> None:
    assert "NoWorker" not in {one.type for one in survey(rig.desks["p"], rig.time.at).conditions}
    (told,) = [one for one in survey(rig.desks["p"], rig.time.at + 61).conditions if one.type == "NoWorker"]
    assert told.message == "steps: 1"


def test_a_claim_brings_all_that_the_step_is_given_and_a_key_for_its_fence(rig: Rig) -> None:
    given = claim(rig)
    assert (given["task"], given["run"], given["attempt"], given["lease"]) == ("write it", 1, 1, 60)
    assert given["key"] == key_of(rig.bus.secret, given["fence"], rig.bus.epoch)
    assert rig.reason("p", "1") == "in_flight"
    assert rig.conductor.world.in_flight == 1


def test_the_same_worker_asking_again_gets_the_same_and_another_is_refused(rig: Rig) -> None:
    given = claim(rig)
    assert claim(rig) == given
    with pytest.raises(Conflict, match="is with w1") as refused:
        claim(rig, "w2")
    assert refused.value.facts == {"holder": "w1"}
    assert rig.types().count("step.claimed") == 1


def test_a_result_with_the_current_fence_commits_and_what_follows_runs(rig: Rig) -> None:
    given = claim(rig)
    assert result(rig, given["fence"])["committed"]
    assert rig.dispatched() == ["2"]
    assert rig.conductor.world.by_agent["coder"] == 0
    assert result(rig, given["fence"])["committed"], "the same again is no mistake"
    assert rig.types().count("step.succeeded") == 1


def test_a_stale_result_is_kept_on_the_bus_and_does_not_count(rig: Rig) -> None:
    given = claim(rig)
    rig.time.at += 61
    rig.turn()
    with pytest.raises(Conflict, match="not current"):
        result(rig, given["fence"])
    assert rig.types()[-1] == "step.stale"
    assert rig.state("p").steps["1"].answer is None


def test_a_silent_worker_loses_the_step_and_it_is_offered_again(rig: Rig) -> None:
    given = claim(rig)
    rig.time.at += 59
    assert rig.ask("heartbeat", "p", step="1", fence=given["fence"]) == {"project": "p", "cancel": False, "lease": 60}
    rig.time.at += 59
    rig.turn()
    assert rig.reason("p", "1") == "in_flight"
    rig.time.at += 2
    rig.turn()
    assert rig.records[-1]["data"]["code"] == "lease"
    rig.time.at += 600
    rig.turn()
    assert rig.types().count("step.offered") == 2
    assert claim(rig, "w2")["attempt"] == 2
    assert rig.ask("heartbeat", "p", step="1", fence=given["fence"])["cancel"]


def test_an_edit_offers_anew_and_the_old_offer_cannot_be_claimed(rig: Rig) -> None:
    rig.observe(workflow("p", step("1", "write it better", agent="coder"), step("2", after=("1",))))
    assert rig.types().count("step.offered") == 2
    assert claim(rig)["task"] == "write it better"


def test_a_suspended_project_gives_nothing_to_workers(rig: Rig) -> None:
    rig.ask("suspend", "p")
    with pytest.raises(Conflict, match="suspended"):
        claim(rig)
    rig.ask("resume", "p")
    assert claim(rig)["fence"]


def test_a_claim_is_refused_while_all_slots_are_taken(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus", agents=WORKERS, concurrency=1)
    rig.observe(workflow("p", step("1", agent="coder"), step("2", agent="coder")))
    rig.ask("claim", "p", step="1", agent="coder", worker="w1")
    with pytest.raises(Conflict, match="no_slot"):
        rig.ask("claim", "p", step="2", agent="coder", worker="w2")
    rig.close()


def test_after_a_restart_a_claimed_step_has_one_full_lease_and_its_key_is_still_good(tmp_path: Path) -> None:
    source = workflow("p", step("1", "write it", agent="coder"))
    rig = Rig(tmp_path / "bus", agents=WORKERS)
    rig.observe(source)
    given = claim(rig)
    rig.close(clean=False)
    again = Rig(tmp_path / "bus", agents=WORKERS, time=rig.time)
    again.time.at += 3_000
    again.observe(source)
    assert again.reason("p", "1") == "in_flight"
    assert claim(again) == given
    again.time.at += 61
    again.turn()
    assert again.records[-1]["data"]["code"] == "lease"
    again.close()


def test_a_cancelled_claim_gives_its_slot_back_and_tells_the_worker(rig: Rig) -> None:
    given = claim(rig)
    rig.ask("cancel", "p", step="1")
    assert rig.conductor.world.in_flight == 0
    assert rig.ask("heartbeat", "p", step="1", fence=given["fence"])["cancel"]


def test_a_silence_that_the_engine_could_not_have_heard_is_no_silence(rig: Rig) -> None:
    """It stood still (stopped, suspended) past the lease: the worker has one more, and is missed after that."""
    given = claim(rig)
    rig.time.at += 1_800
    rig.turn()
    assert rig.reason("p", "1") == "in_flight"
    assert not rig.ask("heartbeat", "p", step="1", fence=given["fence"])["cancel"]
    rig.time.at += 61
    rig.turn()
    assert rig.records[-1]["data"]["code"] == "lease"


def test_an_attempt_that_ran_out_while_the_engine_stood_still_may_bring_its_answer(tmp_path: Path) -> None:
    """It may have ended in time: nobody was there to take it."""
    rig = Rig(tmp_path / "bus", agents=WORKERS)
    rig.observe(workflow("p", step("1", agent="coder", timeout={"run": 600.0})))
    given = claim(rig)
    rig.time.at += 3_600
    rig.turn()
    assert result(rig, given["fence"])["committed"]
    assert rig.state("p").steps["1"].answer.output == "done"
    rig.close()


class Full(Disk):
    full = False

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().pwrite(fd, data, offset)


@pytest.fixture
def full(tmp_path: Path) -> Iterator[tuple[Rig, Full]]:
    disk = Full()
    rig = Rig(tmp_path / "full", agents=WORKERS, disk=disk)
    rig.observe(workflow("p", step("1", agent="coder")))
    yield rig, disk
    rig.close()


def heal(rig: Rig, disk: Full) -> None:
    disk.full = False
    rig.time.at += 2
    rig.turn()


def test_a_claim_that_did_not_become_durable_holds_nothing(full: tuple[Rig, Full]) -> None:
    rig, disk = full
    disk.full = True
    with pytest.raises(BusError, match="No space"):
        claim(rig)
    heal(rig, disk)
    assert rig.conductor.world.in_flight == 0
    assert rig.conductor.books.leases.next() is None
    assert claim(rig)["fence"]


def test_a_cancellation_that_did_not_become_durable_ends_no_claim(full: tuple[Rig, Full]) -> None:
    """Its worker goes on, and is missed if it does not."""
    rig, disk = full
    given = claim(rig)
    disk.full = True
    with pytest.raises(BusError, match="No space"):
        rig.ask("cancel", "p", step="1")
    heal(rig, disk)
    beat = rig.ask("heartbeat", "p", step="1", fence=given["fence"])
    assert (beat["cancel"], beat["lease"]) == (False, 60)
    rig.time.at += 61
    rig.turn()
    assert [one["data"]["code"] for one in rig.records if one["type"] == "step.failed"] == ["lease"]


def test_an_answer_that_waits_for_room_keeps_its_claim_until_it_is_recorded(full: tuple[Rig, Full]) -> None:
    """Once: nothing of it is left that could run out."""
    rig, disk = full
    given = claim(rig)
    disk.full = True
    with pytest.raises(BusError, match="No space"):
        result(rig, given["fence"])
    assert not rig.ask("heartbeat", "p", step="1", fence=given["fence"])["cancel"]
    heal(rig, disk)
    assert rig.state("p").steps["1"].answer.output == "done"
    assert rig.conductor.books.leases.next() is None
    assert result(rig, given["fence"])["committed"]


def test_the_slot_of_a_claim_that_is_cancelled_is_given_on(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus", agents=WORKERS, concurrency=1)
    rig.observe(workflow("p", step("1", agent="coder")))
    claim(rig)
    rig.observe(workflow("q", step("1")))
    assert rig.dispatched() == []
    rig.ask("cancel", "p", step="1")
    assert (rig.dispatched(), rig.conductor.world.in_flight) == (["1"], 1)
    rig.close()


def test_what_was_cancelled_and_is_asked_for_again_can_be_claimed(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus", agents=WORKERS)
    rig.observe(workflow("p", step("0"), step("1", agent="coder", after=("0",))))
    rig.settle()
    rig.ask("cancel", "p", step="1")
    rig.ask("run", "p")
    rig.settle()
    assert rig.reason("p", "1") == "no_worker"
    assert claim(rig)["task"]
    assert rig.state("p").steps["1"].cancelled is None
    rig.close()


def test_a_claim_of_what_is_not_on_the_bus_any_more_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glink.fold.MAX_GENERATIONS", 3)
    rig = Rig(tmp_path / "bus", agents=WORKERS)
    for number in range(6):
        rig.observe(workflow("p", step("1", agent="coder"), step("2", f"{number}", agent="coder")))
    with pytest.raises(Refused, match="not on the bus any more"):
        claim(rig)
    rig.close()


def test_what_a_worker_was_given_counts_although_its_project_was_deleted_since(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus", agents=WORKERS)
    rig.observe(workflow("p", step("1", agent="coder")))
    fence = claim(rig)["fence"]
    rig.observe(gone=("p",))
    rig.ask("delete", "p")
    rig.ask("heartbeat", "p", step="1", fence=fence)
    result(rig, fence)
    assert (rig.types()[-1], rig.conductor.world.in_flight) == ("step.succeeded", 0)
    with pytest.raises(NotThere):
        claim(rig)
    rig.close()
