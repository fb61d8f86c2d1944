"""Bugs put in on purpose, each one that a careful person might write: the checks have to find every one of them.

A mutant that no check notices means that the checks show nothing about what it breaks.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from glink import fold as folding
from glink.bus import blobs, checkpoints, fsio, marks, record, recovery, retention, segment
from glink.bus.bus import Bus
from glink.bus.fsio import Disk
from glink.bus.log import Log
from glink.testing.simulated_disk import SimulatedDisk
from tests.fault import flips
from tests.fault.crashes import crash_everywhere, fail_everywhere
from tests.fault.story import CHAPTERS

Mutate = Callable[[pytest.MonkeyPatch], None]
Check = Callable[[Path], None]


# The checks.


def crashes(path: Path) -> None:
    for seed in range(6):
        for _ in crash_everywhere(seed, survivors=4):
            pass


def faults(path: Path) -> None:
    for chapter in CHAPTERS:
        for lasting in (False, True):
            for number in (5, 28):
                fail_everywhere(chapter, number, lasting=lasting)


def damage(path: Path) -> None:
    for per in (1, 2):
        flips.every_flip(flips.three_batches(path / str(per), per), per)


def strays(path: Path) -> None:
    flips.every_stray(flips.three_batches(path / "bus"))


def order_of_effects(path: Path) -> None:
    from tests.fault import test_bus_calls

    test_bus_calls.test_the_order_of_effects(path)


def checkpoint_damage(path: Path) -> None:
    flips.every_checkpoint_flip()


def one_holder(path: Path) -> None:
    from glink.errors import BusHeld
    from tests.unit.bus.buses import open_bus

    bus = open_bus(path / "bus")
    try:
        for _ in range(2):
            try:
                open_bus(path / "bus").close()
            except BusHeld:
                continue
            raise AssertionError("two daemons hold one bus")
    finally:
        bus.close()


def stale_results(path: Path) -> None:
    from tests.rig import Rig, step, workflow

    rig = Rig(path / "bus")
    rig.observe(workflow("p", step("a", "one")))
    job = rig.hands.jobs[min(rig.hands.jobs)]
    late = {"type": "step.succeeded", "project": "p", "step": "a", "run": 1, "fence": 999}
    rig.bus.stage({**late, "data": {"digest": "x", "output": "forged"}})
    rig.bus.commit()
    rig.succeed(job.task.fence, "true")
    rig.settle()
    rig.bus.close(clean=False)
    again = Rig(path / "bus")
    assert again.state("p").steps["a"].answer.output == "true"
    again.close()


def done_stays_done(path: Path) -> None:
    from tests.unit.reconciler import test_retention

    test_retention.test_after_a_trim_all_is_rebuilt_without_any_checkpoint(path, clean=False)


def effects_follow(path: Path) -> None:
    from tests.fault import test_engine_disk

    test_engine_disk.test_a_failed_sync_ends_the_engine_and_is_never_tried_again(path)


def running_ahead(path: Path) -> None:
    from tests.unit.reconciler import test_run_ahead

    for number, check in enumerate(
        (
            test_run_ahead.test_only_one_that_only_answers_is_asked,
            test_run_ahead.test_an_answer_to_what_the_disk_did_not_take_was_never_given,
        )
    ):
        (path / str(number)).mkdir()
        check(path / str(number))


# The mutants.


def no_sync(patch: pytest.MonkeyPatch) -> None:
    """A commit returns without a sync."""
    patch.setattr(Log, "_fdatasync", lambda self: None)


def effect_before_sync(patch: pytest.MonkeyPatch) -> None:
    """The first commit returns, and its sync follows with the next one."""
    sync = Log._fdatasync
    owing: set[int] = set()

    def later(self: Log) -> None:
        if id(self) in owing:
            sync(self)
        owing.add(id(self))

    patch.setattr(Log, "_fdatasync", later)


def publish_before_sync(patch: pytest.MonkeyPatch) -> None:
    """Readers are told before the disk has it."""
    sync = Log._fdatasync

    def early(self: Log) -> None:
        size = self._disk.fstat(self._fd).st_size
        marks.write_durable(self._disk, self._durable_fd, self.durable.first, size)
        sync(self)

    patch.setattr(Log, "_fdatasync", early)


def no_folder_sync(patch: pytest.MonkeyPatch) -> None:
    """Names are never made durable."""
    patch.setattr(SimulatedDisk, "fsync_dir", lambda self, path: None)


def no_folder_sync_at_a_roll(patch: pytest.MonkeyPatch) -> None:
    """The next segment is appended to before its name is durable."""
    real = Log._roll

    def roll(self: Log) -> None:
        disk = self._disk
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(disk, "fsync_dir", lambda path: None, raising=False)
            real(self)

    patch.setattr(Log, "_roll", roll)


def no_sync_of_a_new_segment(patch: pytest.MonkeyPatch) -> None:
    """The header may not be there when the first record is."""
    real = segment.prepare

    def prepare(disk: Disk, *args: Any, **more: Any) -> Any:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(disk, "fsync", lambda fd: None, raising=False)
            return real(disk, *args, **more)

    patch.setattr(segment, "prepare", prepare)


def no_sync_of_a_seal(patch: pytest.MonkeyPatch) -> None:
    """The next segment is begun while the seal may get lost."""
    real = Log._seal

    def seal(self: Log) -> None:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(self, "_fdatasync", lambda: None, raising=False)
            real(self)

    patch.setattr(Log, "_seal", seal)


def rename_before_sync(patch: pytest.MonkeyPatch) -> None:
    """A new file takes the old one's name before its bytes are on the disk."""

    def write_new(disk: Disk, path: Path, data: bytes) -> None:
        fd = disk.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            fsio.write_on(disk, fd, data)
        finally:
            disk.close(fd)

    for module in (fsio, checkpoints, blobs):
        patch.setattr(module, "write_new", write_new)


def write_in_place(patch: pytest.MonkeyPatch) -> None:
    """A checkpoint is written over the one before it, which is not kept."""

    def replace(self: Any, checkpoint: Any) -> None:
        path = self._folder / f"{checkpoint.name}.json"
        fd = self._disk.open(path, os.O_WRONLY | os.O_CREAT)
        self._disk.truncate(fd, 0)
        fsio.write_on(self._disk, fd, checkpoints.encode(checkpoint))
        self._disk.fsync(fd)
        self._disk.close(fd)
        self._disk.fsync_dir(self._folder)

    patch.setattr(checkpoints.Checkpoints, "_replace", replace)


def retried_sync(patch: pytest.MonkeyPatch) -> None:
    """A sync that failed is tried again, and the page cache says yes."""
    real = Log._fdatasync

    def twice(self: Log) -> None:
        try:
            self._disk.fdatasync(self._fd)
        except OSError:
            real(self)

    patch.setattr(Log, "_fdatasync", twice)


def trust_in_the_page_cache(patch: pytest.MonkeyPatch) -> None:
    """After an unclean stop, what the file shows is taken for what the disk holds."""
    real = recovery.copy

    def copy(disk: Disk, fd: int, start: int, end: int, target: Path) -> None:
        if target.suffix == ".jsonl":
            size = disk.open(target, os.O_RDWR)
            disk.truncate(size, end)
            disk.fsync(size)
            disk.close(size)
        else:
            real(disk, fd, start, end, target)

    patch.setattr(recovery, "copy", copy)


def clean_mark_stays(patch: pytest.MonkeyPatch) -> None:
    """The mark of the clean stop is still there while new records are written."""
    patch.setattr(Log, "_leave_clean_stop", lambda self: setattr(self, "_marked_clean", False))


def clean_mark_not_synced_away(patch: pytest.MonkeyPatch) -> None:
    """It is unlinked, and comes back with the power."""

    def leave(self: Log) -> None:
        self._disk.unlink(self._bus / "CLEAN")
        self._marked_clean = False

    patch.setattr(Log, "_leave_clean_stop", leave)


def failed_write_not_taken_back(patch: pytest.MonkeyPatch) -> None:
    """Half a batch stays in the file, and the next one is written behind it."""

    def write(self: Log, data: bytes, deed: str) -> None:
        from glink.errors import BusError

        try:
            end = self._disk.fstat(self._fd).st_size
            fsio.write_at(self._disk, self._fd, data, max(end, self.durable.offset))
        except OSError as error:
            self.rollback()
            raise BusError(deed, errno=error.errno) from error

    patch.setattr(Log, "_write", write)


def line_wise_tail(patch: pytest.MonkeyPatch) -> None:
    """Whole records after a damage are looked for line by line, though the newline may be what is damaged."""

    def lines(window: bytes, seed: int, longest: int) -> Iterator[record.Found]:
        at = 0
        for line in window.split(b"\n"):
            start = record._START.match(line)
            if start and record.is_intact(line, seed):
                yield record.Found(int(start[1]), int(start[2]), at, at + len(line))
            at += len(line) + 1

    patch.setattr(record, "whole_records", lines)


def tail_is_cut_at_any_damage(patch: pytest.MonkeyPatch) -> None:
    """Whatever follows the first bad byte is thrown away."""
    patch.setattr(recovery, "judge", lambda *args, **more: None)
    patch.setattr(flips, "judge", lambda *args, **more: None)


def records_are_not_chained(patch: pytest.MonkeyPatch) -> None:
    """A record need only be intact by itself: what chance leaves of a torn batch counts, holes and all."""
    patch.setattr(record, "is_whole", lambda line, previous, seed: record.is_intact(line, seed))
    patch.setattr(segment.Walk, "__iter__", _unchained)


def _unchained(self: Any) -> Iterator[bytes]:
    for block in self._blocks:
        for line in block[:-1].split(b"\n"):
            if not record.is_intact(line, self._seed):
                return
            self.sealed = line.startswith(segment._SEAL_START)
            self.at += len(line) + 1
            if not self.sealed:
                self.seq, self.crc = record.seq_of(line), record.crc_of(line)
                yield line


def checkpoint_unchecked(patch: pytest.MonkeyPatch) -> None:
    """The sha256 of a checkpoint is not compared."""

    def decode(data: bytes) -> checkpoints.Checkpoint | None:
        line, _, payload = data.partition(b"\n")
        try:
            fields = checkpoints.loads(line)
            return checkpoints.Checkpoint(fields["name"], fields["seq"], fields["crc"], payload)
        except (ValueError, KeyError, TypeError):
            return None

    patch.setattr(checkpoints, "decode", decode)


def trim_before_its_record(patch: pytest.MonkeyPatch) -> None:
    """Segments go before the event that says so is durable."""
    real = Bus.stage

    def stage(self: Bus, body: dict[str, Any]) -> Any:
        if body["type"] == retention.TRIMMED:
            retention.trim(self._disk, self._events, body["data"]["through"])
        return real(self, body)

    patch.setattr(Bus, "stage", stage)


def trim_without_a_folder_sync(patch: pytest.MonkeyPatch) -> None:
    """And what a crash leaves of it is not finished by the next opening."""
    patch.setattr(recovery.retention, "newest_trim", lambda *args: 0)


def trim_without_carrying(patch: pytest.MonkeyPatch) -> None:
    """Old facts go, and with them what they said."""
    from glink.reconciler.retention import Retention

    def nothing(self: Retention, put: Any, now: float) -> None:
        self._todo.clear()
        self._carried["p"] = self._bus.durable_seq

    patch.setattr(Retention, "_carry_some", nothing)


def blob_after_its_event(patch: pytest.MonkeyPatch) -> None:
    """A body is not synced when the event that names it is."""
    patch.setattr(blobs.Blobs, "_sync_folders", lambda self, digest: None)


def posix_lock(patch: pytest.MonkeyPatch) -> None:
    """A lock that belongs to the process, and is gone as soon as any descriptor of the file is closed."""

    def flock(self: Disk, fd: int, operation: int) -> bool:
        return True  # a process never conflicts with its own POSIX locks

    patch.setattr(Disk, "flock", flock)


def lock_on_a_file(patch: pytest.MonkeyPatch) -> None:
    """The lock is on LOCK, which may be unlinked and made anew."""
    from glink.bus import holder

    def take(disk: Disk, bus: Path) -> int:
        (bus / "LOCK").unlink(missing_ok=True)
        fd = os.open(bus / "LOCK", os.O_RDWR | os.O_CREAT)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return fd

    patch.setattr(holder, "take", take)


def stale_fence_accepted(patch: pytest.MonkeyPatch) -> None:
    """A result counts whatever dispatch it belongs to."""
    real = folding.TRANSITIONS["step.succeeded"]

    def succeeded(state: Any, one: Any) -> bool:
        step = state.steps.get(one["step"])
        return real(state, {**one, "fence": step.fence}) if step is not None else False

    patch.setitem(folding.TRANSITIONS, "step.succeeded", succeeded)  # type: ignore[arg-type]


def dispatch_before_sync(patch: pytest.MonkeyPatch) -> None:
    """The agent starts when the step is decided, not when the decision is durable."""
    from glink.reconciler.conductor import Conductor

    real = Conductor._dispatch

    def dispatch(self: Any, *args: Any) -> None:
        real(self, *args)
        for job in self.books.present.jobs:
            self.dispatcher.start(job)

    patch.setattr(Conductor, "_dispatch", dispatch)


def any_agent_runs_ahead(patch: pytest.MonkeyPatch) -> None:
    """Every agent is asked before its dispatch is durable."""
    from glink.reconciler.dispatch import Dispatcher

    real = Dispatcher.at_once

    def at_once(self: Any, job: Any) -> Any:
        self._agent(job.agent).instant = True
        return real(self, job)

    patch.setattr(Dispatcher, "at_once", at_once)


def answers_outlive_their_batch(patch: pytest.MonkeyPatch) -> None:
    """What was answered ahead of a batch that the disk refused comes back, for fences that nobody ever had."""
    from glink.reconciler.conductor import Conductor

    real = Conductor._failed

    def failed(self: Any, error: Any, now: float) -> None:
        results = list(self.books.present.results)
        real(self, error, now)
        self._returned += [one for one in results if one not in self._returned]

    patch.setattr(Conductor, "_failed", failed)


MUTANTS: tuple[tuple[Mutate, Check], ...] = (
    (no_sync, crashes),
    (effect_before_sync, crashes),
    (publish_before_sync, crashes),
    (no_folder_sync, crashes),
    (no_folder_sync_at_a_roll, crashes),
    (no_sync_of_a_new_segment, crashes),
    (no_sync_of_a_seal, crashes),
    (rename_before_sync, crashes),
    (write_in_place, crashes),
    (retried_sync, faults),
    (trust_in_the_page_cache, faults),
    (clean_mark_stays, order_of_effects),
    (clean_mark_not_synced_away, order_of_effects),
    (failed_write_not_taken_back, faults),
    (line_wise_tail, damage),
    (tail_is_cut_at_any_damage, damage),
    (records_are_not_chained, strays),
    (checkpoint_unchecked, checkpoint_damage),
    (trim_before_its_record, crashes),
    (trim_without_a_folder_sync, crashes),
    (trim_without_carrying, done_stays_done),
    (blob_after_its_event, crashes),
    (posix_lock, one_holder),
    (lock_on_a_file, one_holder),
    (stale_fence_accepted, stale_results),
    (dispatch_before_sync, effects_follow),
    (any_agent_runs_ahead, running_ahead),
    (answers_outlive_their_batch, running_ahead),
)
CHECKS: tuple[Check, ...] = (
    damage,
    strays,
    order_of_effects,
    checkpoint_damage,
    one_holder,
    stale_results,
    done_stays_done,
    effects_follow,
)
