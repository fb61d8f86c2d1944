"""One file of the log: `events/<first seq, 20 digits>.jsonl`.

Its first line is the header, its last, once nothing more is added to it, the seal; records stand between:

    {"glink":"segment","format":1,"id":3141592653,"first":1,"e":1,"time":"…",
     "prev_id":0,"prev_seq":0,"prev_crc":"00000000","crc":"…"}
    {"seq":1,"b":1,"e":1,"time":"…","type":"…", … ,"p":"<crc of the header>","crc":"…"}
    {"glink":"seal","count":1,"last":1,"bytes":417,"sha256":"…","damaged":false,"p":"…","crc":"…"}

`id` is 32 random bits, never 0; it seeds the crc of every record and of the seal, so lines that strayed here from
another file do not check. `prev_*` repeat id, highest seq and last record's crc of the segment before (zeros for
the first). `bytes` and `sha256` are of everything before the seal. `damaged` marks a segment that was closed with
unreadable records in it. Called by the log, by recovery and by everything that reads.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from glink.bus import record
from glink.bus.fsio import Disk, chunks, discard, write_on
from glink.errors import BusCorrupt, BusFormat
from glink.jsontext import JSONError, dumps, loads

FORMAT = 1
NO_CRC = b"00000000"
_NAME = re.compile(r"(\d{20})\.jsonl")
_HEADER_BYTES = 1024
_SEAL_BYTES = 1024
_SEAL_START = b'{"glink":"seal"'
_READ_BYTES = 64 << 10  # decoded, this still fits into the processor's cache
_PROBE_BYTES = 8 << 10
_LONGEST_LINE = 16 << 20


@dataclass(frozen=True, slots=True)
class Header:
    """What a segment says of itself; `size` is the length of the line, `crc` what the first record follows."""

    id: int
    first: int
    epoch: int
    time: str
    prev_id: int
    prev_seq: int
    prev_crc: bytes
    size: int
    crc: bytes


@dataclass(frozen=True, slots=True)
class Seal:
    """How a segment ended; `start` is the offset of the seal's line, `previous` the crc of the line before it."""

    start: int
    count: int
    last: int
    sha256: str
    damaged: bool
    previous: bytes


@dataclass(frozen=True, slots=True)
class Prefix:
    """The intact beginning of a segment: where it ends, its last seq and crc, the epoch of the last record."""

    end: int
    seq: int
    crc: bytes
    epoch: int
    sealed: bool


def name_of(first: int) -> str:
    return f"{first:020d}.jsonl"


def firsts(disk: Disk, events: Path) -> list[int]:
    """The first seq of every segment in the folder, ascending."""
    return sorted(int(found[1]) for name in disk.listdir(events) if (found := _NAME.fullmatch(name)))


def header_line(*, segment_id: int, first: int, epoch: int, time: str, previous: tuple[int, bytes]) -> bytes:
    """`previous` is the id of the segment before and the crc of its last record: (0, NO_CRC) for the first one."""
    fields = {
        "glink": "segment",
        "format": FORMAT,
        "id": segment_id,
        "first": first,
        "e": epoch,
        "time": time,
        "prev_id": previous[0],
        "prev_seq": first - 1,
        "prev_crc": previous[1].decode(),
    }
    return record.frame_alone(dumps(fields))[0]


def seal_line(*, count: int, last: int, size: int, digest: str, damaged: bool, previous: bytes, seed: int) -> bytes:
    """The last line of a segment; `size` and `digest` are of the bytes before it."""
    fields = {"glink": "seal", "count": count, "last": last, "bytes": size, "sha256": digest, "damaged": damaged}
    return record.frame(dumps(fields), previous, seed)[0]


def prepare(
    disk: Disk, events: Path, *, first: int, epoch: int, time: str, previous: tuple[int, bytes]
) -> tuple[int, Header]:
    """A new segment with nothing but its header, synced under a name that does not count yet; the caller has it open.

    Raises OSError, and nothing is left then: it may be tried again, since the next try is another file.
    """
    segment_id = int.from_bytes(disk.entropy(4), "big") or 1
    line = header_line(segment_id=segment_id, first=first, epoch=epoch, time=time, previous=previous)
    path, fresh = events / name_of(first), _fresh(events, first)
    discard(disk, fresh)
    fd = disk.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        write_on(disk, fd, line)
        disk.fsync(fd)
        return fd, read_header(disk, fd, path)
    except BaseException:
        disk.close(fd)
        discard(disk, fresh)
        raise


def rename_prepared(disk: Disk, events: Path, first: int) -> None:
    """Gives the prepared segment its name; it counts once the folder is synced, which is the caller's next deed."""
    disk.rename(_fresh(events, first), events / name_of(first))


def discard_prepared(disk: Disk, events: Path, first: int) -> None:
    discard(disk, _fresh(events, first))


def _fresh(events: Path, first: int) -> Path:
    return events / f"{name_of(first)}.new"


def create(disk: Disk, events: Path, *, first: int, epoch: int, time: str, previous: tuple[int, bytes]) -> Header:
    """A new segment with nothing but its header, on the disk under its name when this returns."""
    fd, header = prepare(disk, events, first=first, epoch=epoch, time=time, previous=previous)
    disk.close(fd)
    rename_prepared(disk, events, first)
    disk.fsync_dir(events)
    return header


def read_header(disk: Disk, fd: int, path: Path) -> Header:
    """Raises BusCorrupt for a damaged header and BusFormat for a newer one."""
    line, newline, _ = disk.pread(fd, _HEADER_BYTES, 0).partition(b"\n")
    return parse_header(line if newline else b"", path)


def parse_header(line: bytes, path: Path) -> Header:
    """The header from its line (without newline), as the one of the file at `path`; raises as `read_header`."""
    fields = _fields(line) if line and record.is_intact(line, 0) else {}
    if fields.get("glink") != "segment":
        raise BusCorrupt(f"{path}: the segment's header (byte 0) is damaged; its records cannot be checked")
    if fields.get("format") != FORMAT:
        raise BusFormat(f"{path}: format {fields.get('format')}, and this version of Glink knows {FORMAT}")
    header = Header(
        id=fields["id"],
        first=fields["first"],
        epoch=fields["e"],
        time=fields["time"],
        prev_id=fields["prev_id"],
        prev_seq=fields["prev_seq"],
        prev_crc=fields["prev_crc"].encode(),
        size=len(line) + 1,
        crc=record.crc_of(line),
    )
    if path.name != name_of(header.first):
        raise BusCorrupt(f"{path}: the header says that its first record is {header.first}")
    return header


def read_seal(disk: Disk, fd: int, header: Header) -> Seal | None:
    """The seal at the end of the file; None where no intact one stands."""
    size = disk.fstat(fd).st_size
    start = max(header.size, size - _SEAL_BYTES)
    tail = disk.pread(fd, size - start, start)
    begin = tail.rfind(_SEAL_START)
    line = tail[begin:-1]
    if begin < 0 or tail[-1:] != b"\n" or not record.is_intact(line, header.id):
        return None
    fields = _fields(line)
    if fields.get("bytes") != start + begin:
        return None
    return Seal(
        start=start + begin,
        count=fields["count"],
        last=fields["last"],
        sha256=fields["sha256"],
        damaged=fields["damaged"],
        previous=fields["p"].encode(),
    )


def digest_of(disk: Disk, fd: int, end: int) -> str:
    """sha256 of the first `end` bytes of the file."""
    digest = sha256()
    for piece in chunks(disk, fd, 0, end):
        digest.update(piece)
    return digest.hexdigest()


def blocks(disk: Disk, fd: int, start: int, end: int) -> Iterator[bytes]:
    """[start, end) in pieces of whole lines; what stands after the last newline is left out."""
    rest = b""
    while start < end and len(rest) < _LONGEST_LINE:
        piece = disk.pread(fd, min(_READ_BYTES, end - start), start)
        if not piece:
            return
        start += len(piece)
        cut = piece.rfind(b"\n") + 1
        if not cut:
            rest += piece
            continue
        yield rest + piece[:cut]
        rest = piece[cut:]


def lines(disk: Disk, fd: int, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """(offset, line without its newline) of what is known to be intact."""
    for block in blocks(disk, fd, start, end):
        for line in block[:-1].split(b"\n"):
            yield start, line
            start += len(line) + 1


def survivors(disk: Disk, fd: int, header: Header, end: int, longest: int) -> Iterator[tuple[int, bytes]]:
    """(offset, line) of every whole record of a damaged segment, in the order of their seqs."""
    data = b"".join(chunks(disk, fd, 0, end))
    last = header.first - 1
    for found in record.whole_records(data, header.id, longest):
        if found.seq > last:
            last = found.seq
            yield found.start, data[found.start : found.end]


class Walk:
    """Goes over a segment's lines from `start` on and checks that each is as it was written and follows the last.

    Iterating gives the records' lines. Afterwards `at` is the first byte that is not intact (or the end), `seq` and
    `crc` belong to the last record before it, and `sealed` says whether that was the seal.
    """

    def __init__(self, disk: Disk, fd: int, header: Header, *, start: int, end: int) -> None:
        self._blocks = blocks(disk, fd, start, end)
        self._seed = header.id
        self._end = end
        self.at, self.seq, self.crc, self.sealed = header.size, header.first - 1, header.crc, False
        first = next(blocks(disk, fd, start, end), b"").partition(b"\n")[0]
        if start != header.size and record.is_intact(first, header.id):
            self.at, self.seq, self.crc = start, record.seq_of(first) - 1, record.previous_of(first)
        elif start != header.size:
            self._blocks = blocks(disk, fd, header.size, end)

    def __iter__(self) -> Iterator[bytes]:
        seed = self._seed
        for block in self._blocks:
            at, seq, crc = self.at, self.seq, self.crc
            for line in block[:-1].split(b"\n"):
                intact = not self.sealed and record.is_whole(line, crc, seed)
                if not intact or not line.startswith(b'{"seq":%d,"b":' % (seq + 1)):
                    self.at, self.seq, self.crc = at, seq, crc
                    self.sealed = self.sealed or (intact and line.startswith(_SEAL_START))
                    if not (intact and self.sealed):
                        return
                else:
                    seq += 1
                    crc = record.crc_of(line)
                    yield line
                at += len(line) + 1
            self.at, self.seq, self.crc = at, seq, crc

    @property
    def stopped_early(self) -> bool:
        """Whether bytes are left that are not intact."""
        return self.at < self._end


def intact_prefix(disk: Disk, fd: int, header: Header, end: int | None = None) -> Prefix:
    """Walks the whole segment to the first byte that is not as it was written, or to its end.

    A seal that says `damaged` vouches for the bytes before it as they are: their loss was accepted.
    """
    size = disk.fstat(fd).st_size if end is None else end
    seal = read_seal(disk, fd, header) if end is None else None
    if seal is not None and seal.damaged and digest_of(disk, fd, seal.start) == seal.sha256:
        return Prefix(end=size, seq=seal.last, crc=seal.previous, epoch=header.epoch, sealed=True)
    walk = Walk(disk, fd, header, start=header.size, end=size)
    last = b""
    for line in walk:
        last = line
    epoch = loads(last)["e"] if last else header.epoch
    return Prefix(end=walk.at, seq=walk.seq, crc=walk.crc, epoch=epoch, sealed=walk.sealed)


def locate(disk: Disk, fd: int, start: int, end: int, seq: int) -> int:
    """An offset in [start, end) where a line begins, at or shortly before the record `seq`; needs intact lines."""
    low, high = start, end
    while high - low > _READ_BYTES:
        middle = (low + high) // 2
        block = disk.pread(fd, _PROBE_BYTES, middle)
        if b"\n" not in block:
            block = disk.pread(fd, 2 * _READ_BYTES, middle)
        offset = block.find(b"\n") + 1
        found = record.seq_of(block[offset : offset + _PROBE_BYTES]) if offset else -1
        if 0 <= found <= seq and middle + offset < high:
            low = middle + offset
        else:
            high = middle
    return low


def _fields(line: bytes) -> dict[str, Any]:
    try:
        fields = loads(line)
    except JSONError:
        return {}
    return fields if isinstance(fields, dict) else {}


def open_segment(disk: Disk, events: Path, first: int) -> tuple[int, Header]:
    """A descriptor for reading and the header; the caller closes it."""
    path = events / name_of(first)
    fd = disk.open(path, os.O_RDONLY)
    try:
        return fd, read_header(disk, fd, path)
    except BaseException:
        disk.close(fd)
        raise
