"""Which projects there are: names and workflow files below `projects/`. Reads names only, no content.

Called by `glink.project`, whose face the rest sees.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Final

from glink.errors import Problem
from glink.limits import Limits
from glink.loading.document import quoted

_PART: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_SUFFIXES: Final = (".yaml", ".yml")
_WORKFLOW: Final = ("workflow.yaml", "workflow.yml")
_PASSED_BY: Final = (".tmp", "~", ".swp", ".bak", ".approvals")

Found = list[tuple[str, str]]


def name_fault(name: str, limits: Limits) -> str:
    """Why a text cannot name a project; empty when it can."""
    parts = name.split("/")
    if len(name) > limits.name_characters:
        return f"has more than {limits.name_characters} characters"
    if len(parts) > limits.name_parts:
        return f"has more than {limits.name_parts} parts"
    for part in parts:
        if not _PART.fullmatch(part) or ".." in part or part.endswith(_PASSED_BY):
            return f"has a part {quoted(part)} that is not letters, digits, ., _ and - (63 at most, . _ - not first)"
    return ""


class _Search:
    """One walk: `found` are (name, path below the root)."""

    def __init__(self, root: Path, limits: Limits) -> None:
        self.root = root
        self.limits = limits
        self.found: Found = []
        self.problems: dict[str, list[Problem]] = {}

    def folder(self, path: str) -> None:
        """Everything below one folder. The root's own errors are the caller's."""
        try:
            entries = sorted(self._entries(path))
        except OSError as error:
            if not path:
                raise
            self._refuse(path, path, f"cannot be read: {error.strerror}", "check its permissions")
            return
        if path and (own := [name for name, _ in entries if name in _WORKFLOW]):
            for name in own:
                self._candidate(path, f"{path}/{name}", dict(entries)[name])
            return
        for name, mode in entries:
            inner = f"{path}/{name}" if path else name
            if stat.S_ISDIR(mode):
                if inner.count("/") < self.limits.name_parts:
                    self.folder(inner)
            elif name.endswith(_SUFFIXES):
                self._candidate(inner.rpartition(".")[0], inner, mode)
            elif stat.S_ISLNK(mode) and (self.root / inner).is_dir():
                self._refuse(inner, inner, "is a symbolic link", "put the folder itself there")

    def _entries(self, path: str) -> list[tuple[str, int]]:
        with os.scandir(self.root / path) as entries:
            return [(one.name, _mode(one)) for one in entries if one.name[0] not in "._#" and _looked_at(one.name)]

    def _candidate(self, name: str, path: str, mode: int) -> None:
        if fault := name_fault(name, self.limits):
            self._refuse(name, path, f"the name {fault}", "rename it")
        elif stat.S_ISLNK(mode):
            self._refuse(name, path, "is a symbolic link", "put the file itself there")
        elif not stat.S_ISREG(mode):
            self._refuse(name, path, "is not a regular file", "put a file there")
        else:
            self.found.append((name, path))

    def _refuse(self, name: str, path: str, what: str, cure: str) -> None:
        shown = _printable(f"{self.root.name}/{path}")
        self.problems.setdefault(_printable(name), []).append(Problem(shown, 0, 0, "", what, cure))

    def refuse_doubles(self) -> dict[str, Path]:
        """The files of all names that one source alone claims; the others are refused by all their paths."""
        claims: dict[str, Found] = {}
        for name, path in self.found:
            claims.setdefault(name.casefold(), []).append((name, path))
        single: dict[str, Path] = {}
        for claimed in claims.values():
            if len(claimed) == 1:
                name, path = claimed[0]
                single[name] = self.root / path
                continue
            for name, path in claimed:
                others = ", ".join(f"{self.root.name}/{other}" for _, other in sorted(claimed) if other != path)
                self._refuse(name, path, f"the name {quoted(name)} is also claimed by {others}", "rename one of them")
        return {name: file for name, file in single.items() if name not in self.problems}


def find(root: Path, limits: Limits) -> tuple[dict[str, Path], dict[str, list[Problem]]]:
    """Project name -> workflow file, and problems by name; raises OSError when the root itself cannot be listed."""
    search = _Search(root, limits)
    search.folder("")
    projects = search.refuse_doubles()
    return dict(sorted(projects.items())), {name: sorted(found) for name, found in sorted(search.problems.items())}


def _looked_at(name: str) -> bool:
    return not name.endswith(_PASSED_BY)


def _mode(entry: os.DirEntry[str]) -> int:
    """The kind of an entry, without a stat where the folder tells it."""
    if entry.is_symlink():
        return stat.S_IFLNK
    if entry.is_dir(follow_symlinks=False):
        return stat.S_IFDIR
    return stat.S_IFREG if entry.is_file(follow_symlinks=False) else stat.S_IFIFO


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else "\ufffd" for one in text)
