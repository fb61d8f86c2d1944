"""The only door to the disk for `glink.bus`.

`Disk` is the set of operations on the real one, thin enough that a simulated disk can stand in for it; the functions
below it are the few compound moves whose order of calls decides what survives a power cut.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glink.errors import BusError

FILE_MODE = 0o600
FOLDER_MODE = 0o700
_CHUNK = 1 << 20


class Disk:
    """Real operations, one system call each. All raise OSError."""

    def open(self, path: Path, flags: int) -> int:
        return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)

    def close(self, fd: int) -> None:
        os.close(fd)

    def read(self, fd: int, size: int) -> bytes:
        return os.read(fd, size)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        return os.pread(fd, size, offset)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        return os.write(fd, data)

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        return os.pwrite(fd, data, offset)

    def fdatasync(self, fd: int) -> None:
        os.fdatasync(fd)

    def fsync(self, fd: int) -> None:
        os.fsync(fd)

    def fsync_dir(self, path: Path) -> None:
        fd = self.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def allocate(self, fd: int, size: int) -> None:
        os.posix_fallocate(fd, 0, size)

    def fstat(self, fd: int) -> os.stat_result:
        return os.fstat(fd)

    def stat(self, path: Path) -> os.stat_result:
        return os.stat(path, follow_symlinks=False)

    def kernel_locks(self) -> str:
        """The kernel's table of file locks; empty where it cannot be read."""
        try:
            return Path("/proc/locks").read_text(encoding="ascii", errors="replace")
        except OSError:
            return ""

    def file_system(self, path: Path) -> str:
        """The type of the file system on which the path lies, as the kernel names it; "" where it does not tell."""
        device = os.stat(path).st_dev
        mark = f" {os.major(device)}:{os.minor(device)} "
        try:
            table = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        line = next((line for line in table.splitlines() if mark in line), "")
        return line.partition(" - ")[2].partition(" ")[0]

    def exists(self, path: Path) -> bool:
        return os.path.lexists(path)

    def listdir(self, path: Path) -> list[str]:
        return os.listdir(path)

    def mkdir(self, path: Path) -> None:
        os.mkdir(path, FOLDER_MODE)

    def rename(self, source: Path, target: Path) -> None:
        os.rename(source, target)

    def link(self, source: Path, target: Path) -> None:
        os.link(source, target)

    def unlink(self, path: Path) -> None:
        os.unlink(path)

    def flock(self, fd: int, operation: int) -> bool:
        """Whether the lock was got at once; `operation` is LOCK_SH, LOCK_EX or LOCK_UN."""
        try:
            fcntl.flock(fd, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def entropy(self, size: int) -> bytes:
        return os.urandom(size)


@contextmanager
def disk_errors(deed: str) -> Iterator[None]:
    """Turns an OSError into a BusError that says what was being done."""
    try:
        yield
    except OSError as error:
        raise BusError(f"{deed}: {error}", errno=error.errno) from error


def write_at(disk: Disk, fd: int, data: bytes, offset: int) -> None:
    """All of `data` at `offset`, over as many short writes as it takes."""
    rest: bytes | memoryview = data
    while rest:
        done = disk.pwrite(fd, rest, offset)
        if done <= 0:
            raise OSError(errno.EIO, "the disk takes no more bytes and gives no reason")
        rest = memoryview(rest)[done:] if done < len(rest) else b""
        offset += done


def write_on(disk: Disk, fd: int, data: bytes) -> None:
    """All of `data` at the descriptor's position."""
    rest = memoryview(data)
    while rest:
        done = disk.write(fd, rest)
        if done <= 0:
            raise OSError(errno.EIO, "the disk takes no more bytes and gives no reason")
        rest = rest[done:]


def chunks(disk: Disk, fd: int, start: int, end: int) -> Iterator[bytes]:
    """The bytes [start, end) in pieces of at most 1 MiB; ends early where the file does."""
    while start < end:
        piece = disk.pread(fd, min(_CHUNK, end - start), start)
        if not piece:
            return
        yield piece
        start += len(piece)


def read_all(disk: Disk, fd: int, size: int) -> bytes:
    """The first `size` bytes, with one call where the disk gives them; fewer where the file ends before."""
    data = disk.pread(fd, size, 0)
    return data if len(data) == size else data + b"".join(chunks(disk, fd, len(data), size))


def read_file(disk: Disk, path: Path) -> bytes | None:
    """The whole file; None when there is none."""
    try:
        fd = disk.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return b"".join(chunks(disk, fd, 0, disk.fstat(fd).st_size))
    finally:
        disk.close(fd)


def write_new(disk: Disk, path: Path, *pieces: bytes) -> None:
    """A file that was not there, written and synced; its folder is not."""
    fd = disk.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        for piece in pieces:
            write_on(disk, fd, piece)
        disk.fsync(fd)
    finally:
        disk.close(fd)


def replace_file(disk: Disk, path: Path, data: bytes) -> None:
    """The file holds `data` or what it held before, never a mixture: tmp, sync, rename, sync of the folder."""
    fresh = path.with_name(f"{path.name}.{disk.entropy(4).hex()}.tmp")
    try:
        write_new(disk, fresh, data)
        disk.rename(fresh, path)
    except OSError:
        discard(disk, fresh)
        raise
    disk.fsync_dir(path.parent)


def discard(disk: Disk, path: Path) -> None:
    """Removes a file that may not be there; what cannot be removed now is litter for the next opening to sweep."""
    try:
        disk.unlink(path)
    except OSError:
        return


def sync_names(disk: Disk, path: Path) -> None:
    """The names of the folder and of those above it: whoever made them may have ended before they were on the disk."""
    for folder in path.parents:
        try:
            disk.fsync_dir(folder)
        except OSError as error:
            if error.errno not in {errno.EACCES, errno.EPERM, errno.EINVAL}:
                raise
            return  # not ours, so not made by us


def make_folder(disk: Disk, path: Path) -> None:
    """The folder and those above it, each entry synced into its parent."""
    missing = []
    while not disk.exists(path):
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        try:
            disk.mkdir(folder)
        except FileExistsError:
            continue
        disk.fsync_dir(folder.parent)
