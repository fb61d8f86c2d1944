"""A bus on a simulated disk against a dict: whatever is done to it, in whatever order, what was acknowledged is there."""

from __future__ import annotations

from random import Random

from hypothesis import Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.strategies import integers, lists, sampled_from

from glink.bus.bus import Bus
from glink.testing.simulated_disk import SimulatedDisk
from tests.fault.story import DAY, Story, counted, prove

PROJECTS = lists(sampled_from(["p", "q"]), min_size=1, max_size=4)


class BusMachine(RuleBasedStateMachine):
    """`story.said` is the dict: seq → what was acknowledged under it."""

    @initialize()
    def begin(self) -> None:
        self.disk, self.story = SimulatedDisk(), Story()
        self.bus: Bus = self.story.open(self.disk)

    @rule(projects=PROJECTS, pad=integers(0, 600))
    def commit(self, projects: list[str], pad: int) -> None:
        self.story.commit(self.bus, *projects, pad=pad)

    @rule(projects=PROJECTS)
    def stage_and_drop(self, projects: list[str]) -> None:
        for project in projects:
            self.bus.stage({"type": "note.a", "project": project, "data": {}})
        self.bus.rollback()

    @rule()
    def save(self) -> None:
        self.story.save(self.bus)

    @rule()
    def trim(self) -> None:
        self.story.trim(self.bus)

    @rule()
    def let_a_day_pass(self) -> None:
        self.story.time.at += DAY

    @rule()
    def stop_and_start(self) -> None:
        self.bus.close()
        self.bus = self.story.open(self.disk)
        assert self.bus.clean

    @rule()
    def kill(self) -> None:
        self.disk = self.disk.killed()
        self.bus = self.story.open(self.disk)

    @rule(seed=integers(0, 1 << 20))
    def cut_the_power(self, seed: int) -> None:
        self.disk = self.disk.power_cut(Random(seed))
        self.bus = self.story.open(self.disk)

    @precondition(lambda self: self.story.said)
    @rule()
    def prove_and_go_on(self) -> None:
        self.bus.close(clean=False)
        prove(self.story, self.disk)
        self.bus = self.story.open(self.disk)

    @invariant()
    def all_that_was_said_is_there(self) -> None:
        there = {one["seq"]: one["data"]["label"] for one in self.bus.replay(0)}
        assert there == {seq: label for seq, label in self.story.said.items() if seq >= self.bus.first_seq}
        notes = [label for label in self.story.said.values() if label.isdigit()]
        assert sum(counted(self.bus).values()) == len(notes)


TestBusMachine = BusMachine.TestCase
TestBusMachine.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, database=None, phases=[Phase.generate, Phase.shrink]
)
