"""Takes a secret out of a bus on which it should never have stood: out of records and bodies, wherever it is written.

Every record's crc follows from the one before it, so all segments from the first that changes on are written anew:

    new bodies, new segments beside the old ones, all synced → `redaction` names what goes, synced → renames, unlinks,
    syncs → `redaction` away

From the moment that `redaction` is there the next opening finishes what was begun; before it, nothing has changed.
`durable` goes first of all: it names an offset in a file that is about to be another. Readers beside it begin anew.
Bodies get new digests, and what named them names the new ones. Checkpoints and quarantine go: they are copies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from glink.bus import index, record, segment
from glink.bus.blobs import Blobs
from glink.bus.fsio import Disk, discard, read_file, replace_file, write_new
from glink.bus.mask import SHORTEST, Mask
from glink.bus.segment import Header, Seal
from glink.errors import UsageError
from glink.jsontext import dumps, loads
from glink.limits import Limits

JOURNAL = "redaction"
_SUFFIX = ".redacted"


@dataclass(frozen=True, slots=True)
class Redacted:
    """How many records and bodies had it, how many segments were written anew."""

    records: int
    blobs: int
    segments: int


def redact(disk: Disk, bus: Path, secrets: Sequence[str], limits: Limits) -> Redacted:
    """The caller holds the bus, has recovered it and lets go of it afterwards. Raises UsageError for a short secret."""
    if any(len(secret) < SHORTEST for secret in secrets):
        raise UsageError(f"a secret of less than {SHORTEST} characters stands in too many places by chance")
    work = _Work(disk, bus, Mask(secrets), limits)
    moved = work.bodies()
    records, segments = work.segments(moved)
    if records or moved:
        gone = {"blobs": sorted(moved)}
        replace_file(disk, bus / JOURNAL, dumps(gone))
        finish(disk, bus)
    return Redacted(records, len(moved), segments)


def finish(disk: Disk, bus: Path) -> None:
    """Does what `redaction` names, as far as it is not done; without one, what was prepared goes."""
    events = bus / "events"
    journal = read_file(disk, bus / JOURNAL)
    prepared = [name for name in disk.listdir(events) if name.endswith(_SUFFIX)]
    if journal is None:
        for name in prepared:
            disk.unlink(events / name)
        return
    discard(disk, bus / "durable")
    for name in prepared:
        target = events / name.removesuffix(_SUFFIX)
        discard(disk, index.path_of(target))
        disk.rename(events / name, target)
    disk.fsync_dir(events)
    for folder in ("checkpoints", "quarantine"):
        for name in disk.listdir(bus / folder):
            if name != ".lock":
                disk.unlink(bus / folder / name)
        disk.fsync_dir(bus / folder)
    for digest in loads(journal)["blobs"]:
        discard(disk, bus / "blobs" / "sha256" / digest[:2] / digest[2:])
    discard(disk, bus / "CLEAN")
    disk.fsync_dir(bus)
    disk.unlink(bus / JOURNAL)
    disk.fsync_dir(bus)


class _Work:
    def __init__(self, disk: Disk, bus: Path, mask: Mask, limits: Limits) -> None:
        self._disk, self._events, self._mask, self._limits = disk, bus / "events", mask, limits
        self._blobs = Blobs(disk, bus / "blobs" / "sha256", mask)

    def bodies(self) -> dict[str, str]:
        """Old digest → new digest, over all bodies that hold the secret, or name one that did."""
        stored = sorted(self._blobs.stored())
        moved: dict[str, str] = {}
        before: dict[str, str] | None = None
        while moved != before:
            before = dict(moved)
            for digest in stored:
                data = self._blobs.get(digest)
                named = {one: new for one, new in moved.items() if one.encode() in data} if _is_json(data) else {}
                if self._mask.hits(data) or named:
                    moved[digest] = self._blobs.put(_renamed(data, named))
        return moved

    def segments(self, moved: dict[str, str]) -> tuple[int, int]:
        """Writes what changes beside what is; how many records had the secret or a moved body, how many segments changed."""
        changed = written = 0
        previous: bytes | None = None
        for first in segment.firsts(self._disk, self._events):
            fd, header = segment.open_segment(self._disk, self._events, first)
            try:
                seal = segment.read_seal(self._disk, fd, header)
                count, lines = self._lines(fd, header, seal, moved)
            finally:
                self._disk.close(fd)
            changed += count
            if count or previous is not None:
                previous = self._write(header, seal, lines, header.prev_crc if previous is None else previous)
                written += 1
        return changed, written

    def _lines(self, fd: int, header: Header, seal: Seal | None, moved: dict[str, str]) -> tuple[int, list[bytes]]:
        """The JSON texts of a segment's records, without `p` and `crc`, and how many of them are not what they were."""
        count, texts = 0, []
        for line in self._intact(fd, header, seal):
            text = line[: -record.TAIL_BYTES] + b"}"
            named = {digest: new for digest, new in moved.items() if digest.encode() in text}
            if self._mask.hits(text) or named:
                text = _renamed(dumps(self._mask.in_body(loads(text))), named)
                count += 1
            texts.append(text)
        return count, texts

    def _intact(self, fd: int, header: Header, seal: Seal | None) -> Iterator[bytes]:
        end = self._disk.fstat(fd).st_size if seal is None else seal.start
        if seal is not None and seal.damaged:
            found = segment.survivors(self._disk, fd, header, end, self._limits.record_bytes)
        else:
            found = segment.lines(self._disk, fd, header.size, end)
        return (line for _, line in found)

    def _write(self, header: Header, seal: Seal | None, texts: list[bytes], previous: bytes) -> bytes:
        """Returns the crc of its last record, which the next header names."""
        head = segment.header_line(
            segment_id=header.id,
            first=header.first,
            epoch=header.epoch,
            time=header.time,
            previous=(header.prev_id, previous),
        )
        crc, lines = record.crc_of(head[:-1]), [head]
        for text in texts:
            line, crc = record.frame(text, crc, header.id)
            lines.append(line)
        body = b"".join(lines)
        if seal is not None:
            body += segment.seal_line(
                count=seal.count,
                last=seal.last,
                size=len(body),
                digest=sha256(body).hexdigest(),
                damaged=seal.damaged,
                previous=crc,
                seed=header.id,
            )
        path = self._events / f"{segment.name_of(header.first)}{_SUFFIX}"
        discard(self._disk, path)
        write_new(self._disk, path, body)
        return crc


def _is_json(data: bytes) -> bool:
    return data[:1] in {b"{", b"["}


def _renamed(data: bytes, names: dict[str, str]) -> bytes:
    for old, new in names.items():
        data = data.replace(old.encode(), new.encode())
    return data
