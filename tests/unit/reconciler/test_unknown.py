"""A damaged bus: projects that are known past what is lost go on, of the others nothing is done until it is accepted."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from glink.agents.agent import Adoption
from glink.bus import fsck, segment
from glink.bus.fsio import Disk
from glink.bus.reader import BusReader
from glink.bus.repair import repair
from glink.clock import SystemClock
from glink.errors import BusCorrupt, GlinkError, NotThere
from glink.event import Record
from glink.limits import Limits
from glink.reconciler.memory import WORLD, Memory
from glink.reconciler.retention import retention_of
from glink.reconciler.survey import survey
from glink.wiring import surroundings_of
from tests.rig import START, Rig, step, workflow

LIMITS = Limits(segment_bytes=4 << 10, reserve_bytes=0)
NAMES = ("fly", "new", "old")


def flow(name: str, word: str = "do it") -> dict[str, Any]:
    return workflow(name, step("1", word), step("2", f"{word} then", ("1",)))


def open_rig(path: Path, adoption: Adoption = Adoption.RUNNING) -> Rig:
    rig = Rig(path, limits=LIMITS, adoption=adoption)
    rig.time.at = START + 100
    return rig


def save(rig: Rig, *names: str) -> None:
    """Checkpoints and manifest; with names only theirs, as a crash before the manifest leaves it."""
    memory, books = rig.conductor._memory, rig.conductor.books
    snapshot = memory.snapshot(books.states(), rig.conductor.world)
    for name, seq, payload in memory.piece(snapshot):
        if not names or name in names:
            rig.bus.write_checkpoint(name, seq, payload)
    if not names:
        rig.bus.write_manifest(snapshot.seq)


def lived(path: Path, *, saved: Callable[[Rig], None] = save) -> list[Record]:
    """Three projects: `old` has settled before the checkpoints, `new` after them, and step 2 of `fly` is at work."""
    rig = Rig(path, limits=LIMITS, concurrency=8)
    rig.observe(*map(flow, NAMES))
    for _ in range(12):
        rig.ask("suspend", "old")
        rig.ask("resume", "old")
    rig.succeed(next(fence for fence, job in rig.hands.jobs.items() if job.task.project == "fly"))
    rig.succeed(next(fence for fence, job in rig.hands.jobs.items() if job.task.project == "old"))
    rig.turn()
    rig.succeed(next(fence for fence, job in rig.hands.jobs.items() if job.task.project == "old"))
    rig.turn()
    saved(rig)
    for _ in range(2):
        rig.succeed(next(fence for fence, job in rig.hands.jobs.items() if job.task.project == "new"))
        rig.turn()
    for _ in range(8):
        rig.ask("suspend", "new")
        rig.ask("resume", "new")
    records = list(rig.bus.replay(0))
    rig.close(clean=False)
    return records


def spoil(file: Path) -> None:
    """Flips a byte in the middle record, so that later ones show that it is no torn end."""
    data = bytearray(file.read_bytes())
    lines = data.split(b"\n")
    at = sum(len(line) + 1 for line in lines[: len(lines) // 2]) + 60
    data[at] ^= 1
    file.write_bytes(data)


def damaged(path: Path, target: Path) -> Iterator[tuple[str, Path]]:
    """A copy of the bus for every segment, with a flipped byte in it or without it."""
    for first in segment.firsts(Disk(), path / "events"):
        for kind in ("flipped", "gone"):
            copy = target / f"{kind}-{first}"
            shutil.copytree(path, copy)
            file = copy / "events" / segment.name_of(first)
            spoil(file) if kind == "flipped" else file.unlink()
            yield copy.name, copy


def lost_by(path: Path) -> tuple[int, int] | None:
    found = [one.lost for one in fsck.damages(Disk(), path, LIMITS) if one.lost is not None]
    return found[0] if found else None


def given(path: Path, after: int) -> list[tuple[str, str]]:
    """The steps that were given away after a record."""
    records = BusReader(path, limits=LIMITS).replay(after)
    return [(one["project"], one["step"]) for one in records if one["type"] == "step.dispatched"]


def accept(path: Path) -> None:
    """What `glink repair` does."""
    repair(
        Disk(),
        path,
        LIMITS,
        [one.lost for one in fsck.check(Disk(), path, LIMITS).damages if one.lost],
        clock=SystemClock(),
    )


def test_damage_in_every_segment(tmp_path: Path) -> None:
    """No step that is done runs again, nothing of an unknown project is given away, and repair brings it back."""
    records = lived(tmp_path / "bus")
    manifest = BusReader(tmp_path / "bus", limits=LIMITS).manifest_seq
    done = {(one["project"], one["step"]) for one in records if one["type"] == "step.succeeded"}
    assert done == {("fly", "1"), ("old", "1"), ("old", "2"), ("new", "1"), ("new", "2")}
    seen = {"sound": 0, "unknown": 0}
    for name, path in damaged(tmp_path / "bus", tmp_path):
        lost, checkpoints = lost_by(path), contents(path / "checkpoints")
        if lost is None:  # the newest segment is gone after a crash, and nothing says that it was there
            assert name == f"gone-{segment.firsts(Disk(), tmp_path / 'bus' / 'events')[-1]}"
            continue
        rig = open_rig(path)
        rig.observe(*(flow(one, "do it") for one in NAMES))
        unknown = {one for one, desk in rig.desks.items() if desk.unknown}
        assert unknown == (set() if manifest >= lost[1] else set(NAMES)), name
        seen["unknown" if unknown else "sound"] += 1
        assert rig.dispatched() == [], name
        if unknown:
            assert rig.hands.jobs == {}
            assert {one.get("project") for one in rig.records} <= {None}
            for project in NAMES:
                with pytest.raises(BusCorrupt, match=f"glink repair --accept-loss {lost[0]}-"):
                    rig.ask("run", project)
            rig.observe(*(flow(one, "edited") for one in NAMES))
            assert rig.dispatched() == []
        else:
            (fence,) = rig.hands.jobs
            rig.succeed(fence, "the answer")
            rig.settle()
            assert rig.state("fly").steps["2"].answer.output == "the answer"
            assert rig.dispatched() == []
        assert rig.hands.cancelled == []
        before = rig.bus.durable_seq
        rig.close()
        if unknown:
            assert contents(path / "checkpoints") == checkpoints
        accept(path)
        again = open_rig(path)
        assert not any(desk.unknown for desk in again.desks.values())
        again.observe(*(flow(one) for one in NAMES))
        again.settle()
        assert all(again.state(one).settled.status == "succeeded" for one in NAMES), name
        gone = {one.get("project") for one in records if lost[0] <= one["seq"] <= lost[1]} if unknown else set()
        assert {one for one in given(path, before) if one in done and one[0] not in gone} == set(), name
        again.close()
    assert seen["sound"] > 1
    assert seen["unknown"] > 1


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def partly(tmp_path: Path) -> Path:
    """The manifest is older than what is lost; `old` and the world are known past it, `new` and `fly` are not."""
    return known_past_the_damage(tmp_path / "bus", "old", WORLD)


def known_past_the_damage(path: Path, *names: str) -> Path:
    records = lived(path, saved=lambda rig: None)
    rig = open_rig(path)
    rig.conductor.start()
    rig.observe(*map(flow, NAMES))
    rig.ask("suspend", "old")
    rig.ask("resume", "old")
    save(rig, *names)
    rig.close(clean=False)
    lost = next(one for one in records if one["type"] == "step.succeeded" and one["project"] == "fly")["seq"]
    first = max(first for first in segment.firsts(Disk(), path / "events") if first <= lost)
    file = path / "events" / segment.name_of(first)
    line = next(one for one in file.read_bytes().splitlines() if one.startswith(b'{"seq":%d,' % lost))
    file.write_bytes(file.read_bytes().replace(line, line.replace(b"succeeded", b"Succeeded")))
    return path


def test_those_that_are_known_go_on_beside_those_that_are_not(partly: Path) -> None:
    """An edit of each: one runs, of the others nothing is written, and what is asked of them is refused with the cure."""
    rig = open_rig(partly)
    assert {name for name, desk in rig.desks.items() if desk.unknown} == {"fly", "new"}
    rig.observe(*(flow(name, "edited") for name in NAMES), flow("later"))
    assert rig.dispatched("old") == ["1"]
    assert {job.task.project for job in rig.hands.started} == {"old"}
    # a project that came later may have been there already, as far as the manifest tells
    assert rig.desks["later"].unknown
    rig.settle()
    assert rig.state("old").settled.status == "succeeded"
    assert {one.get("project") for one in rig.records} == {None, "old"}
    for verb, more in (("run", {}), ("suspend", {}), ("cancel", {}), ("retry", {"step": "1"}), ("delete", {})):
        with pytest.raises(BusCorrupt, match=r"the state of fly is not known: .*glink repair --accept-loss"):
            rig.ask(verb, "fly", **more)
    with pytest.raises(BusCorrupt, match="glink repair"):
        rig.ask("write", "old", events=[{"project": "old", "type": "note.x"}, {"project": "new", "type": "note.x"}])
    rig.observe(gone=("new",))
    assert not rig.state("new").orphaned
    with pytest.raises(NotThere if not rig.conductor.books.doubt.of("nobody") else BusCorrupt):
        rig.ask("run", "nobody")
    rig.close()


def test_status_and_why_name_the_damage_and_the_command(partly: Path) -> None:
    """And show what was last known of its steps."""
    rig = open_rig(partly)
    rig.observe(*map(flow, NAMES))
    report = survey(rig.desks["fly"], rig.time.at)
    assert (report.sync, report.health) == ("Unknown", "Unknown")
    condition = report.condition("BusCorrupt")
    assert condition is not None and condition.status
    lost = rig.bus.damages[0].lost
    assert lost is not None
    for word in (
        ".jsonl: damaged at byte ",
        f"records {lost[0]}-{lost[1]}",
        f"glink repair --accept-loss {lost[0]}-{lost[1]}",
    ):
        assert word in condition.message
    assert {row.reason for row in report.steps} == {"bus_corrupt"}
    assert survey(rig.desks["old"], rig.time.at).sync == "Synced"
    assert survey(rig.desks["old"], rig.time.at).condition("BusCorrupt") is None
    rig.close()


def test_a_batch_that_failed_does_not_make_the_unknown_known(partly: Path) -> None:
    """States are read back from the bus as they were at the start, slots included."""
    rig = open_rig(partly)
    rig.observe(*map(flow, NAMES))
    rig.ask("suspend", "old")
    real = rig.bus.commit

    def full() -> None:
        rig.bus.rollback()
        from glink.errors import BusError

        raise BusError("no room", errno=28)

    rig.bus.commit = full  # type: ignore[method-assign]
    with pytest.raises(GlinkError):
        rig.ask("resume", "old")
    rig.bus.commit = real  # type: ignore[method-assign]
    rig.time.at += 5
    rig.ask("resume", "old")
    assert rig.conductor.world.in_flight == 0
    assert {name for name, desk in rig.desks.items() if desk.unknown} == {"fly", "new"}
    rig.close()


def test_what_was_carried_behind_the_damage_is_known(partly: Path) -> None:
    """Without any checkpoint: the whole state is in the event."""
    rig = open_rig(partly)
    state = Memory.until(rig.bus, seq=rig.bus.damages[0].lost[0] - 1).states["fly"]  # type: ignore[index]
    from glink.jsontext import loads

    rig.bus.stage({"type": "project.carried", "project": "fly", "data": {"as_of": 1, "state": loads(state.packed())}})
    rig.bus.commit()
    rig.close(clean=False)
    rig = open_rig(partly)
    assert {name for name, desk in rig.desks.items() if desk.unknown} == {"new"}
    assert Memory.of(rig.bus, "fly").states["fly"].packed() == rig.state("fly").packed()
    with pytest.raises(BusCorrupt, match="the state of new is not known any more"):
        Memory.of(rig.bus, "new")
    rig.close()


def test_nothing_old_is_taken_away_while_the_bus_is_damaged(partly: Path) -> None:
    """Not events, not bodies, not folders of attempts; not checkpoints either, which would vouch for what is not known."""
    rig = open_rig(partly)
    books, work = rig.conductor.books, partly.parent / "work"
    flying = next(past.fence for past in rig.state("fly").steps.values() if past.fence)
    folder = work / "attempts" / str(flying - 1)
    folder.mkdir(parents=True)
    rig.conductor.retention = retention_of(books, rig.conductor.saver, rig.time.at, seconds=1, work=work)
    files, blobs = contents(partly / "checkpoints"), set(rig.bus.blobs.stored())
    for _ in range(20):
        rig.time.at += 86_400
        rig.turn()
        rig.conductor.retention.close()
    assert not rig.conductor.saver.offer(books.states(), rig.conductor.world)
    assert rig.bus.first_seq == 1
    assert segment.firsts(Disk(), partly / "events")[0] == 1
    assert (contents(partly / "checkpoints"), set(rig.bus.blobs.stored())) == (files, blobs)
    assert folder.exists()
    assert not rig.conductor.retention.busy
    rig.close()
    assert contents(partly / "checkpoints") == files


def test_an_attempt_whose_dispatch_cannot_be_read_is_left_alone(tmp_path: Path) -> None:
    """Its state is known, what it was given is not: it is neither ended nor called lost, and the others go on."""
    path = tmp_path / "bus"
    records = lived(path)
    rig = open_rig(path)
    save(rig)
    rig.close(clean=False)
    flying = [one for one in records if one["type"] == "step.dispatched" and one["project"] == "fly"][-1]["seq"]
    first = max(first for first in segment.firsts(Disk(), path / "events") if first <= flying)
    file = path / "events" / segment.name_of(first)
    line = next(one for one in file.read_bytes().splitlines() if one.startswith(b'{"seq":%d,' % flying))
    file.write_bytes(file.read_bytes().replace(line, line.replace(b"dispatched", b"Dispatched")))
    rig = open_rig(path)
    rig.observe(*(flow(name) for name in NAMES))
    assert {name for name, desk in rig.desks.items() if desk.unknown} == {"fly"}
    assert (rig.hands.jobs, rig.hands.cancelled, rig.dispatched(), rig.conductor.world.in_flight) == ({}, [], [], 0)
    assert rig.state("fly").steps["2"].fence == flying
    with pytest.raises(BusCorrupt, match="cannot be read"):
        rig.ask("run", "fly")
    rig.observe(flow("old", "edited"))
    assert rig.dispatched() == ["1"]
    rig.close(clean=False)


def test_without_what_all_share_nobody_is_known(tmp_path: Path) -> None:
    """Agents may be paused or cooling: a project whose own state is known must not give to them."""
    rig = open_rig(known_past_the_damage(tmp_path / "bus", "old"))
    rig.observe(*(flow(name, "edited") for name in NAMES), flow("later"))
    assert all(desk.unknown for desk in rig.desks.values())
    assert rig.dispatched() == []
    rig.close()


def test_answers_of_an_unknown_project_are_not_taken_over(partly: Path) -> None:
    """Whether its files are gone is not known either."""
    rig = open_rig(partly)
    rig.state("new").orphaned = True
    again = surroundings_of(rig.bus.blobs.get, rig.desks)
    keys = [key for past in rig.state("new").steps.values() for key in past.answers]
    assert keys
    assert all(again.vanished(key) is None for key in keys)
    rig.desks["new"].unknown = ""
    assert any(surroundings_of(rig.bus.blobs.get, rig.desks).vanished(key) for key in keys)
    rig.close()
