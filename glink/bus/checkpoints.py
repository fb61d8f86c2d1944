"""Verified copies of folded state: `checkpoints/<project>.json`, the one before it as `.prev`, and the manifest.

A file is one line of JSON and the payload:

    {"glink":"checkpoint","format":1,"name":"coffee","seq":7,"crc":"<of record 7>","bytes":2,"sha256":"…"}\n{}

`sha256` is of the line before `,"sha256":` and of the payload, so every truncation and every flipped bit is seen.
The manifest (`.manifest.json`) has the same shape; its payload is {name: seq} of all checkpoints that it vouches for.
So has `.rest`, which `glink.reconciler.rest` makes: it holds no state, is vouched for by nobody, and may be missing.
The state is never the truth: a bad file is passed over and counted, and the log is folded from further back.
Called by the bus and by readers in other processes; both take `checkpoints/.lock`.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from pathlib import Path
from threading import Lock
from urllib.parse import quote

from glink.bus.fsio import Disk, chunks, discard, read_file, replace_file, write_new
from glink.clock import wait_for
from glink.jsontext import JSONError, dumps, loads

FORMAT = 1
MANIFEST = ".manifest"
REST = ".rest"
NO_CRC = "00000000"
_DIGEST_BYTES = 77  # ,"sha256":"<64 hex digits>"}
_PATIENCE = 1.0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of one project (or `.world`) after the record `seq`, whose crc is `crc`."""

    name: str
    seq: int
    crc: str
    payload: bytes


def encode(checkpoint: Checkpoint) -> bytes:
    return _head(checkpoint) + checkpoint.payload


def _head(checkpoint: Checkpoint) -> bytes:
    """The line before the payload, which may be long: it is copied no more often than it must be."""
    head = dumps(
        {
            "glink": "checkpoint",
            "format": FORMAT,
            "name": checkpoint.name,
            "seq": checkpoint.seq,
            "crc": checkpoint.crc,
            "bytes": len(checkpoint.payload),
        }
    )[:-1]
    return b'%b,"sha256":"%b"}\n' % (head, _digest(head, (checkpoint.payload,)))


def decode(data: bytes) -> Checkpoint | None:
    """None for whatever is not byte for byte what `encode` gave."""
    line, newline, payload = data.partition(b"\n")
    head, tail = line[:-_DIGEST_BYTES], line[-_DIGEST_BYTES:]
    if not newline or tail != b',"sha256":"%b"}' % _digest(head, (payload,)):
        return None
    try:
        fields = loads(line)
    except JSONError:
        return None
    if fields["format"] != FORMAT or fields["bytes"] != len(payload):
        return None
    return Checkpoint(fields["name"], fields["seq"], fields["crc"], payload)


def _digest(head: bytes, payload: Iterable[bytes]) -> bytes:
    found = sha256(head)
    for piece in payload:
        found.update(piece)
    return found.hexdigest().encode()


def _is_whole(disk: Disk, path: Path) -> bool:
    """Whether a file is byte for byte what `encode` gave; it is read in pieces."""
    try:
        fd = disk.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        pieces = chunks(disk, fd, 0, disk.fstat(fd).st_size)
        line, newline, rest = next(pieces, b"").partition(b"\n")
        head, tail = line[:-_DIGEST_BYTES], line[-_DIGEST_BYTES:]
        return bool(newline) and tail == b',"sha256":"%b"}' % _digest(head, chain((rest,), pieces))
    finally:
        disk.close(fd)


def read_manifest(disk: Disk, folder: Path) -> Checkpoint | None:
    """The manifest or the one before it; None when neither is whole."""
    return _first_whole(disk, _newest_first(folder, MANIFEST), lambda found: found.name == MANIFEST)


CrcAt = Callable[[int], str | None]
"""The crc of a durable record; None for one that the log does not have."""


@dataclass(frozen=True, slots=True)
class Covers:
    """`of` a name all records up to that seq are in its checkpoint; of a name that is not there, up to `others`."""

    others: int
    of: Mapping[str, int]

    def upto(self, name: str) -> int:
        """For one name."""
        return self.of.get(name, self.others)


class Checkpoints:
    """The folder. `crcs()` makes a `CrcAt` for a number of questions, for which it looks at the log's folder once."""

    def __init__(self, disk: Disk, folder: Path, crcs: Callable[[], CrcAt]) -> None:
        self._disk = disk
        self._folder = folder
        self._crcs = crcs
        self._seqs: dict[str, int] | None = None
        self._manifest_seq = self._most = 0
        self._vouched: dict[str, int] = {}
        self._writing = Lock()
        self.bad = 0

    def load(self) -> Iterator[Checkpoint]:
        """Every checkpoint that is whole and belongs to this log; the one before it where the newest is not."""
        seqs: dict[str, int] = {}
        bad, crc_at = 0, self._crcs()
        with self._locked(fcntl.LOCK_SH):
            files = _newest_first(self._folder, MANIFEST)
            manifest = _first_whole(self._disk, files, lambda found: _belongs(found, crc_at, {}))
        self._most, self._vouched = (0, {}) if manifest is None else (manifest.seq, loads(manifest.payload))
        for name in sorted(self._disk.listdir(self._folder)):
            if not name.endswith(".json") or name == f"{MANIFEST}.json":
                continue
            found, is_older = self._best(name, crc_at)
            bad += is_older
            if found is not None:
                seqs[found.name] = found.seq
                yield found
        self._seqs, self.bad = seqs, bad
        self._manifest_seq = min([self._most, *self._short().values()])

    def latest(self, name: str) -> tuple[Checkpoint | None, int]:
        """One checkpoint, None where no whole one is, and the seq up to which nothing is missing in it."""
        known = self._known()
        # in this order: another thread may be writing both, the checkpoint before the manifest
        manifest_seq, seq = self._manifest_seq, known.get(name, 0)
        found, _ = self._best(_file_of(name), self._crcs())
        if found is None:
            return None, manifest_seq if not seq else 0
        return found, max(manifest_seq, seq) if found.seq == seq else found.seq

    @property
    def manifest_seq(self) -> int:
        """Up to here every record is in the checkpoints that `load` gives; less than the manifest says if some are bad."""
        self._known()
        return self._manifest_seq

    def covers(self) -> Covers:
        """Up to where each of the checkpoints that `load` gives holds all there is of its name."""
        held = {name: max(seq, self._most) for name, seq in self._known().items()}
        return Covers(self._most, held | self._short())

    def _short(self) -> dict[str, int]:
        """Where the manifest vouches for more than there is."""
        known = self._seqs or {}
        return {name: known.get(name, 0) for name, seq in self._vouched.items() if known.get(name, 0) < seq}

    def write(self, name: str, seq: int, payload: bytes) -> None:
        """Raises OSError. Seqs above what is durable and unknown ones are the caller's error."""
        known = self._known()
        with self._writing:
            self._replace(Checkpoint(name, seq, self._crc(seq), payload))
            known[name] = seq

    def write_manifest(self, seq: int) -> None:
        """Vouches for all checkpoints there are: each holds its project up to `seq`."""
        known = self._known()
        with self._writing:
            self._replace(Checkpoint(MANIFEST, seq, self._crc(seq), dumps(known)))
            self._manifest_seq = self._most = seq
            self._vouched = dict(known)

    def write_rest(self, seq: int, payload: bytes) -> None:
        """What is known as of the record `seq` of projects that are at rest. Raises OSError."""
        with self._writing:
            replace_file(self._disk, self._folder / REST, encode(Checkpoint(REST, seq, self._crc(seq), payload)))

    def rest(self) -> Checkpoint | None:
        """What was written last by `write_rest`; None where it is not whole, or of another log."""
        crc_at = self._crcs()
        files = [self._folder / REST]
        return _first_whole(self._disk, files, lambda found: found.name == REST and _belongs(found, crc_at, {}))

    def _known(self) -> dict[str, int]:
        if self._seqs is None:
            for _ in self.load():
                pass
        return {} if self._seqs is None else self._seqs

    def _crc(self, seq: int) -> str:
        crc = NO_CRC if seq == 0 else self._crcs()(seq)
        if crc is None:
            raise ValueError(f"record {seq} is not on the bus; a checkpoint can only hold what is durable")
        return crc

    def _best(self, file: str, crc_at: CrcAt) -> tuple[Checkpoint | None, bool]:
        """The checkpoint in that file, or the one before it where it is damaged or of another log; whether it is that."""
        with self._locked(fcntl.LOCK_SH):
            newest = self._read(file, crc_at)
            return (newest, False) if newest is not None else (self._read(f"{file}.prev", crc_at), True)

    def _read(self, file: str, crc_at: CrcAt) -> Checkpoint | None:
        data = read_file(self._disk, self._folder / file)
        found = decode(data) if data else None
        return found if found is not None and _belongs(found, crc_at, self._vouched) else None

    def _replace(self, checkpoint: Checkpoint) -> None:
        """New file synced under a name of its own, then the old one becomes `.prev`, then the new one takes its name."""
        path = self._folder / _file_of(checkpoint.name)
        fresh, older = path.with_name(f"{path.name}.tmp"), path.with_name(f"{path.name}.prev.tmp")
        discard(self._disk, fresh)
        write_new(self._disk, fresh, _head(checkpoint), checkpoint.payload)
        # a damaged file must not push out the good one before it
        keep_older = _is_whole(self._disk, path)
        with self._locked(fcntl.LOCK_EX):
            if keep_older:
                discard(self._disk, older)
                self._disk.link(path, older)
                self._disk.rename(older, path.with_name(f"{path.name}.prev"))
            self._disk.rename(fresh, path)
        self._disk.fsync_dir(self._folder)
        discard(self._disk, older)

    @contextmanager
    def _locked(self, operation: int) -> Iterator[None]:
        """Waits a second for the others, then goes on: every file is checked as a whole, so the lock only saves retries."""
        try:
            fd = self._disk.open(
                self._folder / ".lock", os.O_RDONLY | (os.O_CREAT if operation == fcntl.LOCK_EX else 0)
            )
        except FileNotFoundError:  # nobody has written a checkpoint yet
            yield
            return
        try:
            wait_for(lambda: self._disk.flock(fd, operation), seconds=_PATIENCE, every=0.002)
            yield
        finally:
            self._disk.close(fd)


def _file_of(name: str) -> str:
    return f"{quote(name, safe='@')}.json"


def _belongs(found: Checkpoint, crc_at: CrcAt, vouched: Mapping[str, int]) -> bool:
    crc = NO_CRC if found.seq == 0 else crc_at(found.seq)
    if crc is None:  # its record is lost, or trimmed: it counts where the manifest, which is of this log, names it
        return vouched.get(found.name) == found.seq
    return found.crc == crc


def _newest_first(folder: Path, name: str) -> list[Path]:
    return [folder / f"{name}.json", folder / f"{name}.json.prev"]


def _first_whole(disk: Disk, files: list[Path], accepted: Callable[[Checkpoint], bool]) -> Checkpoint | None:
    for file in files:
        data = read_file(disk, file)
        found = decode(data) if data else None
        if found is not None and accepted(found):
            return found
    return None
