"""One look at the files below the projects folder: names, stats and digests, never through a link.

Called by `glink.watch.source`. Only regular files are opened, by a walk over descriptors, so a folder that turns
into a symlink meanwhile leads nowhere. A file is read again only when its stat changed, when it was heard of, or
when its last change is so young that a second one could hide behind the same times.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha1, sha256

from glink.limits import Limits

WORKFLOW_FILES = frozenset({"workflow.yaml", "workflow.yml"})
SHARED = "_shared"
_YAML = (".yaml", ".yml")
_LITTER = ("~", ".tmp", ".swp", ".bak", ".approvals")
_PROBE = "4913"  # vim tries out a folder with a file of this name
_DEPTH = 32
_CHUNK = 1 << 20
_RACY = 2.0  # seconds: the coarsest time stamps of a file system in use (FAT)
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

Stat = tuple[int, int, int, int, int]
"""Device, inode, size, mtime and ctime in nanoseconds."""


@dataclass(frozen=True, slots=True)
class File:
    """One regular file. `blob` is its git blob id (sha1); both digests are "" when it could not be read.

    `racy`: it may have changed since without another stat.
    """

    stat: Stat
    sha256: str
    blob: str
    racy: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one look saw; paths are relative to the projects folder.

    `root` is (device, inode) of the folder itself, None when there is none. `others` are names of what is neither
    a file nor a folder. `overfull` are folders that hold more files than `limits.project_files`; the rest of their
    files was not looked at.
    """

    root: tuple[int, int] | None = None
    files: Mapping[str, File] = field(default_factory=dict)
    others: frozenset[str] = frozenset()
    overfull: frozenset[str] = frozenset()


EMPTY = Snapshot()


def ignored(name: str) -> bool:
    """Whether a file or folder of this name is not looked at: hidden, private, or litter of editors."""
    return name[0] in "._#" or name.endswith(_LITTER)


def heeded(path: str) -> bool:
    """Whether a change of this path (relative to the projects folder) can matter to a project."""
    parts = path.split("/")
    if parts[0] == SHARED:
        del parts[0]
    return parts[-1:] != [_PROBE] and not any(ignored(part) for part in parts if part)


def looked_at(paths: Iterable[str], limits: Limits) -> set[str]:
    """Those of the paths that a walk over a folder holding exactly these files records."""
    heard = [path for path in paths if heeded(path)]
    homes = {path.rpartition("/")[0] for path in heard if path.rpartition("/")[2] in WORKFLOW_FILES}
    homes = {home for home in homes if home and home.count("/") < limits.name_parts}
    return {path for path in heard if _recorded(path, homes, limits)}


def _recorded(path: str, homes: Collection[str], limits: Limits) -> bool:
    if path.count("/") > _DEPTH:
        return False
    folder = path.rpartition("/")[0]
    while folder:
        if folder in homes or folder == SHARED:
            return True
        folder = folder.rpartition("/")[0]
    return path.endswith(_YAML) and path.count("/") <= limits.name_parts


def content_changes(before: Snapshot, after: Snapshot) -> set[str]:
    """Paths of `after` that are new or whose content is another than in `before`."""
    if before is after:
        return set()
    known = before.files
    return {path for path, file in after.files.items() if known.get(path) is not file and _differs(known, path, file)}


def _differs(known: Mapping[str, File], path: str, file: File) -> bool:
    old = known.get(path)
    return old is None or old.sha256 != file.sha256 or (not file.sha256 and old.stat != file.stat)


def take_snapshot(root: str, before: Snapshot, *, heard: Collection[str], now: float, limits: Limits) -> Snapshot:
    """Look at everything below `root`; `before` itself when nothing at all has changed.

    Files in `heard` are read again whatever their stat says. Raises OSError when the folder is there but cannot
    be read.
    """
    try:
        descriptor = os.open(root, _OPEN_FOLDER & ~os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return before if before.root is None else EMPTY
    try:
        found = os.fstat(descriptor)
        walk = _Walk(before.files, heard, now, limits)
        walk.folder(descriptor, "", 0, home=None)
    finally:
        os.close(descriptor)
    after = Snapshot((found.st_dev, found.st_ino), walk.files, frozenset(walk.others), frozenset(walk.overfull))
    same_names = len(after.files) == len(before.files) and after.others == before.others
    if not walk.changed and same_names and after.root == before.root and after.overfull == before.overfull:
        return before
    return after


class _Walk:
    """One walk: what it has found so far."""

    def __init__(self, known: Mapping[str, File], heard: Collection[str], now: float, limits: Limits) -> None:
        self.files: dict[str, File] = {}
        self.others: list[str] = []
        self.overfull: list[str] = []
        self.changed = False
        self._known = known
        self._heard = heard
        self._now = now
        self._limits = limits
        self._left = 0

    def folder(self, descriptor: int, prefix: str, depth: int, *, home: str | None) -> None:
        """Walk one open folder; `home` is the project's folder that it is in, None outside of all."""
        with os.scandir(descriptor) as listing:
            entries = list(listing)
        if home is None and prefix and depth <= self._limits.name_parts:
            names = {entry.name for entry in entries}
            if not names.isdisjoint(WORKFLOW_FILES):
                home, self._left = prefix, self._limits.project_files
        for entry in entries:
            name = entry.name
            if ignored(name) and (prefix or name != SHARED):
                continue
            path = prefix + name
            if entry.is_dir(follow_symlinks=False):
                self._enter(descriptor, name, path, depth + 1, home=home)
            elif not entry.is_file(follow_symlinks=False):
                self.others.append(path)
            elif name == _PROBE:
                continue
            elif home is not None:
                self._count(home)
                if self._left >= 0:
                    self._file(descriptor, entry, path)
            elif name.endswith(_YAML):
                self._file(descriptor, entry, path)

    def _enter(self, descriptor: int, name: str, path: str, depth: int, *, home: str | None) -> None:
        if path == SHARED:
            home, self._left = SHARED + "/", self._limits.project_files
        if depth > (_DEPTH if home is not None else self._limits.name_parts) or (home is not None and self._left < 0):
            return
        try:
            inner = os.open(name, _OPEN_FOLDER, dir_fd=descriptor)
        except OSError as error:
            # Gone or swapped since it was listed, or not ours to read: the loader says so if a project needs it.
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
                raise
            self.others.append(path)
            return
        try:
            self.folder(inner, path + "/", depth, home=home)
        finally:
            os.close(inner)

    def _count(self, home: str) -> None:
        if self._left == 0:
            self.overfull.append(home.rstrip("/"))
        self._left -= 1

    def _file(self, descriptor: int, entry: os.DirEntry[str], path: str) -> None:
        try:
            key = stat_key(entry.stat(follow_symlinks=False))
        except FileNotFoundError:
            return
        old = self._known.get(path)
        if old is not None and old.stat == key and not old.racy and path not in self._heard:
            self.files[path] = old
            return
        file = _read(descriptor, entry.name, key, self._limits.inputs_bytes, self._now)
        if file is None:
            return
        if old == file:
            self.files[path] = old
            return
        self.changed = True
        self.files[path] = file


def stat_key(found: os.stat_result) -> Stat:
    """What must differ for a file to be read again."""
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _read(descriptor: int, name: str, key: Stat, size_limit: int, now: float) -> File | None:
    """Digest one file; None when it vanished or is no regular file any more."""
    try:
        opened = os.open(name, _OPEN_FILE, dir_fd=descriptor)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            raise
        return File(key, "", "", racy=False)
    try:
        found = os.fstat(opened)
        if not stat.S_ISREG(found.st_mode):
            return None
        key = stat_key(found)
        if found.st_size > size_limit:
            return File(key, "", "", racy=False)
        digests = _digests(opened, found.st_size)
        racy = abs(now - found.st_ctime) < _RACY or stat_key(os.fstat(opened)) != key
    except OSError:
        # EIO and its like: a file that cannot be read is no other file than one that may not be.
        return File(key, "", "", racy=True)
    finally:
        os.close(opened)
    return File(key, *digests, racy=racy)


def _digests(opened: int, size: int) -> tuple[str, str]:
    content, blob = sha256(), sha1(b"blob %d\x00" % size, usedforsecurity=False)
    left = size
    while left > 0 and (data := os.read(opened, min(left, _CHUNK))):
        content.update(data)
        blob.update(data)
        left -= len(data)
    return content.hexdigest(), blob.hexdigest()
