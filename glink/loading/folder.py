"""Reading below one folder without ever leaving it.

Called by the loader for everything that it reads under `projects/`. Paths are walked by descriptors that follow no
symbolic link, so what is opened is what was checked; only regular files of a bounded size are read, and opening never
waits for a writer.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK: Final = 1 << 20
_TRIES: Final = 3


class UnreadableError(Exception):
    """The file cannot be used; the text says why and `cure` what to do."""

    def __init__(self, reason: str, cure: str = "") -> None:
        self.cure = cure
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Entry:
    """One name below the folder: its path relative to it, and whether it is a link (then it is not followed)."""

    path: str
    is_link: bool


class Folder:
    """A folder whose own path the operator chose; nothing below it is trusted."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, relative: str, limit: int) -> bytes:
        """The bytes of a file of at most `limit` bytes, as they stood at one moment; raises UnreadableError."""
        for _ in range(_TRIES):
            with self._opened(relative) as (descriptor, size):
                if size > limit:
                    raise UnreadableError(f"has {size} bytes, more than {limit}", "make it smaller")
                data = _all_of(descriptor, limit)
                if data is not None:
                    return data
        raise UnreadableError("changes while it is read", "save it again when it is complete")

    def digest(self, relative: str, limit: int) -> tuple[str, int]:
        """sha256 and size of a file of at most `limit` bytes, without holding it in memory; raises UnreadableError."""
        for _ in range(_TRIES):
            with self._opened(relative) as (descriptor, size):
                if size > limit:
                    raise UnreadableError(f"has {size} bytes, more than {limit}", "make it smaller")
                before, total, digest = _state(descriptor), 0, sha256()
                while total <= limit and (chunk := os.read(descriptor, _CHUNK)):
                    total += len(chunk)
                    digest.update(chunk)
                if _state(descriptor) == before and total == size:
                    return digest.hexdigest(), total
        raise UnreadableError("changes while it is read", "save it again when it is complete")

    def below(self, relative: str, most: int) -> list[Entry]:
        """Files and links below a folder, sorted, without names that begin with a dot; raises UnreadableError."""
        found: list[Entry] = []
        pending = [relative]
        while pending:
            folder = pending.pop()
            for name, mode in self._names(folder):
                path = f"{folder}/{name}" if folder else name
                if stat.S_ISDIR(mode):
                    pending.append(path)
                elif stat.S_ISREG(mode) or stat.S_ISLNK(mode):
                    found.append(Entry(path, stat.S_ISLNK(mode)))
            if len(found) + len(pending) > most:
                raise UnreadableError(f"has more than {most} files", "move what does not belong to it elsewhere")
        return sorted(found, key=lambda entry: entry.path)

    def listing(self, relative: str, most: int) -> tuple[list[Entry], str]:
        """As `below`, with a digest of it: where that is the same, every glob finds the same names."""
        found = self.below(relative, most)
        names = "".join(f"{entry.path}\0{'l' if entry.is_link else ''}\0" for entry in found)
        return found, sha256(os.fsencode(names)).hexdigest()[:32]

    def _names(self, folder: str) -> list[tuple[str, int]]:
        parts = folder.split("/") if folder else []
        descriptor = self._open_folder(parts)
        try:
            with os.scandir(descriptor) as entries:
                return [(one.name, one.stat(follow_symlinks=False).st_mode) for one in entries if one.name[0] != "."]
        except OSError as error:
            raise _reason(error) from None
        finally:
            os.close(descriptor)

    @contextmanager
    def _opened(self, relative: str) -> Iterator[tuple[int, int]]:
        *folders, name = relative.split("/")
        folder = self._open_folder(folders)
        try:
            descriptor = os.open(name, _FILE, dir_fd=folder)
        except OSError as error:
            raise _reason(error) from None
        finally:
            os.close(folder)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise UnreadableError("is not a regular file", "put a file there")
            yield descriptor, found.st_size
        except OSError as error:
            raise _reason(error) from None
        finally:
            os.close(descriptor)

    def _open_folder(self, parts: list[str]) -> int:
        try:
            descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise _reason(error) from None
        for part in parts:
            if part in ("", ".", ".."):
                os.close(descriptor)
                raise UnreadableError("leaves the folder", "write a path inside it")
            try:
                inner = os.open(part, _FOLDER, dir_fd=descriptor)
            except OSError as error:
                raise _reason(error, linked=_is_link(part, descriptor)) from None
            finally:
                os.close(descriptor)
            descriptor = inner
        return descriptor


def _is_link(name: str, folder: int) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _all_of(descriptor: int, limit: int) -> bytes | None:
    """The file's bytes; None when it changed in the meantime."""
    before = _state(descriptor)
    chunks: list[bytes] = []
    total = 0
    while total <= limit and (chunk := os.read(descriptor, _CHUNK)):
        chunks.append(chunk)
        total += len(chunk)
    return b"".join(chunks) if _state(descriptor) == before and total == before[0] else None


def _state(descriptor: int) -> tuple[int, int, int]:
    found = os.fstat(descriptor)
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _reason(error: OSError, *, linked: bool = False) -> UnreadableError:
    if linked or error.errno == errno.ELOOP:
        return UnreadableError("is a symbolic link, or lies behind one", "put the file itself there")
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return UnreadableError("does not exist", "check the path and its spelling")
    if error.errno in (errno.ENXIO, errno.ENODEV, errno.EISDIR):
        return UnreadableError("is not a regular file", "put a file there")
    return UnreadableError(f"cannot be read: {error.strerror or type(error).__name__}", "check its permissions")
