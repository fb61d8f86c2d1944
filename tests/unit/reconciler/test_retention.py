"""What is past its time goes, and nothing that anybody still needs goes with it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from glink.agents.agent import Adoption
from glink.bus import segment
from glink.bus.fsio import Disk
from glink.bus.reader import BusReader
from glink.clock import wait_for
from glink.errors import BusError
from glink.limits import Limits
from glink.reconciler.attempts import Attempts, Ends
from glink.reconciler.memory import Memory
from glink.reconciler.retention import retention_of
from tests.rig import Rig, step, workflow

DAY = 86_400.0
LIMITS = Limits(segment_bytes=8 << 10, reserve_bytes=0)
TWO = workflow("p", step("a", "one"), step("b", "two", ("a",)))
OTHER = workflow("q", step("a", "other"))


def rig_at(path: Path, *, days: int = 30, limits: Limits = LIMITS, **more) -> Rig:
    rig = Rig(path / "bus", limits=limits, **more)
    conductor = rig.conductor
    conductor.retention = retention_of(
        conductor.books, conductor.saver, rig.time.now(), seconds=days * DAY, work=path / "work"
    )
    return rig


def pass_time(rig: Rig, seconds: float) -> None:
    """Let the time pass, and all that is then due be done."""
    rig.time.at += seconds
    settle(rig)


def settle(rig: Rig) -> None:
    retention = rig.conductor.retention
    for _ in range(3000):
        rig.conductor.turn(0)
        rig.conductor.saver.wait()
        retention.close()
        if not retention.busy and retention.wake_at > rig.time.at:
            return
        rig.time.at = max(rig.time.at, min(retention.wake_at, rig.time.at + 1))
    raise AssertionError("retention does not come to rest")


def firsts(rig: Rig) -> list[int]:
    return segment.firsts(Disk(), rig.path / "events")


def settled(tmp_path: Path) -> Rig:
    """Two settled projects whose facts are all 40 days old, and one fact of today."""
    rig = rig_at(tmp_path)
    rig.observe(TWO, OTHER)
    rig.settle()
    rig.ask("suspend", "q")
    pass_time(rig, 40 * DAY)
    assert rig.bus.first_seq == 1
    rig.ask("resume", "q")
    pass_time(rig, 2 * DAY)
    return rig


def test_old_segments_go_and_the_states_stay(tmp_path: Path) -> None:
    """Every project is carried, and the world; nothing is dispatched for it."""
    rig = settled(tmp_path)
    assert rig.bus.first_seq > 1
    assert rig.types().count("project.carried") == 2
    assert {"engine.carried", "log.trimmed"} <= set(rig.types())
    assert sorted(rig.dispatched()) == ["a", "a", "b"]
    assert rig.state("p").steps["b"].answer.output.startswith("two")
    rig.close()


@pytest.mark.parametrize("clean", [True, False])
def test_after_a_trim_all_is_rebuilt_without_any_checkpoint(tmp_path: Path, clean: bool) -> None:
    """The same states byte for byte, and no step is dispatched."""
    rig = settled(tmp_path)
    before = {name: desk.state.packed() for name, desk in rig.desks.items()}
    world = rig.conductor.world.packed()
    rig.bus.close(clean=clean)
    for file in (rig.path / "checkpoints").iterdir():
        file.unlink()
    reader = BusReader(rig.path, limits=LIMITS)
    assert {name: state.packed() for name, state in Memory.read(reader).states.items()} == before
    again = rig_at(tmp_path)
    again.time.at = rig.time.at
    assert {name: desk.state.packed() for name, desk in again.desks.items()} == before
    assert again.conductor.world.packed() == world
    again.observe(TWO, OTHER)
    again.settle()
    assert again.dispatched() == []
    assert again.types() == []
    again.close()


def test_the_checkpoints_left_by_a_trim_are_whole_and_new(tmp_path: Path) -> None:
    """A restart folds only what came after them."""
    rig = settled(tmp_path)
    manifest = rig.bus.manifest_seq
    assert manifest >= next(one["seq"] for one in rig.records if one["type"] == "engine.carried")
    assert len(list(rig.bus.checkpoints())) == 3
    assert rig.bus.bad_checkpoints == 0
    rig.close()


def test_a_long_state_is_carried_as_a_blob(tmp_path: Path) -> None:
    """Whose loss is called what it is."""
    rig = rig_at(tmp_path)
    rig.observe(workflow("p", *(step(f"s{n}", "x" * 900) for n in range(30))))
    rig.settle()
    pass_time(rig, 40 * DAY)
    rig.ask("suspend", "p")
    pass_time(rig, 2 * DAY)
    carried = [one for one in rig.records if one["type"] == "project.carried"][-1]
    assert "state" not in carried["data"]
    before = rig.state("p").packed()
    rig.bus.close(clean=False)
    for file in (rig.path / "checkpoints").iterdir():
        file.unlink()
    assert Memory.read(BusReader(rig.path, limits=LIMITS)).states["p"].packed() == before
    (rig.path / "blobs" / "sha256" / carried["data"]["blob"][:2] / carried["data"]["blob"][2:]).unlink()
    with pytest.raises(Exception, match=r"the state of p as of record \d+ is in blob .* which is gone"):
        Memory.read(BusReader(rig.path, limits=LIMITS))


def test_an_attempt_whose_dispatch_was_trimmed_is_adopted_and_commits(tmp_path: Path) -> None:
    """It runs for longer than the bus remembers; what it was given travels with the state."""
    rig = rig_at(tmp_path)
    rig.observe(TWO)
    rig.conductor.turn(0)
    fence = min(rig.hands.jobs)
    pass_time(rig, 40 * DAY)
    rig.observe(TWO, OTHER)
    pass_time(rig, 2 * DAY)
    assert rig.bus.first_seq > fence
    rig.bus.close(clean=False)
    again = rig_at(tmp_path, adoption=Adoption.RUNNING)
    again.time.at = rig.time.at
    again.observe(TWO, OTHER)
    assert again.hands.jobs[fence].task.text == "one"
    again.succeed(fence, "late")
    again.settle()
    assert again.state("p").steps["a"].answer.output == "late"
    again.close()


def test_a_displaced_answer_is_kept_for_its_time_and_then_left_out(tmp_path: Path) -> None:
    """Counted from when it was last current. What stands stays for ever."""
    rig = rig_at(tmp_path)
    one, two = workflow("p", step("a", "one")), workflow("p", step("a", "two"))
    rig.observe(one)
    rig.settle()
    pass_time(rig, 60 * DAY)  # "one" stands all this time
    rig.observe(two)
    rig.settle()
    pass_time(rig, 20 * DAY)
    assert rig.bus.first_seq > 1
    assert len(rig.state("p").steps["a"].answers) == 2
    rig.observe(one)
    rig.settle()
    assert rig.dispatched() == ["a", "a"]  # restored, not paid for again
    pass_time(rig, 60 * DAY)
    rig.ask("suspend", "p")
    pass_time(rig, 35 * DAY)
    rig.ask("resume", "p")
    pass_time(rig, 35 * DAY)
    assert [answer.output for answer in rig.state("p").steps["a"].answers.values()] == ["one"]
    rig.close()


def test_a_reader_at_work_pins_the_log_for_a_while(tmp_path: Path) -> None:
    """It reads on to the end of what it began; one that never goes on is left behind, and is told so."""
    rig = rig_at(tmp_path)
    rig.observe(TWO, OTHER)
    rig.settle()
    for _ in range(60):
        rig.ask("suspend", "p")
        rig.ask("resume", "p")
    reader = BusReader(rig.path, limits=LIMITS).replay(0)
    slow = rig.bus.replay(0)
    assert next(reader)["seq"] == next(slow)["seq"] == 1
    assert len(firsts(rig)) > 2
    end = rig.bus.durable_seq
    rig.time.at += 40 * DAY
    rig.ask("suspend", "p")
    for _ in range(50):
        rig.conductor.turn(0)
        rig.conductor.saver.wait()
        rig.time.at += 1
    assert rig.bus.first_seq == 1
    assert [one["seq"] for one in reader] == list(range(2, end + 1))
    pass_time(rig, LIMITS.reader_pin)
    assert rig.bus.first_seq > 1
    with pytest.raises(Exception, match="taken away by retention while they were to be read"):
        list(slow)
    rig.close()


def test_a_trim_takes_at_most_a_tenth_of_the_log_and_at_least_a_segment(tmp_path: Path) -> None:
    """In one pass; the next passes take the rest."""
    rig = rig_at(tmp_path)
    rig.observe(TWO)
    rig.settle()
    for _ in range(600):
        rig.ask("suspend", "p")
        rig.ask("resume", "p")
    assert len(firsts(rig)) > 20
    pass_time(rig, 40 * DAY)
    trims = [one["data"]["through"] for one in rig.records if one["type"] == "log.trimmed"]
    assert len(trims) >= 8
    assert trims == sorted(trims)
    assert firsts(rig)[0] == trims[-1] + 1
    rig.close()


def test_a_wrong_clock_at_the_start_trims_nothing(tmp_path: Path) -> None:
    """Ten years ahead: time counts on from the newest record."""
    rig = rig_at(tmp_path)
    rig.observe(TWO, OTHER)
    rig.settle()
    rig.time.at += 2 * DAY
    rig.ask("suspend", "p")
    at = rig.time.at
    rig.bus.close(clean=False)
    again = rig_at(tmp_path, time=type(rig.time)(at + 3650 * DAY))
    again.observe(TWO, OTHER)
    pass_time(again, DAY)
    assert again.bus.first_seq == 1
    again.close()


def test_a_crash_between_the_record_of_a_trim_and_the_deed_is_made_up_for(tmp_path: Path) -> None:
    """By the next opening, from any part of it that was done."""
    rig = settled(tmp_path)
    for _ in range(200):
        rig.ask("suspend", "p")
        rig.ask("resume", "p")
    through = [span.last for span in rig.bus.trimmable("9999")][-1]
    settle(rig)
    states = {name: desk.state.packed() for name, desk in rig.desks.items()}
    for name in ("p", "q"):
        state = rig.state(name)
        rig.bus.stage({"type": "project.carried", "project": name, "data": {"state": {}, "as_of": state.seq}})
    rig.bus.rollback()
    spans = [first for first in firsts(rig) if first <= through]
    assert spans
    rig.bus.stage({"type": "log.trimmed", "data": {"through": through}})
    rig.bus.commit()
    rig.bus.close(clean=False)
    (rig.path / "events" / segment.name_of(spans[-1])).unlink()  # the one, and not those before it
    again = rig_at(tmp_path)
    assert again.bus.first_seq == through + 1
    assert set(states) == set(again.desks)
    again.bus.close(clean=False)
    (rig.path / "events" / segment.name_of(firsts(again)[0])).unlink()
    assert rig_at(tmp_path).bus.damages[0].lost == (through + 1, firsts(again)[0] - 1)


def test_a_body_that_nothing_names_goes_and_a_named_one_stays(tmp_path: Path) -> None:
    """After a trim, and after an hour's grace; one that is put again in between is pardoned."""
    rig = settled(tmp_path)
    blobs = rig.bus.blobs
    lost, again = blobs.put(b"nobody names this"), blobs.put(b"somebody will")
    kept = set(blobs.stored()) - {lost, again}
    assert kept
    rig.conductor.retention._trimmed = True
    rig.conductor.retention._execute_at = None
    pass_time(rig, LIMITS.tidy)
    assert blobs.has(lost)
    blobs.put(b"somebody will")
    pass_time(rig, LIMITS.blob_grace + 1)
    assert set(blobs.stored()) == kept | {again}
    rig.close()


def test_a_segment_that_cannot_be_read_stops_retention_and_nothing_else(tmp_path: Path) -> None:
    """It is counted and said; the engine goes on, and takes nothing away."""
    rig = rig_at(tmp_path)
    rig.observe(TWO, OTHER)
    rig.settle()
    rig.time.at += 2 * DAY
    rig.ask("suspend", "q")
    file = rig.path / "events" / segment.name_of(1)
    file.write_bytes(file.read_bytes().replace(b'"glink":"seal"', b'"glink":"sEal"'))
    pass_time(rig, 60 * DAY)
    assert rig.conductor.failure is None
    assert rig.conductor.retention.troubles > 0
    assert "the seal of the segment that begins at 1 is missing or damaged" in rig.conductor.retention.trouble
    rig.ask("resume", "q")
    assert rig.bus.first_seq == 1
    rig.bus.close(clean=False)


def make_attempt(folder: Path, fence: int, size: int = 10) -> Path:
    path = folder / str(fence)
    (path / "deep").mkdir(parents=True)
    (path / "deep" / "file").write_bytes(b"x" * size)
    return path


def test_folders_of_attempts_go_in_their_time(tmp_path: Path) -> None:
    """A succeeded one after a day, any other after a week, one in flight and one younger than the look never."""
    for fence in (1, 2, 3, 4, 5, 6, 9):
        make_attempt(tmp_path, fence)
    (tmp_path / "notes").mkdir()
    ends = Ends(newest=8, flying={3}, ok={1: 0.0, 2: DAY}, failed={4: 0.0})
    attempts = Attempts(tmp_path, LIMITS, lambda fence: {5: DAY}.get(fence))
    assert attempts.tidy(ends, 1.5 * DAY) == 2
    assert sorted(os.listdir(tmp_path)) == ["2", "3", "4", "5", "9", "notes"]
    attempts.tidy(ends, 7.5 * DAY)
    assert sorted(os.listdir(tmp_path)) == ["3", "5", "9", "notes"]
    assert Attempts(tmp_path / "none", LIMITS, lambda fence: None).tidy(ends, 0) == 0


def test_folders_beyond_the_byte_limit_go_oldest_first(tmp_path: Path) -> None:
    """Whatever their age; what cannot be entered is opened."""
    for fence in (1, 2, 3, 4):
        make_attempt(tmp_path, fence, 100_000)
    (tmp_path / "1" / "deep").chmod(0)
    ends = Ends(newest=8, flying={2}, ok={3: 0.0, 4: 0.0})
    limits = Limits(attempts_bytes=150_000)
    Attempts(tmp_path, limits, lambda fence: 0.0).tidy(ends, 1.0)
    assert sorted(os.listdir(tmp_path)) == ["2", "4"]


def test_links_in_a_folder_lead_nowhere(tmp_path: Path) -> None:
    """An agent may leave a link to anything: the link goes, the thing stays."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x")
    attempt = make_attempt(tmp_path / "attempts", 1)
    (attempt / "link").symlink_to(tmp_path / "precious")
    Attempts(tmp_path / "attempts", LIMITS, lambda fence: None).tidy(Ends(newest=5), 0.0)
    assert not attempt.exists()
    assert (tmp_path / "precious" / "file").exists()


def test_a_full_disk_gives_up_its_reserve_for_answers_and_dispatches_nothing(tmp_path: Path) -> None:
    """Until there is room again: then the reserve is back, and what waited goes on."""

    class Filling(Disk):
        room = True

        def allocate(self, fd, size):
            if not self.room:
                raise OSError(28, "no space left on device")
            super().allocate(fd, size)

        def pwrite(self, fd, data, offset):
            if not self.room and (self.path / "reserve").exists():
                raise OSError(28, "no space left on device")
            return super().pwrite(fd, data, offset)

    disk = Filling()
    disk.path = tmp_path / "bus"
    rig = rig_at(tmp_path, disk=disk, limits=Limits(reserve_bytes=1 << 16))
    rig.observe(TWO)
    assert (tmp_path / "bus" / "reserve").stat().st_size == 1 << 16
    disk.room = False
    rig.succeed(min(rig.hands.jobs), "paid")
    rig.turn()
    assert not (tmp_path / "bus" / "reserve").exists()
    pass_time(rig, 2)
    assert rig.state("p").steps["a"].answer.output == "paid"
    assert rig.dispatched() == ["a"]
    assert rig.reason("p", "b") == "never_ran"
    disk.room = True
    pass_time(rig, 10)
    rig.turn()
    assert rig.dispatched() == ["a", "b"]
    assert (tmp_path / "bus" / "reserve").stat().st_size == 1 << 16
    assert wait_for(lambda: not rig.conductor.world.full, seconds=1)
    rig.close()


def test_a_state_that_finds_no_room_to_be_carried_forgets_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = rig_at(tmp_path, days=2, limits=LIMITS._replace(inline_bytes=300))
    for task in "abcdefgh":
        rig.observe(workflow("p", step("1", task)))
        rig.settle(lambda job: "answer")
    rig.time.at += 5 * DAY

    def full(data: bytes) -> str:
        raise BusError("no room", errno=errno.ENOSPC)

    before = rig.state("p").packed()
    with monkeypatch.context() as patch:
        patch.setattr(rig.bus.blobs, "put", full)
        rig.conductor.retention.wake_at = 0
        for _ in range(3):
            rig.conductor.turn(0)
            rig.time.at += 3_600
    assert rig.conductor.retention.trouble
    assert (rig.state("p").packed(), rig.types().count("project.carried")) == (before, 0)
    pass_time(rig, DAY)
    assert "project.carried" in rig.types()
    assert len(rig.state("p").steps["1"].answers) == 1
    rig.close()
