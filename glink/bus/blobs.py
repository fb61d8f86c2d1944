"""Bodies too long for a record, artifacts and workflows, each under the sha256 of what is stored.

`blobs/sha256/ab/cdef…`. A blob is written and synced, file and folders, before the event that names it. Called from
agents' threads, the loader's and readers; there is no state to share between them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from threading import Lock

from glink.bus.fsio import Disk, chunks, discard, disk_errors, make_folder, read_file, write_new, write_on
from glink.bus.mask import Mask
from glink.digest import of_bytes
from glink.errors import BodyDamaged, BusError

_HEX = frozenset("0123456789abcdef")


class StoredBlobs:
    """What is in the store, for those who only read."""

    def __init__(self, disk: Disk, folder: Path) -> None:
        self._disk = disk
        self._folder = folder

    def path(self, digest: str) -> Path:
        """Where the blob is or would be; raises KeyError for what is no sha256."""
        if len(digest) != 64 or not _HEX.issuperset(digest):
            raise KeyError(digest)
        return self._folder / digest[:2] / digest[2:]

    def has(self, digest: str) -> bool:
        return self._disk.exists(self.path(digest))

    def get(self, digest: str) -> bytes:
        """The bytes, verified; raises KeyError when they are not there and BusError when they are damaged."""
        with disk_errors(f"blob {digest}"):
            data = read_file(self._disk, self.path(digest))
        if data is None:
            raise KeyError(digest)
        if of_bytes(data) != digest:
            raise BodyDamaged(f"{self.path(digest)}: the blob is damaged: its bytes have another sha256")
        return data


class Blobs(StoredBlobs):
    """The store. Values of declared secrets are masked, so the digest is of what was stored, not of what was given."""

    def __init__(self, disk: Disk, folder: Path, mask: Mask) -> None:
        super().__init__(disk, folder)
        self._mask = mask
        self._lock = Lock()
        self._condemned: set[str] = set()
        self._put: set[str] | None = None

    def put(self, data: bytes) -> str:
        """Stores the bytes unless they are there already; returns the sha256 under which `get` gives them back."""
        if self._mask.active:
            data = self._mask.in_bytes(data)
        digest = of_bytes(data)
        self._pardon(digest)
        with disk_errors(f"blob {digest}"):
            if read_file(self._disk, self.path(digest)) != data:
                fresh = self._fresh()
                try:
                    write_new(self._disk, fresh, data)
                    self._place(fresh, digest)
                finally:
                    discard(self._disk, fresh)
            self._sync_folders(digest)
        return digest

    def stored(self) -> Iterator[str]:
        """The digest of every blob there is."""
        with disk_errors("the blobs cannot be listed"):
            for prefix in self._disk.listdir(self._folder):
                if len(prefix) == 2 and _HEX.issuperset(prefix):
                    for rest in self._disk.listdir(self._folder / prefix):
                        if len(rest) == 62 and _HEX.issuperset(rest):
                            yield prefix + rest

    def watch(self) -> None:
        """Notes from now on what is put, until `condemn`: for whoever is about to find out what nothing names."""
        with self._lock:
            self._put = set()

    def condemn(self, digests: set[str]) -> None:
        """Nothing named these since `watch`. Whoever puts one is about to name it, so that pardons it."""
        with self._lock:
            self._condemned |= digests - (self._put or set())
            self._put = None

    def execute(self) -> int:
        """Takes away what is still condemned; returns how many."""
        with self._lock:
            condemned, self._condemned = self._condemned, set()
            for digest in condemned:
                discard(self._disk, self.path(digest))
        return len(condemned)

    def _pardon(self, digest: str) -> None:
        with self._lock:
            self._condemned.discard(digest)
            if self._put is not None:
                self._put.add(digest)

    def put_file(self, path: Path) -> str:
        """Stores a regular file, whatever its size, in bounded memory; its size is what it was when it was opened."""
        with disk_errors(f"blob from {path}"):
            source = self._disk.open(path, os.O_RDONLY | os.O_NONBLOCK)
            try:
                if not stat.S_ISREG(self._disk.fstat(source).st_mode):
                    raise BusError(f"{path} is not a regular file")
                return self._store(source)
            finally:
                self._disk.close(source)

    def _store(self, source: int) -> str:
        fresh = self._fresh()
        fd = self._disk.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            try:
                digest = self._copy(source, fd)
                self._disk.fsync(fd)
            finally:
                self._disk.close(fd)
            self._pardon(digest)
            self._place(fresh, digest)
        finally:
            discard(self._disk, fresh)
        self._sync_folders(digest)
        return digest

    def _copy(self, source: int, target: int) -> str:
        """Masks across the borders of pieces: as many bytes as a secret can have begun in are held back."""
        digest = sha256()
        held, keep = b"", max(self._mask.longest - 1, 0)
        for piece in chunks(self._disk, source, 0, self._disk.fstat(source).st_size):
            held = self._mask.in_bytes(held + piece)
            ready = held[: len(held) - keep] if len(held) > keep else b""
            held = held[len(ready) :]
            digest.update(ready)
            write_on(self._disk, target, ready)
        digest.update(held)
        write_on(self._disk, target, held)
        return digest.hexdigest()

    def _fresh(self) -> Path:
        return self._folder / f"{self._disk.entropy(8).hex()}.tmp"

    def _place(self, fresh: Path, digest: str) -> None:
        path = self.path(digest)
        make_folder(self._disk, path.parent)
        self._disk.rename(fresh, path)

    def _sync_folders(self, digest: str) -> None:
        """Also for a blob that was there: whoever put it may have died, or be about to, before its folder was synced."""
        self._disk.fsync_dir(self.path(digest).parent)
        self._disk.fsync_dir(self._folder)
