"""States from the bus and back: checkpoints, then the records after them. The same for the daemon and for readers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

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
    def checkpoints(self) -> Iterable[Kept]: ...
    def replay(self, after: int) -> Iterator[Record]: ...
    def by_project(self, after: int) -> Iterator[tuple[str, list[Record]]]: ...


class Indexed(Protocol):
    """A bus of which one project can be read without the others."""

    @property
    def blobs(self) -> Bodies: ...
    def checkpoint(self, name: str) -> tuple[Kept | None, int]: ...
    def replay(self, after: int, *, project: str) -> Iterator[Record]: ...


class Writable(Protocol):
    """Where checkpoints are written."""

    def write_checkpoint(self, name: str, seq: int, payload: bytes) -> None: ...
    def write_manifest(self, seq: int) -> None: ...


@dataclass(slots=True)
class Memory:
    """All states as of `seq`. `saved` holds the seq up to which each project's checkpoint reaches."""

    states: dict[str, ProjectState] = field(default_factory=dict)
    world: World = field(default_factory=World)
    seq: int = 0
    saved: dict[str, int] = field(default_factory=dict)
    same_boot: bool = True

    @classmethod
    def read(cls, bus: Readable) -> Memory:
        """Fold everything that is durable."""
        memory = cls()
        for kept in bus.checkpoints():
            memory._take(kept)
        memory.seq = start = bus.manifest_seq if _complete(memory, bus.manifest_seq) else 0
        for project, records in bus.by_project(start):
            memory.fold(project, records, bus.blobs)
        return memory

    @classmethod
    def of(cls, bus: Indexed, name: str) -> Memory:
        """One project (or WORLD) alone: costs what was said of it since its checkpoint."""
        memory = cls()
        kept, start = bus.checkpoint(name)
        if kept is not None:
            memory._take(kept)
            start = start if memory.saved[name] >= 0 else 0
        project = "" if name == WORLD else name
        for record in bus.replay(start, project=project):
            memory.fold(project, (record,), bus.blobs)
        return memory

    @classmethod
    def until(cls, bus: Readable, *, seq: int | None = None, time: str | None = None) -> Memory:
        """As it was after the record `seq`, or after the last one up to `time`; folded from the first record there is."""
        memory = cls()
        for record in bus.replay(0):
            if (seq is not None and record["seq"] > seq) or (time is not None and record["time"] > time):
                break
            memory.fold(record.get("project", ""), (record,), bus.blobs)
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
        """What has to be written so that checkpoints hold all of this; counts as saved from here on."""
        found = Snapshot(max([world.seq, self.seq, *(state.seq for state in states.values())]))
        for name, state in states.items():
            if self.saved.get(name) != state.seq:
                found.parts.append((name, state.seq, state.packed()))
                self.saved[name] = state.seq
        if self.saved.get(WORLD) != world.seq:
            found.parts.append((WORLD, world.seq, world.packed()))
            self.saved[WORLD] = world.seq
        return found

    def unsaved(self, snapshot: Snapshot) -> None:
        """The snapshot was not written after all."""
        for name, _, _ in snapshot.parts:
            self.saved.pop(name, None)

    def save(self, bus: Writable, states: dict[str, ProjectState], world: World) -> None:
        """Write a checkpoint for whatever changed since its last one, then the manifest."""
        self.snapshot(states, world).write(bus)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Packed states as of `seq`: (name, seq, payload) of those that changed."""

    seq: int
    parts: list[tuple[str, int, bytes]] = field(default_factory=list)

    def write(self, bus: Writable) -> None:
        """The checkpoints, then the manifest that vouches for all there are. Any thread. What is written is let go of."""
        for place, part in enumerate(self.parts):
            bus.write_checkpoint(*part)
            self.parts[place] = (part[0], part[1], b"")
        bus.write_manifest(self.seq)


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
