"""`glink plan` where nothing is to be done: what the engine last knew, if all that it rests on is still the same.

Tried by the command line before anything heavy is imported. The configuration, the files and the bus are looked at, none
of them is taken apart. Whatever is other than it was, unusual or wrong is left to the long way, which says what it is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from glink import __version__, digest
from glink.answers.planned import planned_step
from glink.bus.reader import BusReader
from glink.cli.plantext import tell
from glink.clock import SystemClock
from glink.errors import GlinkError
from glink.jsontext import loads
from glink.limits import Limits
from glink.loading import discovery
from glink.loading.configtext import FILE_NAME, config_text
from glink.loading.folder import Folder, UnreadableError
from glink.watch.snapshot import EMPTY, Snapshot, take_snapshot

_LIMITS = Limits()


class _OtherwiseError(Exception):
    """Something is not as it was."""


def plan(arguments: Sequence[str], environ: Mapping[str, str], folder: Path) -> int | None:
    """Print the plan that these arguments after `plan` ask for; the exit code, None where nothing was printed."""
    flags = [one for one in arguments if one.startswith("-")]
    names = [one for one in arguments if not one.startswith("-")]
    if not {*flags} <= {"--json", "--exit-code"} or len(names) > 1 or "" in names:
        return None
    project, as_json = names[0] if names else None, "--json" in flags
    answer = planned(folder, environ, project, with_revision=as_json)
    if answer is None:
        return None
    return tell(answer, project=project, as_json=as_json, exit_code="--exit-code" in flags)


def planned(
    folder: Path, environ: Mapping[str, str], project: str | None, *, with_revision: bool
) -> dict[str, Any] | None:
    """The answer to `plan` of the project, or to `plans`; None where it cannot be known from here. `folder` is absolute."""
    # Every variable of ours changes a setting or asks another server; the attempts' folder may need a home.
    if any(name.startswith("GLINK_") for name in environ) or not environ.get("HOME"):
        return None
    try:
        return _Look(folder).answer(project, with_revision=with_revision)
    except (_OtherwiseError, GlinkError, UnreadableError, OSError, KeyError):
        return None


class _Look:
    """One comparison of what is there with what the engine knew; raises for whatever differs."""

    def __init__(self, base: Path) -> None:
        self._root = base / "projects"
        config = config_text(base / FILE_NAME, self._root) if os.path.lexists(base / FILE_NAME) else None
        kept = BusReader(base / "bus", limits=_LIMITS).rest()
        if kept is None:
            raise _OtherwiseError
        known: dict[str, Any] = loads(kept.payload)
        _must(known["version"] == __version__)
        _must(known["config"] == (digest.of_bytes(config) if config is not None else ""))
        self._known, self._seq = known, kept.seq
        self._limits = _LIMITS._replace(**known["limits"])
        self._bus = BusReader(base / "bus", limits=self._limits)
        self._below = Folder(self._root)

    def answer(self, project: str | None, *, with_revision: bool) -> dict[str, Any]:
        """As `glink.answers.plan` gives it; without a revision where nobody sees it."""
        projects: dict[str, Any] = self._known["projects"]
        _must(self._known["all"] if project is None else project in projects)
        wanted = projects if project is None else {project: projects[project]}
        self._must_have_no_news_of(project)
        snapshot, revision = self._files(with_revision=with_revision)
        files, problems = discovery.find(self._root, self._limits)
        _must(not snapshot.overfull and (not problems if project is None else project not in problems))
        if project is None:
            _must(files.keys() <= projects.keys())
        for name, one in wanted.items():
            self._must_be_same(one, snapshot, found=name in files)
        return {
            "revision": revision,
            "plans": [self._plan(name, wanted[name]) for name in sorted(wanted)],
            "unknown": [],
            "invalid": [],
        }

    def _must_have_no_news_of(self, project: str | None) -> None:
        for record in self._bus.replay(self._seq):
            about = record.get("project")
            _must(about is None or (project is not None and about != project))

    def _files(self, *, with_revision: bool) -> tuple[Snapshot, str]:
        root, now = os.fspath(self._root), SystemClock().now()
        if not with_revision:
            return take_snapshot(root, EMPTY, heard=(), now=now, limits=self._limits), ""
        from glink.watch.git import Git

        git = Git(self._root, self._limits)
        head = git.head()
        snapshot = take_snapshot(root, EMPTY, heard=(), now=now, limits=self._limits)
        _must(git.head() == head)
        return snapshot, git.revision(head, snapshot.files)

    def _must_be_same(self, known: dict[str, Any], snapshot: Snapshot, *, found: bool) -> None:
        """Every file that was read, the names that globs chose from, the bodies that tasks are rendered with."""
        sources: dict[str, str] = known["sources"]
        # What was submitted has no files, and ends where files of its name come.
        _must(found == bool(sources))
        for path, sha in sources.items():
            _must(snapshot.files[path].sha256 == sha)
        for folder, names in known["listings"].items():
            _must(self._below.listing(folder, self._limits.project_files)[1] == names)
        for body in known["bodies"]:
            self._bus.blobs.get(body)

    def _plan(self, name: str, known: dict[str, Any]) -> dict[str, Any]:
        reasons: dict[str, str] = known["reasons"]
        steps = []
        for step in loads(self._bus.blobs.get(known["content"]))["steps"]:
            one = step["id"]
            steps.append(
                planned_step(
                    one,
                    "stay",
                    reasons.get(one, "up_to_date"),
                    step.get("agent") or f"run:{step['run']['using']}",
                    after=step.get("after", ()),
                    implied=step.get("implied", False),
                )
            )
        return {"project": name, "generation": known["generation"], "steps": steps, "wake_at": None}


def _must(holds: object) -> None:
    if not holds:
        raise _OtherwiseError
