"""Crashes of a simulated machine: after every call of a chapter, with survivors that chance picks, and again in recovery."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from random import Random

from glink.bus import marks, segment
from glink.errors import BusCorrupt
from glink.testing.simulated_disk import Crashed, SimulatedDisk
from tests.fault.story import BUS, CHAPTERS, Chapter, Story, play, prove


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
                told.seen = max(told.seen, seen_by_readers(deepcopy(trial).killed()))
                for survivor in range(survivors):
                    after = trial.power_cut(random) if survivor or calls % 3 else deepcopy(trial).killed()
                    name = f"seed {seed}, {chapter.__name__}, call {calls}, survivor {survivor}"
                    yield from _prove(name, told, after, random, depth)
            else:
                disk, story = trial, told
                disk._crash_after = None
                break


def seen_by_readers(disk: SimulatedDisk) -> int:
    """The last seq that `durable` allows a reader beside the daemon to see."""
    try:
        mark = marks.read_durable(disk, BUS)
        if mark is None:
            return 0
        fd, header = segment.open_segment(disk, BUS / "events", mark[0])
    except (OSError, BusCorrupt):
        return 0  # nothing that could be read
    walk = segment.Walk(disk, fd, header, start=header.size, end=mark[1])
    for _ in walk:
        pass
    assert not walk.stopped_early
    return walk.seq


def fail_everywhere(chapter: Chapter, number: int, *, lasting: bool) -> int:
    """Every call of a chapter fails, once or from then on; then the power or the process ends, and all is proven.

    Returns how many calls there were.
    """
    first, told = before(chapter)
    position = 0
    while True:
        position += 1
        disk, story = deepcopy(first), deepcopy(told)
        begun = disk.calls

        def fail(kind: str, at: int, begun: int = begun, position: int = position) -> int | None:
            return number if at == begun + position or (lasting and at > begun + position) else None

        disk.fail = fail
        play(story, disk, chapter)
        disk.fail = lambda kind, at: None
        if disk.calls < begun + position:
            return position
        prove(deepcopy(story), disk.power_cut(Random(position)), manifest=False)
        # A process that goes on after its faults, or the next one, loses power as well: the page cache is no witness.
        after = deepcopy(disk).killed()
        shown = deepcopy(story)
        prove(shown, after, manifest=False)
        prove(shown, after.power_cut(Random(position)), manifest=False)


def before(chapter: Chapter) -> tuple[SimulatedDisk, Story]:
    """A disk and its story up to that chapter."""
    disk, story = SimulatedDisk(), Story()
    for earlier in CHAPTERS[: CHAPTERS.index(chapter)]:
        earlier(story, disk)
    return disk, story


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
