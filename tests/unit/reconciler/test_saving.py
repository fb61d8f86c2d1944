"""Checkpoints are packed some at a time: what is held, what the manifest vouches for, what the next offer writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from threading import Event, current_thread
from typing import Any

from glink.errors import BusError
from glink.limits import Limits
from glink.reconciler.memory import WORLD, Memory
from glink.reconciler.saving import Saver
from glink.state import ProjectState
from glink.world import World
from tests.rig import Rig, step, workflow

LIMITS = Limits(checkpoint_events=100, checkpoint_quiet=5)
LONG = "x" * (1_500 << 10)  # two of them are more than a piece


@dataclass
class Checkpoints:
    """What was written: seqs by name, and of the manifest. `refuses` is a name that cannot be written."""

    seqs: dict[str, int] = field(default_factory=dict)
    manifest: int = 0
    refuses: str = ""

    def write_checkpoint(self, name: str, seq: int, payload: bytes) -> None:
        if name == self.refuses:
            raise BusError("full", errno=28)
        self.seqs[name] = seq

    def write_manifest(self, seq: int) -> None:
        self.manifest = seq

    def write_rest(self, seq: int, payload: bytes) -> None:
        raise AssertionError("nothing is known of projects at rest")


class Stage:
    """Projects a to f, each with a long state as of its own record, and a saver whose owner goes on by hand."""

    def __init__(self) -> None:
        self.written = Checkpoints()
        self.states = {name: ProjectState(name, seq=seq, revision=LONG) for seq, name in enumerate("abcdef", 1)}
        self.world = World(seq=7)
        self.saver = Saver(self.written, Memory(), lambda: None, LIMITS)

    def offer(self) -> bool:
        return self.saver.offer(self.states, self.world)

    def go_on(self) -> set[str]:
        """One piece more; what is written by then."""
        self.saver.go_on()
        assert self.saver._thread is not None
        self.saver._thread.join()
        return set(self.written.seqs)


def test_the_next_states_are_packed_once_the_last_ones_are_written() -> None:
    stage = Stage()
    assert stage.offer()
    assert not stage.written.seqs
    assert stage.go_on() == {"a", "b"}
    assert stage.go_on() == {"a", "b", "c", "d"}
    assert stage.written.manifest == stage.saver.saved_seq == 0
    stage.saver.wait()
    assert set(stage.written.seqs) == {*"abcdef", WORLD}
    assert stage.written.manifest == stage.saver.saved_seq == 7


def test_a_state_that_has_gone_on_is_written_as_it_is_and_vouched_for_as_it_was() -> None:
    """What came after the offer may be missing in others: the manifest says nothing of it."""
    stage = Stage()
    stage.offer()
    stage.go_on()
    stage.states["a"].seq, stage.states["f"].seq = 8, 9
    stage.saver.wait()
    assert (stage.written.seqs["a"], stage.written.seqs["f"], stage.written.manifest) == (1, 9, 7)
    assert stage.offer()
    stage.saver.wait()
    assert (stage.written.seqs["a"], stage.written.manifest) == (8, 9)


def test_nothing_is_offered_while_an_offer_is_being_written() -> None:
    stage = Stage()
    stage.offer()
    assert not stage.offer()
    assert stage.go_on() == {"a", "b"}
    assert not stage.offer()
    stage.saver.wait()
    assert stage.offer()


def test_states_that_are_not_what_is_durable_are_not_packed() -> None:
    stage = Stage()
    stage.offer()
    stage.saver.leave_off()
    stage.saver.wait()
    assert not stage.written.seqs
    stage.offer()
    stage.go_on()
    stage.saver.leave_off()
    stage.saver.wait()
    assert (set(stage.written.seqs), stage.written.manifest) == ({"a", "b"}, 0)
    stage.written.seqs.clear()
    assert stage.offer()
    stage.saver.wait()
    assert (set(stage.written.seqs), stage.written.manifest) == ({*"cdef", WORLD}, 7)


def test_after_a_piece_that_is_refused_nothing_is_vouched_for_and_the_next_offer_holds_it_again() -> None:
    stage = Stage()
    stage.written.refuses = "d"
    stage.offer()
    stage.saver.wait()
    assert (stage.saver.failures, stage.written.manifest) == (1, 0)
    stage.written.refuses = ""
    assert stage.offer()
    stage.saver.wait()
    assert set(stage.written.seqs) == {*"abcdef", WORLD}
    assert stage.written.manifest == 7


def test_a_saver_is_asked_when_much_has_changed_and_when_something_has_and_all_is_quiet_since() -> None:
    stage = Stage()
    saver = stage.saver
    assert (saver.due(0, 50.0), saver.wake_at) == (False, inf), "nothing has happened"
    assert (saver.due(1, 60.0), saver.wake_at) == (False, 65.0)
    assert (saver.due(2, 64.0), saver.wake_at) == (False, 69.0), "not so quiet"
    assert saver.due(2, 69.0)
    stage.offer()
    assert (saver.due(2, 80.0), saver.wake_at) == (False, inf), "it is being written"
    saver.wait()
    assert (saver.due(2, 90.0), saver.wake_at) == (False, inf)
    assert (saver.due(101, 91.0), saver.due(102, 91.0)) == (False, True), "a hundred since the last offer"


def test_what_happens_while_it_is_being_saved_is_saved_once_that_is_quiet_too() -> None:
    stage = Stage()
    saver = stage.saver
    saver.due(1, 10.0)
    stage.offer()
    assert (saver.due(2, 12.0), saver.due(2, 30.0), saver.wake_at) == (False, False, inf)
    saver.wait()
    assert (saver.wake_at, saver.due(2, 17.0)) == (17.0, True)


def test_an_engine_saves_what_happened_once_it_is_quiet_and_writes_no_event_for_it(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "bus", saves_when_quiet=True)
    rig.observe(workflow("p", step("a")))
    rig.settle()
    last = rig.bus.durable_seq
    assert rig.conductor._patience() == 5.0
    assert rig.bus.manifest_seq == 0
    rig.time.at += 5
    rig.turn()
    rig.conductor.saver.wait()
    assert (rig.bus.manifest_seq, rig.bus.durable_seq) == (last, last)
    assert rig.conductor._patience() == inf
    rig.close()


def test_a_checkpoint_that_falls_due_with_the_stop_is_waited_for(tmp_path: Path) -> None:
    """What its thread still holds is not passed over, and vouched for, by the last save."""
    rig = Rig(tmp_path / "bus", limits=Limits(checkpoint_events=4))
    rig.observe(workflow("p", step("1")))
    verbs = ("suspend", "resume")
    while rig.bus.durable_seq - rig.conductor.saver._offered != 3:
        rig.ask(verbs[rig.state("p").suspended], "p")
        rig.conductor.saver.wait()
    written, real = [], rig.bus.write_checkpoint

    def slow(name: str, seq: int, payload: bytes) -> None:
        if current_thread().name == "checkpoints":
            vouched.wait(0.2)
        real(name, seq, payload)
        written.append(name)

    def vouch(seq: int, real: Any = rig.bus.write_manifest) -> None:
        vouched.set()
        real(seq)
        if current_thread().name != "checkpoints":
            assert set(written) == {"p", WORLD}

    vouched = Event()
    rig.bus.write_checkpoint, rig.bus.write_manifest = slow, vouch  # type: ignore[method-assign]
    kept = rig.state("p").packed()
    rig.close()
    again = Rig(tmp_path / "bus")
    assert again.state("p").packed() == kept
    again.close()
