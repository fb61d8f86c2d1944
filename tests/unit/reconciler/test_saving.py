"""Checkpoints are packed some at a time: what is held, what the manifest vouches for, what the next offer writes."""

from __future__ import annotations

from dataclasses import dataclass, field

from glink.errors import BusError
from glink.reconciler.memory import WORLD, Memory
from glink.reconciler.saving import Saver
from glink.state import ProjectState
from glink.world import World

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
        self.saver = Saver(self.written, Memory(), wake=lambda: None)

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
