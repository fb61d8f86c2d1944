"""What one load of a project reads: its workflow file, texts, schemas, scripts and inputs, each with its digest.

Made by `glink.project` for one load. Names are those of the canonical form: relative to the project's folder, or
beginning with `_shared/`, which many projects may read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from glink import digest
from glink.limits import Limits
from glink.loading.folder import Entry, Folder, UnreadableError
from glink.workflow import matches

_SHARED: Final = "_shared/"
_WILD: Final = frozenset("*?[")
_HELD: Final = 1 << 20


class Sources:
    """The files of one project. `digests` are by path below `projects/`; `blobs` by sha256, a Path where it is large.

    `listings` are digests of the names below each folder that a glob looked through.
    """

    def __init__(self, root: Path, folder: str | None, limits: Limits) -> None:
        self.digests: dict[str, str] = {}
        self.blobs: dict[str, bytes | Path] = {}
        self.listings: dict[str, str] = {}
        self._root = root
        self._below = Folder(root)
        self._folder = folder
        self._limits = limits
        self._left = limits.project_bytes
        self._texts: dict[str, str] = {}

    def workflow(self, path: str) -> bytes:
        """The workflow file itself, by its path below `projects/`; raises UnreadableError."""
        return self._read(path)

    def text(self, name: str) -> str:
        """A text of the project; raises UnreadableError."""
        if name not in self._texts:
            data = self._read(self._path(name))
            try:
                text = data.decode("utf-8")
            except UnicodeDecodeError:
                raise UnreadableError("is not UTF-8", "save it as UTF-8") from None
            if "\0" in text:
                raise UnreadableError("contains NUL characters", "remove them")
            self._texts[name] = text
        return self._texts[name]

    def script(self, name: str) -> str:
        """The sha256 of a script, whose bytes become a blob; raises UnreadableError."""
        data = self._read(self._path(name))
        found = digest.of_bytes(data)
        self.blobs[found] = data
        return found

    def shown(self, name: str) -> str:
        """The path that people see."""
        return f"{self._root.name}/{self._path(name)}"

    def inputs(self, globs: Iterable[str]) -> tuple[dict[str, str], Mapping[str, UnreadableError]]:
        """Name -> sha256 of all files that the globs match, and what is wrong, by glob."""
        wanted = sorted(set(globs))
        faults: dict[str, UnreadableError] = {}
        names: dict[str, str] = {}
        patterns = [glob for glob in wanted if _WILD & set(glob)]
        if len(patterns) > self._limits.input_patterns:
            fault = UnreadableError(f"is one of more than {self._limits.input_patterns} patterns", "put some together")
            return {}, {patterns[-1]: fault}
        for glob in wanted:
            try:
                found = self._matching(glob) if glob in patterns else [glob]
                names |= dict.fromkeys(found, glob)
            except UnreadableError as fault:
                faults[glob] = fault
        most = self._limits.inputs_files
        if len(names) > most:
            glob = names[sorted(names)[most]]
            return {}, {glob: UnreadableError(f"matches, with others, more than {most} files", "narrow it")}
        files: dict[str, str] = {}
        left = self._limits.inputs_bytes
        for name, glob in sorted(names.items()):
            try:
                files[name], size = self._input(name, left)
                left -= size
            except UnreadableError as fault:
                faults.setdefault(glob, fault if glob == name else _about(name, fault))
        return files, faults

    def _matching(self, glob: str) -> list[str]:
        shared = glob.startswith(_SHARED)
        self._path(glob)
        found: list[str] = []
        for entry in self._listed(_SHARED[:-1] if shared else self._folder or ""):
            name = entry.path if shared else entry.path.removeprefix(f"{self._folder}/")
            if entry.is_link and _reaches(glob, name):
                raise UnreadableError(f"meets {name}, a symbolic link", "put the file itself there")
            if not entry.is_link and matches(name, glob) and (shared or not name.startswith(_SHARED)):
                if not name.isprintable() or "\\" in name:
                    raise UnreadableError(f"matches a file with a strange name, {name!a}", "rename it")
                found.append(name)
        return found

    def _listed(self, folder: str) -> list[Entry]:
        found, self.listings[folder] = self._below.listing(folder, self._limits.project_files)
        return found

    def _input(self, name: str, left: int) -> tuple[str, int]:
        path = self._path(name)
        found, size = self._below.digest(path, self._limits.inputs_bytes)
        if size > left:
            raise UnreadableError(f"brings the inputs to more than {self._limits.inputs_bytes} bytes", "narrow it")
        if size <= _HELD:
            data = self._below.read(path, _HELD)
            found, size = digest.of_bytes(data), len(data)
            self.blobs[found] = data
        else:
            self.blobs[found] = self._root / path
        self.digests[path] = found
        return found, size

    def _read(self, path: str) -> bytes:
        if self._left <= 0:
            raise UnreadableError(
                f"is too much: the project has more than {self._limits.project_bytes} bytes", "split it"
            )
        data = self._below.read(path, min(self._limits.file_bytes, self._left))
        self._left -= len(data)
        self.digests[path] = digest.of_bytes(data)
        return data

    def _path(self, name: str) -> str:
        if name.startswith(_SHARED):
            return name
        if self._folder is None:
            cure = "make it a folder, NAME/workflow.yaml with the file beside it, or put the file into _shared/"
            raise UnreadableError("cannot belong to a project that is a single file", cure)
        return f"{self._folder}/{name}"


def _about(name: str, fault: UnreadableError) -> UnreadableError:
    return UnreadableError(f"matches {name}, which {fault}", fault.cure)


def _reaches(glob: str, name: str) -> bool:
    """Whether the glob matches the name, or could match something below it."""
    globs, parts = glob.split("/"), name.split("/")
    if "**" in globs:
        fixed = globs.index("**")
        return len(parts) > fixed or matches("/".join(parts), "/".join(globs[: len(parts)]))
    return len(parts) <= len(globs) and matches(name, "/".join(globs[: len(parts)]))
