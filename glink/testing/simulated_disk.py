"""A disk in memory that loses power: what was synced survives, of the rest any part that a real disk might have kept.

It stands where `glink.bus.fsio.Disk` stands. Files and folder entries each have a volatile state (what a program sees)
and a durable one (what a power cut leaves); a file's sync does not make its name durable, and a folder's sync does not
make its files' bytes durable. Rules: POSIX's, not those of one kind file system.

    disk = SimulatedDisk()
    disk.crash_after(17)            # the 17th call raises Crashed, and so does every call after it
    …                               # run the program
    after = disk.power_cut(Random(seed))    # a new disk that holds one legal survivor
    again = disk.killed()           # or: only the process died, and the page cache lives on

A sync that is made to fail (`fail`) drops what it was to write: the pages look clean and never reach the disk. A write
that is made to fail has written a half.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from glink.bus.fsio import FILE_MODE, FOLDER_MODE, Disk

SECTOR = 512
CALLS = (
    *("open", "read", "pread", "write", "pwrite", "fdatasync", "fsync", "fsync_dir", "truncate", "allocate", "fstat"),
    *("stat", "exists", "listdir", "mkdir", "rename", "link", "unlink"),
)


class Crashed(BaseException):
    """The machine is gone; not an Exception, so that no handler of the program goes on after it."""


@dataclass(eq=False)
class Node:
    """A file or a folder. `pending` is what happened to it since its last sync, in order."""

    number: int
    is_folder: bool
    data: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)  # (offset, bytes), or (size, None): truncated
    entries: dict[str, Node] = field(default_factory=dict)
    durable_entries: dict[str, Node] = field(default_factory=dict)
    pending_entries: list[dict[str, Node | None]] = field(default_factory=list)


@dataclass
class Opened:
    """A descriptor."""

    node: Node
    flags: int
    position: int = 0
    lock: int = fcntl.LOCK_UN


class SimulatedDisk(Disk):
    """See the module. `calls` counts; `fail(kind, number)` may return an errno for a call, and is asked before it."""

    def __init__(self) -> None:
        self._numbers = 1
        self._root = self._made(is_folder=True)
        self._opened: dict[int, Opened] = {}
        self._crash_after: int | None = None
        self._random = Random(0)
        self.fail: Callable[[str, int], int | None] = lambda kind, number: None
        self.calls = 0

    # What tests do with it.

    def crash_after(self, calls: int) -> None:
        """Let that many more calls pass, then crash."""
        self._crash_after = self.calls + calls

    def killed(self) -> SimulatedDisk:
        """The same disk for the next process: descriptors and locks are gone, the page cache is not."""
        after = SimulatedDisk()
        after._root, after._numbers, after._random = self._root, self._numbers, self._random
        return after

    def power_cut(self, random: Random) -> SimulatedDisk:
        """A disk with one legal survivor: all that was synced, and of the rest whatever chance keeps."""
        after = SimulatedDisk()
        after._numbers, after._random = self._numbers, self._random
        copies: dict[int, Node] = {}
        after._root = _survivor(self._root, random, copies)
        return after

    # One call of each kind.

    def open(self, path: Path, flags: int) -> int:
        self._called("open")
        folder, name = self._parent(path)
        node = folder.entries.get(name) if name else self._root
        if node is None:
            if not flags & os.O_CREAT:
                raise _error(errno.ENOENT, path)
            node = self._made(is_folder=False)
            _change(folder, {name: node})
        elif flags & os.O_CREAT and flags & os.O_EXCL:
            raise _error(errno.EEXIST, path)
        elif node.is_folder and flags & (os.O_WRONLY | os.O_RDWR):
            raise _error(errno.EISDIR, path)
        elif flags & os.O_DIRECTORY and not node.is_folder:
            raise _error(errno.ENOTDIR, path)
        fd = next(number for number in range(3, 1 << 20) if number not in self._opened)
        self._opened[fd] = Opened(node, flags)
        return fd

    def close(self, fd: int) -> None:
        self._opened.pop(fd, None)

    def read(self, fd: int, size: int) -> bytes:
        self._called("read")
        opened = self._opened[fd]
        data = bytes(opened.node.data[opened.position : opened.position + size])
        opened.position += len(data)
        return data

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        self._called("pread")
        return bytes(self._opened[fd].node.data[offset : offset + size])

    def write(self, fd: int, data: bytes | memoryview) -> int:
        opened = self._opened[fd]
        self._put("write", opened.node, bytes(data), opened.position)
        opened.position += len(data)
        return len(data)

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        self._put("pwrite", self._opened[fd].node, bytes(data), offset)
        return len(data)

    def fdatasync(self, fd: int) -> None:
        self._sync("fdatasync", self._opened[fd].node)

    def fsync(self, fd: int) -> None:
        self._sync("fsync", self._opened[fd].node)

    def fsync_dir(self, path: Path) -> None:
        self._sync("fsync_dir", self._node(path))

    def truncate(self, fd: int, size: int) -> None:
        self._called("truncate")
        node = self._opened[fd].node
        _resize(node.data, size)
        node.pending.append((size, None))

    def allocate(self, fd: int, size: int) -> None:
        self._called("allocate")
        node = self._opened[fd].node
        if len(node.data) < size:
            _resize(node.data, size)
            node.pending.append((size, None))

    def fstat(self, fd: int) -> os.stat_result:
        self._called("fstat")
        return _stat_of(self._opened[fd].node)

    def stat(self, path: Path) -> os.stat_result:
        self._called("stat")
        return _stat_of(self._node(path))

    def kernel_locks(self) -> str:
        return ""

    def file_system(self, path: Path) -> str:
        return "simulated"

    def exists(self, path: Path) -> bool:
        self._called("exists")
        try:
            self._node(path)
        except OSError:
            return False
        return True

    def listdir(self, path: Path) -> list[str]:
        self._called("listdir")
        node = self._node(path)
        if not node.is_folder:
            raise _error(errno.ENOTDIR, path)
        return list(node.entries)

    def mkdir(self, path: Path) -> None:
        self._called("mkdir")
        folder, name = self._parent(path)
        if name in folder.entries:
            raise _error(errno.EEXIST, path)
        _change(folder, {name: self._made(is_folder=True)})

    def rename(self, source: Path, target: Path) -> None:
        """Atomic within a folder, which is all that is offered."""
        self._called("rename")
        folder, name = self._parent(source)
        if name not in folder.entries:
            raise _error(errno.ENOENT, source)
        where, called = self._parent(target)
        if where is folder:
            _change(folder, {name: None, called: folder.entries[name]})
        else:
            _change(where, {called: folder.entries[name]})
            _change(folder, {name: None})

    def link(self, source: Path, target: Path) -> None:
        self._called("link")
        folder, name = self._parent(target)
        if name in folder.entries:
            raise _error(errno.EEXIST, target)
        _change(folder, {name: self._node(source)})

    def unlink(self, path: Path) -> None:
        self._called("unlink")
        folder, name = self._parent(path)
        if name not in folder.entries:
            raise _error(errno.ENOENT, path)
        _change(folder, {name: None})

    def flock(self, fd: int, operation: int) -> bool:
        mine = self._opened[fd]
        others = [one.lock for one in self._opened.values() if one.node is mine.node and one is not mine]
        wanted = operation & ~fcntl.LOCK_NB
        if fcntl.LOCK_EX in others or (wanted == fcntl.LOCK_EX and fcntl.LOCK_SH in others):
            return wanted == fcntl.LOCK_UN
        mine.lock = wanted
        return True

    def entropy(self, size: int) -> bytes:
        return self._random.randbytes(size)

    # Within.

    def _called(self, kind: str) -> None:
        if self._crash_after is not None and self.calls >= self._crash_after:
            raise Crashed
        self.calls += 1
        number = self.fail(kind, self.calls)
        if number is not None:
            raise OSError(number, os.strerror(number), kind)

    def _put(self, kind: str, node: Node, data: bytes, offset: int) -> None:
        try:
            self._called(kind)
        except OSError:
            _write(node, data[: len(data) // 2], offset)
            raise
        _write(node, data, offset)

    def _sync(self, kind: str, node: Node) -> None:
        try:
            self._called(kind)
        except OSError:
            node.pending.clear()  # the pages are marked clean: they are seen, and never written
            raise
        if node.is_folder:
            node.durable_entries = dict(node.entries)
            node.pending_entries.clear()
        else:
            for change in node.pending:
                node.durable = _changed(node.durable, *change)
            node.pending.clear()

    def _made(self, *, is_folder: bool) -> Node:
        self._numbers += 1
        return Node(self._numbers, is_folder)

    def _node(self, path: Path) -> Node:
        node = self._root
        for part in path.parts[1:]:
            if not node.is_folder:
                raise _error(errno.ENOTDIR, path)
            found = node.entries.get(part)
            if found is None:
                raise _error(errno.ENOENT, path)
            node = found
        return node

    def _parent(self, path: Path) -> tuple[Node, str]:
        return self._node(path.parent), path.name


def _error(number: int, path: Path) -> OSError:
    return OSError(number, os.strerror(number), str(path))


def _change(folder: Node, change: dict[str, Node | None]) -> None:
    _enter(folder.entries, change)
    folder.pending_entries.append(change)


def _enter(entries: dict[str, Node], change: dict[str, Node | None]) -> None:
    for name, node in change.items():
        if node is None:
            entries.pop(name, None)
        else:
            entries[name] = node


def _resize(data: bytearray, size: int) -> None:
    if size < len(data):
        del data[size:]
    else:
        data.extend(bytes(size - len(data)))


def _write(node: Node, data: bytes, offset: int) -> None:
    if len(node.data) < offset:
        _resize(node.data, offset)
    node.data[offset : offset + len(data)] = data
    node.pending.append((offset, data))


def _changed(durable: bytes, offset: int, data: bytes | None) -> bytes:
    found = bytearray(durable)
    if data is None:
        _resize(found, offset)
    else:
        if len(found) < offset:
            _resize(found, offset)
        found[offset : offset + len(data)] = data
    return bytes(found)


def _stat_of(node: Node) -> os.stat_result:
    mode = stat.S_IFDIR | FOLDER_MODE if node.is_folder else stat.S_IFREG | FILE_MODE
    values: tuple[Any, ...] = (mode, node.number, 1, 1, 0, 0, len(node.data), 0, 0, 0)
    return os.stat_result(values)


def _survivor(node: Node, random: Random, copies: dict[int, Node]) -> Node:
    """What is left of a node and of everything below it; names that are links to one file stay that."""
    if node.number in copies:
        return copies[node.number]
    copy = copies[node.number] = Node(node.number, node.is_folder)
    if not node.is_folder:
        copy.durable = _surviving_bytes(node, random)
        copy.data = bytearray(copy.durable)
        return copy
    entries = dict(node.durable_entries)
    keep = random.choice((0.0, 0.5, 1.0))
    for change in node.pending_entries:
        if random.random() < keep:
            _enter(entries, change)
    copy.entries = {name: _survivor(one, random, copies) for name, one in entries.items()}
    copy.durable_entries = dict(copy.entries)
    return copy


def _surviving_bytes(node: Node, random: Random) -> bytes:
    """Sectors reach the disk in any order; a file that grew may have its new length without its new bytes."""
    kept, keep = node.durable, random.choice((0.0, 0.3, 0.7, 1.0))
    for offset, data in node.pending:
        if data is None:
            kept = _changed(kept, offset, None) if random.random() < keep else kept
            continue
        start = offset
        while start < offset + len(data):
            end = min((start // SECTOR + 1) * SECTOR, offset + len(data))
            if random.random() < keep:
                kept = _changed(kept, start, data[start - offset : end - offset])
            start = end
    if len(kept) < len(node.data) and random.random() < keep:
        kept = _changed(kept, len(node.data), None)
    return kept
