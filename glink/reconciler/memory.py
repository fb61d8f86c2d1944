"""States from the bus and back: checkpoints, then the records after them. The same for the daemon and for readers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from glink.bus.checkpoints import Covers
from glink.bus.damage import Damage, end_of, in_words
from glink.clock import seconds_of, text_of
from glink.errors import BusCorrupt
from glink.event import Record
from glink.fold import fold
from glink.jsontext import loads
from glink.state import ProjectState
from glink.world import World, fold_world

WORLD = ".world"
CARRIED = frozenset({"project.carried", "engine.carried"})
LONGEST_COOLING = 86_400.0
_PIECE_BYTES = 2 << 20

Part = tuple[str, int, bytes]
"""Whose state, after which record, packed."""


class Kept(Protocol):
    """One checkpoint: whose, up to which seq, the packed state."""

    @property
    def name(self) -> str: ...
    @property
    def seq(self) -> int: ...
    @property
    def payload(self) -> bytes: ...


class Bodies(Protocol):
    """Where bodies too long for a record are."""

    def get(self, digest: str) -> bytes: ...


class Readable(Protocol):
    """What a bus and a reader of one have in common."""

    @property
    def blobs(self) -> Bodies: ...
    @property
    def manifest_seq(self) -> int: ...
    @property
    def damages(self) -> Sequence[Damage]: ...
    def find_damage(self) -> bool: ...
    def covers(self) -> Covers: ...
    def checkpoints(self) -> Iterable[Kept]: ...
    def replay(self, after: int) -> Iterator[Record]: ...
    def by_project(self, after: int) -> Iterator[tuple[str, list[Record]]]: ...


class Indexed(Protocol):
    """A bus of which one project can be read without the others."""

    @property
    def blobs(self) -> Bodies: ...
    @property
    def damages(self) -> Sequence[Damage]: ...
    def covers(self) -> Covers: ...
    def checkpoint(self, name: str) -> tuple[Kept | None, int]: ...
    def replay(self, after: int, *, project: str) -> Iterator[Record]: ...


class Writable(Protocol):
    """Where checkpoints are written."""

    def write_checkpoint(self, name: str, seq: int, payload: bytes) -> None: ...
    def write_manifest(self, seq: int) -> None: ...
    def write_rest(self, seq: int, payload: bytes) -> None: ...


@dataclass(slots=True)
class Doubt:
    """Whose events may be among those that are lost: all that nothing vouches for past `end`, the last lost seq.

    `known` says up to which seq the state of a project, or of the world, is whole; `others` holds for the names that
    are not in it.
    """

    end: int = 0
    known: dict[str, int] = field(default_factory=dict)
    others: int = 0
    text: str = ""

    def of(self, project: str) -> str:
        """Why the state of this project is not known; "" where it is. What projects share concerns all of them."""
        world = self.known.get(WORLD, self.others)
        return self.text if min(world, self.known.get(project, self.others)) < self.end else ""

    def __bool__(self) -> bool:
        return any(seq < self.end for seq in (self.others, *self.known.values()))


@dataclass(slots=True)
class Memory:
    """All states as of `seq`. `saved` holds the seq up to which each project's checkpoint reaches.

    `rest` says what is to be written beside the checkpoints of projects at rest, None for nothing (`reconciler.rest`).
    """

    states: dict[str, ProjectState] = field(default_factory=dict)
    world: World = field(default_factory=World)
    seq: int = 0
    saved: dict[str, int] = field(default_factory=dict)
    same_boot: bool = True
    rest: Callable[[], bytes | None] = lambda: None
    doubt: Doubt = field(default_factory=Doubt)

    @classmethod
    def read(cls, bus: Readable) -> Memory:
        """Fold everything that is durable."""
        memory = cls()
        for kept in bus.checkpoints():
            memory._take(kept)
        memory.seq = start = bus.manifest_seq if _complete(memory, bus.manifest_seq) else 0
        try:
            for project, records in bus.by_project(start):
                memory.fold(project, records, bus.blobs)
        except BusCorrupt:
            if not bus.find_damage() and not bus.damages:
                raise
            memory._go_on_behind(bus, start)
        return memory

    def _go_on_behind(self, bus: Readable, start: int) -> None:
        """Leave out what is lost, and say whom that may concern: not whose checkpoint, or carried state, is younger."""
        covers, end = bus.covers(), end_of(bus.damages)
        self.doubt = Doubt(end, {**covers.of}, covers.others, in_words(bus.damages))
        for name, seq in self.saved.items():
            if seq < 0:
                self.doubt.known[name] = 0
        with suppress(BusCorrupt):
            for record in bus.replay(start):
                self.fold(record.get("project", ""), (record,), bus.blobs)
        for record in bus.replay(end):
            self.fold(record.get("project", ""), (record,), bus.blobs)
            if record["type"] in CARRIED:
                self.doubt.known[record.get("project", WORLD)] = record["seq"]

    @classmethod
    def of(cls, bus: Indexed, name: str) -> Memory:
        """One project (or WORLD) that is known, alone: costs what was said of it since its checkpoint."""
        memory = cls()
        kept, start = bus.checkpoint(name)
        if kept is not None:
            memory._take(kept)
            start = start if memory.saved[name] >= 0 else 0
        project = "" if name == WORLD else name
        behind = end_of(bus.damages)
        known = start >= behind or bus.covers().upto(name) >= behind
        for record in bus.replay(max(start, behind), project=project):
            memory.fold(project, (record,), bus.blobs)
            known = known or record["type"] in CARRIED
        if not known:
            raise BusCorrupt(f"the state of {name} is not known any more: {in_words(bus.damages)}")
        return memory

    @classmethod
    def until(cls, bus: Readable, *, seq: int | None = None, time: str | None = None) -> Memory:
        """As it was after the record `seq`, or after the last one up to `time`; folded from the first record there is."""
        memory = cls()
        for record in bus.replay(0):
            if (seq is not None and record["seq"] > seq) or (time is not None and record["time"] > time):
                break
            memory.fold(record.get("project", ""), (record,), bus.blobs)
            if record["seq"] == seq:  # what follows may be damaged
                break
        return memory

    def _take(self, kept: Kept) -> None:
        try:
            if kept.name == WORLD:
                self.world.restore(kept.payload)
            else:
                self.states[kept.name] = ProjectState.unpacked(kept.payload)
        except (ValueError, TypeError, KeyError):
            # Written by a version with another layout: the log has it all, and is read from the start.
            self.saved[kept.name] = -1
            self.states.pop(kept.name, None)
            return
        self.saved[kept.name] = kept.seq

    def fold(self, project: str, records: Sequence[Record], blobs: Bodies) -> None:
        """Take more records of one project, "" for none, in their order; those of other projects may be ahead of them."""
        state = self.states.get(project)
        if state is None and project:
            state = self.states[project] = ProjectState(project)
        for record in records:
            whole = record if record["type"] not in CARRIED else whole_carried(record, blobs)
            if state is not None:
                fold(state, whole)
            else:
                fold_world(self.world, whole)
        self.seq = max(self.seq, records[-1]["seq"])

    def clip(self, now: float) -> None:
        """After a reboot the clock may be behind the bus: what is due is due after its delay, counted from now at most."""
        for state in self.states.values():
            for step in state.steps.values():
                lapse = step.lapse
                if lapse is not None and (failed := seconds_of(lapse.time)) > now:
                    if lapse.retry_at is not None:
                        lapse.retry_at += now - failed
                    lapse.time = text_of(now)
                if step.dispatched and seconds_of(step.dispatched) > now:
                    step.dispatched = text_of(now)
        for agent, until in self.world.cooling.items():
            self.world.cooling[agent] = min(until, now + LONGEST_COOLING)

    def snapshot(self, states: dict[str, ProjectState], world: World) -> Snapshot:
        """What has to be written so that checkpoints hold all of this, packed piece by piece."""
        found = Snapshot(states, world, max([world.seq, self.seq, *(state.seq for state in states.values())]))
        found.todo = [name for name, state in states.items() if self.saved.get(name) != state.seq]
        if self.saved.get(WORLD) != world.seq:
            found.todo.append(WORLD)
        found.todo.reverse()
        found.rest = self.rest()
        return found

    def piece(self, snapshot: Snapshot) -> list[Part]:
        """The next states of a snapshot, packed as they are now, some MiB at once; they count as saved from here on."""
        parts: list[Part] = []
        size = 0
        while snapshot.todo and size < _PIECE_BYTES:
            name = snapshot.todo.pop()
            one = snapshot.world if name == WORLD else snapshot.states[name]
            parts.append((name, one.seq, one.packed()))
            self.saved[name] = one.seq
            size += len(parts[-1][2])
        return parts

    def unsaved(self, parts: Iterable[Part]) -> None:
        """They were not written after all."""
        for name, _, _ in parts:
            self.saved.pop(name, None)

    def save(self, bus: Writable, states: dict[str, ProjectState], world: World) -> None:
        """Write a checkpoint for whatever changed since its last one, then the manifest; nothing while there is doubt,
        since the manifest would vouch for what is not known."""
        if self.doubt:
            return
        snapshot = self.snapshot(states, world)
        while snapshot.todo:
            for part in self.piece(snapshot):
                bus.write_checkpoint(*part)
        snapshot.vouch(bus)


@dataclass(slots=True)
class Snapshot:
    """The states that there were at `seq`. `todo` names those that are still to be packed, the next one last.

    They may have gone on by then, as far as that is durable: a checkpoint may be younger than the manifest that vouches
    for it up to `seq`. `rest` is what is known of projects at rest.
    """

    states: dict[str, ProjectState]
    world: World
    seq: int
    todo: list[str] = field(default_factory=list)
    rest: bytes | None = None

    def vouch(self, bus: Writable) -> None:
        """Every checkpoint is written: say so. Any thread."""
        bus.write_manifest(self.seq)
        if self.rest is not None:
            bus.write_rest(self.seq, self.rest)


def whole_carried(record: Record, blobs: Bodies) -> Record:
    """What was carried on, with its state in it also where that is a blob; raises BusCorrupt where it is gone."""
    data = record["data"]
    if "state" in data:
        return record
    try:
        return {**record, "data": {**data, **loads(blobs.get(data["blob"]))}}
    except KeyError:
        raise BusCorrupt(
            f"the state of {record.get('project', 'the engine')} as of record {record['seq']} is in blob {data['blob']}, which is gone"
        ) from None


def _complete(memory: Memory, manifest_seq: int) -> bool:
    return bool(manifest_seq) and all(seq >= 0 for seq in memory.saved.values())


def states_of(bus: Readable) -> tuple[dict[str, ProjectState], World]:
    """What a reader needs."""
    memory = Memory.read(bus)
    return memory.states, memory.world
