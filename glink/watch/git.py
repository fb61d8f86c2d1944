"""Where the desired state came from: branch and commit, read by hand, and what differs from it.

Called by `glink.watch.source` at each look. HEAD, the ref and the index lock are plain files, so a look starts no
program; `git ls-tree` runs once for each new commit. Nothing here takes a lock or writes, and no command runs that
a repository's configuration could hook into.

Limits, on purpose: a file differs from HEAD when its bytes do, so with `core.autocrlf`, clean filters or LFS
pointers in the working tree such a file counts as differing. Repositories with SHA-256 object names or the
reftable format, and those git refuses to read (another owner), have revisions `files@…`, as if there were no git.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from glink.limits import Limits
from glink.watch.settle import LockToken
from glink.watch.snapshot import File, looked_at

_COMMIT = re.compile(r"[0-9a-f]{40}")
_BRANCH = re.compile(r"refs/heads/([^\x00-\x20\x7f~^:?*\[\\]{1,255})")
_REF = re.compile(r"refs/[^\x00-\x20\x7f~^:?*\[\\]{1,500}")
_REVISION = re.compile(r"@sha1:([0-9a-f]{40})\Z")  # with `+dirty` behind it, it was not committed
_SYMBOLIC_DEPTH = 5
_SHOWN = 200
_METADATA_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Head:
    """What is checked out: `branch` is None when HEAD is detached."""

    branch: str | None
    commit: str

    def __str__(self) -> str:
        return f"{self.branch or 'detached'}@sha1:{self.commit}"


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit, as people know it. `time` is the author's, RFC 3339."""

    sha: str
    author: str
    time: str
    subject: str


@dataclass(frozen=True, slots=True)
class _Place:
    """One working tree: its top, its own git directory, and the one it shares with other working trees."""

    top: Path
    own: Path
    common: Path


class Git:
    """The repository that the projects folder lies in, if any."""

    def __init__(self, root: Path, limits: Limits) -> None:
        self._root = root
        self._limits = limits
        self._place: _Place | None = None
        self._tree: tuple[str, Mapping[str, str]] | None = None

    def head(self) -> Head | None:
        """Branch and commit now; None without a repository or before its first commit."""
        self._place = _find(self._root)
        return _head(self._place) if self._place is not None else None

    def lock(self) -> LockToken | None:
        """The index lock, if some git command holds it at this moment."""
        if self._place is None:
            return None
        try:
            found = os.lstat(self._place.own / "index.lock")
        except OSError:
            return None
        return found.st_ino, found.st_ctime_ns

    def revision(self, head: Head | None, files: Mapping[str, File]) -> str:
        """The revision of these files (all that were looked at) under this HEAD."""
        tree = self._tree_of(head.commit) if head is not None else None
        if head is None or tree is None:
            return f"files@sha256:{_digest({path: file.sha256 for path, file in files.items()})}"
        differing = {path: file.sha256 or "unread" for path, file in files.items() if tree.get(path) != file.blob}
        differing.update((path, "deleted") for path in tree if path not in files)
        return f"{head}+dirty.sha256:{_digest(differing)}" if differing else str(head)

    def _tree_of(self, commit: str) -> Mapping[str, str] | None:
        """Path below the projects folder -> blob id at the commit; None when git cannot say."""
        if self._tree is not None and self._tree[0] == commit:
            return self._tree[1]
        if self._place is None:
            return None
        prefix = os.path.relpath(os.path.realpath(self._root), self._place.top)
        listing = self._ls_tree(self._place.top, commit, "" if prefix == "." else prefix + "/")
        if listing is None:
            return None
        self._tree = (commit, listing)
        return listing

    def commit(self, revision: str, paths: Iterable[str]) -> Commit | None:
        """The newest commit, up to the one that a revision names, that touched one of these paths below the root.

        None for what was not committed then, without git, and where git cannot say.
        """
        named = _REVISION.search(revision)
        self._place = place = _find(self._root)
        if named is None or place is None:
            return None
        prefix = os.path.relpath(os.path.realpath(self._root), place.top)
        wanted = [os.path.normpath(os.path.join(prefix, path)) for path in paths]
        # NUL ends each field, so that no author can write another's.
        shape = "--format=%H%x00%an%x00%aI%x00%s%x00"
        said = self._ask(place.top, "rev-list", "--max-count=1", "--encoding=UTF-8", shape, named[1], "--", *wanted)
        fields = (said or b"").partition(b"\n")[2].decode("utf-8", "replace").split("\0")
        if len(fields) < 5 or not _COMMIT.fullmatch(fields[0]):
            return None
        return Commit(fields[0], fields[1][:_SHOWN], fields[2], fields[3][:_SHOWN])

    def _ask(self, top: Path, *arguments: str) -> bytes | None:
        """What a plumbing command of git says; None when there is none, it refuses, or is too slow."""
        command = ["git", "--literal-pathspecs", "-C", str(top)]
        # A partial clone must not fetch what it lacks.
        for setting in ("core.fsmonitor=false", "core.hooksPath=/dev/null", "protocol.allow=never"):
            command += ["-c", setting]
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        kept |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
        try:
            done = subprocess.run(
                [*command, *arguments],
                env=kept,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=self._limits.git_command,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout

    def _ls_tree(self, top: Path, commit: str, prefix: str) -> Mapping[str, str] | None:
        said = self._ask(top, "ls-tree", "-r", "-z", "--full-tree", commit, *(("--", prefix) if prefix else ()))
        if said is None:
            return None  # the files speak for themselves
        tree: dict[str, str] = {}
        for line in said.split(b"\x00"):
            about, _, path = line.partition(b"\t")
            if about.startswith(b"100"):
                tree[os.fsdecode(path)[len(prefix) :]] = about.split(b" ")[2].decode("ascii")
        kept_paths = looked_at(tree, self._limits)
        return {path: blob for path, blob in tree.items() if path in kept_paths}


def _find(root: Path) -> _Place | None:
    folder = os.path.realpath(root)
    while True:
        if (place := _place_of(folder)) is not None:
            return place
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above


def _place_of(folder: str) -> _Place | None:
    marker = os.path.join(folder, ".git")
    try:
        mode = os.stat(marker).st_mode
    except OSError:
        return None
    own = marker
    if stat.S_ISREG(mode):
        # A linked working tree or a submodule: the file names its git directory.
        text = _text_of(marker)
        if text is None or not text.startswith("gitdir: "):
            return None
        own = os.path.join(folder, text.removeprefix("gitdir: ").rstrip("\r\n"))
    shared = _text_of(os.path.join(own, "commondir"))
    common = os.path.join(own, shared.rstrip("\r\n")) if shared is not None else own
    return _Place(Path(folder), Path(own), Path(common))


def _head(place: _Place) -> Head | None:
    text = _text_of(place.own / "HEAD")
    if text is None:
        return None
    if not text.startswith("ref:"):
        return Head(None, text.strip()) if _COMMIT.fullmatch(text.strip()) else None
    name = text.removeprefix("ref:").strip()
    branch, commit = _BRANCH.fullmatch(name), _commit_of(place, name)
    return Head(branch[1], commit) if branch is not None and commit is not None else None


def _commit_of(place: _Place, name: str) -> str | None:
    for _ in range(_SYMBOLIC_DEPTH):
        if not _REF.fullmatch(name) or ".." in name:
            return None
        loose = _text_of(place.common / name)
        if loose is None:
            return _packed(place, name)
        if not loose.startswith("ref:"):
            return loose.strip() if _COMMIT.fullmatch(loose.strip()) else None
        name = loose.removeprefix("ref:").strip()
    return None


def _packed(place: _Place, name: str) -> str | None:
    text = _text_of(place.common / "packed-refs") or ""
    at = text.find(f" {name}\n")
    commit = text[max(at - 40, 0) : at] if at >= 0 else ""
    return commit if _COMMIT.fullmatch(commit) else None


def _text_of(path: str | Path) -> str | None:
    """A small file of git's, None when it is not there or not a regular file."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(opened, "rb") as file:
        found = os.fstat(opened)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _METADATA_BYTES:
            return None
        try:
            return os.fsdecode(file.read(_METADATA_BYTES))
        except OSError:
            return None


def _digest(parts: Mapping[str, str]) -> str:
    whole = sha256()
    for path in sorted(parts):
        whole.update(os.fsencode(path) + b"\x00" + parts[path].encode("ascii") + b"\x00")
    return whole.hexdigest()[:16]
