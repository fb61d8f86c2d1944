"""Which projects there are, as they were last loaded, and which must be loaded again after a look.

Kept by `glink.watch.source`, which hands in each snapshot. What is half written, torn or missing for a moment
changes nothing here: the project stays as it was, and the look is to be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from glink.errors import Problem
from glink.limits import Limits
from glink.project import Loaded
from glink.watch.settle import Kind, Look
from glink.watch.snapshot import SHARED, WORKFLOW_FILES, Snapshot, content_changes, heeded

Load = Callable[[str, Path], Loaded]
Find = Callable[[], tuple[dict[str, Path], dict[str, list[Problem]]]]


@dataclass(frozen=True, slots=True)
class Difference:
    """What one look changed. `unheard`: files changed without any event, so events are being lost.

    `again`: when to look again because something is missing, moving or unfinished.
    """

    changed: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    unheard: frozenset[str] = frozenset()
    again: float | None = None


class Catalogue:
    """All projects by name. `loaded` is theirs at the last look; the same object while nothing changed."""

    def __init__(self, root: Path, *, limits: Limits, load: Load, find: Find) -> None:
        self.loaded: dict[str, Loaded] = {}
        self._root = root
        self._limits = limits
        self._load = load
        self._find = find
        self._snapshot: Snapshot | None = None
        self._files: dict[str, Path] = {}
        self._faulty: dict[str, list[Problem]] = {}
        self._owners: dict[str, str] = {}
        self._stale: set[str] = set()
        # Each of these remembers since when: nothing that waits here may wait for ever.
        self._missing_files: dict[str, float] = {}
        self._missing_projects: dict[str, float] = {}
        self._moving: dict[str, _Moving] = {}
        self._newcomers: dict[str, float] = {}
        self._unfinished: dict[str, float] = {}
        self._closed: set[str] = set()

    def expect(self, names: Iterable[str], now: float) -> None:
        """Projects known from before the start: those that are not found either are gone after `limits.absent`."""
        for name in names:
            if name not in self.loaded:
                self._missing_projects.setdefault(name, now)

    def take(self, snapshot: Snapshot, look: Look, now: float, *, trusting: bool) -> Difference:
        """Bring everything up to one snapshot. `trusting`: whatever is there now counts as complete.

        Gather what the snapshot changed, decide what must wait, load the rest. Raises what `find` raises.
        """
        before, first = self._snapshot or Snapshot(), self._snapshot is None
        if first or _names_differ(before, snapshot):
            self._rediscover(snapshot)
        changed = content_changes(before, snapshot)
        self._snapshot = snapshot
        self._note_changes(changed, look, now, trusting=trusting or first)
        self._note_missing(before, snapshot, now)
        unheard = self._settle_moving(look, now)
        if look.rescan:
            # What failed for want of memory or descriptors may work by now.
            self._stale.update(name for name, one in self.loaded.items() if one.problems)
        gone = self._confirm_gone(now)
        loaded = self._load_stale(snapshot, look, now, trusting=trusting or first)
        return Difference(frozenset(loaded), frozenset(gone), frozenset(unheard), self._next_look(snapshot, now))

    def let_go(self, names: frozenset[str]) -> None:
        """Whoever these were delivered to has stored their bodies."""
        for name in self.loaded.keys() & names:
            self.loaded[name] = replace(self.loaded[name], blobs={})

    # -- gather

    def _rediscover(self, snapshot: Snapshot) -> None:
        found, faulty = self._find() if snapshot.root is not None else ({}, {})
        self._stale.update(name for name, file in found.items() if self._files.get(name) != file)
        self._stale.update(name for name, problems in faulty.items() if self._faulty.get(name) != problems)
        # A name that two sources claimed and one does now is found in the file it had before.
        self._stale.update(name for name in self._faulty if name not in faulty and name in found)
        self._files, self._faulty = found, faulty
        self._owners = {_home_of(file, self._root): name for name, file in found.items()}

    def _note_changes(self, changed: set[str], look: Look, now: float, *, trusting: bool) -> None:
        for path in changed:
            owners = self._owners_of(path)
            self._stale.update(owners)
            kind = look.kind_of(path)
            if kind is Kind.CLOSED and not trusting:
                self._closed.update(owners)
            else:
                self._closed.difference_update(owners)
            if trusting or kind in (Kind.CLOSED, Kind.REPLACED):
                self._moving.pop(path, None)
            elif (moving := self._moving.get(path)) is not None:
                moving.last = now
            else:
                self._moving[path] = _Moving(now, now, heard=kind is not None)

    def _note_missing(self, before: Snapshot, snapshot: Snapshot, now: float) -> None:
        if before is not snapshot:
            for path in before.files.keys() - snapshot.files.keys():
                self._missing_files.setdefault(path, now)
        for path, since in list(self._missing_files.items()):
            if path in snapshot.files:
                del self._missing_files[path]
            elif now >= since + self._limits.absent:
                del self._missing_files[path]
                self._stale.update(self._owners_of(path))

    def _settle_moving(self, look: Look, now: float) -> set[str]:
        """Drop what stopped changing; return what did so without ever having been heard of."""
        unheard: set[str] = set()
        for path, moving in list(self._moving.items()):
            moving.heard = moving.heard or look.kind_of(path) is not None
            if look.kind_of(path) in (Kind.CLOSED, Kind.REPLACED):
                del self._moving[path]
            elif now >= moving.settles(self._limits):
                del self._moving[path]
                if not moving.heard:
                    unheard.add(path)
        return unheard

    def _owners_of(self, path: str) -> list[str]:
        if path.startswith(SHARED + "/"):
            return [name for name, one in self.loaded.items() if path in one.sources or one.problems]
        while path:
            if (name := self._owners.get(path)) is not None:
                return [name]
            path = path.rpartition("/")[0]
        return []

    # -- decide

    def _confirm_gone(self, now: float) -> set[str]:
        here = self._files.keys() | self._faulty.keys()
        for name in self.loaded.keys() - here:
            self._missing_projects.setdefault(name, now)
        gone: set[str] = set()
        for name, since in list(self._missing_projects.items()):
            if name in here:
                del self._missing_projects[name]
            elif now >= since + self._limits.absent:
                del self._missing_projects[name]
                self.loaded.pop(name, None)
                gone.add(name)
        return gone

    def _must_wait(self, name: str, now: float) -> bool:
        """Whether the files of a project are on their way."""
        if any(name in self._owners_of(path) for path in self._moving):
            return True
        known = self.loaded.get(name)
        if known is not None:
            return any(path in known.sources for path in self._missing_files)
        if not self._missing_projects:
            return False
        # A renamed project must not start afresh before its old name is known to be gone.
        return now < self._newcomers.setdefault(name, now) + self._limits.absent

    def _is_unfinished(self, name: str, loaded: Loaded, snapshot: Snapshot, look: Look, now: float) -> bool:
        """Whether what was read may be one half of a write."""
        invalid = bool(loaded.problems) and name in self._closed and not look.quiet
        file = self._files.get(name)
        torn = file is not None and _is_torn(file.relative_to(self._root).as_posix(), loaded, snapshot)
        if not invalid and not torn:
            return False
        return now < self._unfinished.setdefault(name, now) + self._limits.storm

    def _next_look(self, snapshot: Snapshot, now: float) -> float | None:
        quiet, absent = self._limits.quiet, self._limits.absent
        times = [moving.settles(self._limits) for moving in self._moving.values()]
        times += [since + absent for since in self._missing_files.values()]
        times += [since + absent for since in self._missing_projects.values()]
        times += [since + absent for since in self._newcomers.values()]
        if self._unfinished:
            times.append(now + quiet)
        if snapshot.root is None:
            times.append(now + absent)
        return max(min(times), now + min(quiet, absent)) if times else None

    # -- perform

    def _load_stale(self, snapshot: Snapshot, look: Look, now: float, *, trusting: bool) -> set[str]:
        changed: set[str] = set()
        for name in sorted(self._stale):
            if name not in self._files and name not in self._faulty:
                self._forget(name)
                continue
            if not trusting and self._must_wait(name, now):
                continue
            loaded = self._load_one(name, snapshot)
            if not trusting and self._is_unfinished(name, loaded, snapshot, look, now):
                continue
            self._forget(name)
            if not _is_same(self.loaded.get(name), loaded):
                self.loaded[name] = loaded
                changed.add(name)
        return changed

    def _forget(self, name: str) -> None:
        self._stale.discard(name)
        self._closed.discard(name)
        self._unfinished.pop(name, None)
        self._newcomers.pop(name, None)

    def _load_one(self, name: str, snapshot: Snapshot) -> Loaded:
        if name in self._faulty:
            return _invalid(name, self._faulty[name])
        file = self._files[name]
        path = f"{self._root.name}/{file.relative_to(self._root).as_posix()}"
        if _home_of(file, self._root) in snapshot.overfull:
            most = f"the project's folder holds more than {self._limits.project_files} files"
            return _invalid(name, [Problem(path, 0, 0, "", most, "move what is not part of it elsewhere")])
        try:
            return self._load(name, file)
        except Exception as error:  # one poisoned project must not stop the others, whatever it raises
            what = f"could not be loaded: {type(error).__name__}: {error}"
            return _invalid(name, [Problem(path, 0, 0, "", what, "simplify the file; it is tried again")])


@dataclass(slots=True)
class _Moving:
    """A file that changes with no word that it is complete: since when, last when, and whether it was heard of."""

    first: float
    last: float
    heard: bool

    def settles(self, limits: Limits) -> float:
        """When it may be taken as complete: the longer it has been changing, the longer it must have stopped."""
        return self.last + min(max(limits.quiet, self.last - self.first), limits.storm)


def _names_differ(before: Snapshot, after: Snapshot) -> bool:
    if before is after:
        return False
    same_root = (before.root is None) == (after.root is None)
    return not same_root or before.files.keys() != after.files.keys() or before.others != after.others


def _home_of(file: Path, root: Path) -> str:
    """The folder of a folder project, else the file itself, relative to the projects folder."""
    path = file.relative_to(root)
    return (path.parent if path.name in WORKFLOW_FILES and len(path.parts) > 1 else path).as_posix()


def _is_torn(file: str, loaded: Loaded, snapshot: Snapshot) -> bool:
    """Whether something was written between the look at it and its loading; `file` is the workflow's."""
    if file not in snapshot.files:
        return True
    for path, digest in loaded.sources.items():
        seen = snapshot.files.get(path)
        if heeded(path) if seen is None else seen.sha256 not in ("", digest):
            return True
    return False


def _is_same(known: Loaded | None, loaded: Loaded) -> bool:
    if known is None or known.problems != loaded.problems or known.sources != loaded.sources:
        return False
    before = known.workflow.digest if known.workflow is not None else None
    return before == (loaded.workflow.digest if loaded.workflow is not None else None)


def _invalid(name: str, problems: Iterable[Problem]) -> Loaded:
    return Loaded(project=name, workflow=None, problems=tuple(problems), sources={}, blobs={})
