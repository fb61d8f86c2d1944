"""What a daemon does with a bus, on any disk, and the proof that afterwards nothing of what it was promised is missing.

A `Story` notes what was asked for and what was acknowledged. The chapters are short on calls, so that each call of each
can be made to crash or to fail.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glink.bus.bus import Bus
from glink.bus.fsio import Disk
from glink.clock import text_of
from glink.errors import BusError
from glink.limits import Limits
from tests.rig import Time

BUS = Path("/bus")
LIMITS = Limits(segment_bytes=2 << 10, reserve_bytes=0)
DAY = 86_400.0


@dataclass
class Story:
    """`asked`: seq → labels that were staged under it (a batch that failed gives its seqs back); `said`: seq → the label
    that was acknowledged; `blobs` and `manifest` were acknowledged, too; readers saw records up to `seen`."""

    asked: dict[int, set[str]] = field(default_factory=dict)
    said: dict[int, str] = field(default_factory=dict)
    blobs: list[str] = field(default_factory=list)
    manifest: int = 0
    trimmed: int = 0
    seen: int = 0
    labels: int = 0
    time: Time = field(default_factory=Time)

    def open(self, disk: Disk) -> Bus:
        bus = Bus.open(BUS, clock=self.time, limits=LIMITS, disk=disk)
        assert not bus.damages  # nothing here damages what was durable
        return bus

    def commit(self, bus: Bus, *projects: str, pad: int = 0) -> None:
        """One batch of notes; the first names a blob that was stored just before."""
        blob = bus.blobs.put(b"body %d" % self.labels)
        staged = {}
        for project in projects:
            self.labels += 1
            data: dict[str, Any] = {"label": str(self.labels), "pad": "x" * pad}
            if not staged:
                data["blob"] = blob
            record = bus.stage({"type": "note.a", "project": project, "data": data})
            staged[record["seq"]] = data["label"]
            self.asked.setdefault(record["seq"], set()).add(data["label"])
        bus.commit()
        self.said |= staged
        self.blobs.append(blob)

    def save(self, bus: Bus) -> None:
        """Checkpoints of both projects and the manifest; the payload of each is its seq."""
        seq = bus.durable_seq
        for project in ("p", "q"):
            bus.write_checkpoint(project, seq, b"%d" % seq)
        bus.write_manifest(seq)
        self.manifest = seq

    def trim(self, bus: Bus) -> None:
        """Carry both projects, record the trim, do it."""
        spans = bus.trimmable(text_of(self.time.at + DAY))
        if not spans:
            return
        through = spans[-1].last
        counts = counted(bus)
        said = {}
        for project in ("p", "q"):
            said |= self._put(bus, "project.carried", project, {"state": counts[project]})
        said |= self._put(bus, "log.trimmed", None, {"through": through})
        bus.commit()
        self.said |= said
        self.trimmed = through
        bus.trim(through)

    def _put(self, bus: Bus, kind: str, project: str | None, data: dict[str, Any]) -> dict[int, str]:
        self.labels += 1
        label = f"{kind} {self.labels}"
        body = {"type": kind, **({"project": project} if project else {}), "data": {**data, "label": label}}
        seq = bus.stage(body)["seq"]
        self.asked.setdefault(seq, set()).add(label)
        return {seq: label}


def counted(bus: Bus) -> Counter[str]:
    """How many notes each project ever had: the state that these events fold to."""
    counts: Counter[str] = Counter()
    for record in bus.replay(0):
        if record["type"] == "project.carried":
            counts[record["project"]] = record["data"]["state"]
        elif record["type"] == "note.a":
            counts[record["project"]] += 1
    return counts


def first_day(story: Story, disk: Disk) -> None:
    """A new bus, two batches, a clean stop."""
    bus = story.open(disk)
    for deed in (lambda: story.commit(bus, "p", "q"), lambda: story.commit(bus, "p"), bus.close):
        attempt(deed)


def second_day(story: Story, disk: Disk) -> None:
    """Batches of several sectors, checkpoints, and an end without a stop."""
    bus = story.open(disk)
    for deed in (
        lambda: story.commit(bus, "q", "p", pad=300),
        lambda: story.save(bus),
        lambda: story.commit(bus, "p"),
        lambda: bus.close(clean=False),
    ):
        attempt(deed)


def third_day(story: Story, disk: Disk) -> None:
    """A roll, checkpoints over older ones, a trim, a clean stop."""
    story.time.at += DAY
    bus = story.open(disk)
    for deed in (
        lambda: story.commit(bus, "p", "q", "p", pad=400),
        lambda: story.save(bus),
        lambda: story.trim(bus),
        lambda: story.commit(bus, "q"),
        bus.close,
    ):
        attempt(deed)


def attempt(deed: Callable[[], None]) -> None:
    """The daemon goes on after an error of the disk, as far as the bus lets it."""
    with suppress(BusError):
        deed()


Chapter = Callable[[Story, Disk], None]
CHAPTERS: tuple[Chapter, ...] = (first_day, second_day, third_day)


def prove(story: Story, disk: Disk, *, manifest: bool = True) -> None:
    """On a disk without faults: all that was acknowledged is there, in one unbroken order, and work goes on.

    `manifest` False where a fault may have cost a checkpoint, which costs time and nothing else.
    """
    bus = story.open(disk)
    found = list(bus.replay(0))
    seqs = [record["seq"] for record in found]
    assert seqs == list(range(bus.first_seq, bus.durable_seq + 1))
    assert bus.first_seq - 1 <= max(story.trimmed, _asked_trim(story, found))
    labels = {record["seq"]: record["data"]["label"] for record in found}
    for seq, label in story.said.items():
        assert labels.get(seq) == label if seq >= bus.first_seq else seq <= bus.durable_seq, f"record {seq} is lost"
    assert bus.durable_seq >= story.seen
    for seq, label in labels.items():
        assert label in story.asked[seq]
    for digest in [*story.blobs, *(record["data"]["blob"] for record in found if "blob" in record["data"])]:
        assert bus.blobs.get(digest)
    _prove_states(story, bus, labels)
    _prove_checkpoints(story, bus, manifest=manifest)
    for project in ("p", "q"):
        assert list(bus.replay(0, project=project)) == [one for one in found if one.get("project") == project]
    story.commit(bus, "p")
    bus.close()
    again = story.open(disk)
    assert again.clean
    assert [one["seq"] for one in again.replay(0)] == [*seqs, again.durable_seq]
    again.close()


def _asked_trim(story: Story, found: list[Any]) -> int:
    return max((one["data"]["through"] for one in found if one["type"] == "log.trimmed"), default=0)


def _prove_states(story: Story, bus: Bus, labels: dict[int, str]) -> None:
    """The fold of what is left counts every note that there ever was."""
    gone = {seq: label for seq, label in story.said.items() if seq < bus.first_seq}
    notes = [label for label in (labels | gone).values() if label.isdigit()]
    assert sum(counted(bus).values()) == len(notes)


def _prove_checkpoints(story: Story, bus: Bus, *, manifest: bool) -> None:
    for one in bus.checkpoints():
        assert one.payload == b"%d" % one.seq
        assert one.seq <= bus.durable_seq
    assert bus.manifest_seq <= bus.durable_seq
    if manifest and story.manifest >= bus.first_seq:
        assert bus.manifest_seq >= story.manifest


def play(story: Story, disk: Disk, chapter: Chapter) -> None:
    """A chapter on a disk that may not even let the bus be opened."""
    attempt(lambda: chapter(story, disk))
