"""Crashes of a simulated machine: after every call of a chapter, with survivors that chance picks, and again in recovery."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from random import Random

from glink.testing.simulated_disk import Crashed, SimulatedDisk
from tests.fault.story import CHAPTERS, Story, prove


def crash_everywhere(seed: int, *, survivors: int, depth: int = 2) -> Iterator[str]:
    """Plays the chapters with a crash after each call, and proves each survivor; yields the name of each crash.

    `depth` 2 lets a part of the survivors crash once more while they recover.
    """
    random = Random(seed)
    disk, story = SimulatedDisk(), Story()
    for chapter in CHAPTERS:
        calls = 0
        while True:
            calls += 1
            trial, told = deepcopy(disk), deepcopy(story)
            trial.crash_after(calls)
            try:
                chapter(told, trial)
            except Crashed:
                for survivor in range(survivors):
                    after = trial.power_cut(random) if survivor or calls % 3 else deepcopy(trial).killed()
                    name = f"seed {seed}, {chapter.__name__}, call {calls}, survivor {survivor}"
                    yield from _prove(name, told, after, random, depth)
            else:
                disk, story = trial, told
                disk._crash_after = None
                break


def _prove(name: str, story: Story, disk: SimulatedDisk, random: Random, depth: int) -> Iterator[str]:
    if depth > 1 and random.random() < 0.3:
        again, told = deepcopy(disk), deepcopy(story)
        again.crash_after(random.randrange(1, 60))
        try:
            prove(told, again)
        except Crashed:
            # What the proof itself committed is part of the story from here on.
            yield from _prove(f"{name}, and once more", told, again.power_cut(random), random, depth - 1)
    try:
        prove(deepcopy(story), disk)
    except BaseException as error:
        error.add_note(name)
        raise
    yield name
