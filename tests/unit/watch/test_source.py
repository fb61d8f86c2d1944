"""The one face of watching, without its thread: whole looks at one revision."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from glink.clock import SystemClock
from glink.errors import UsageError
from glink.limits import Limits
from glink.watch.observer import Observer
from glink.watch.settle import Kind
from glink.watch.source import Observation, Source
from tests.unit.watch.trees import Tree, git, repository


def source(tree: Tree) -> Source:
    delivered: list[Observation] = []
    return Source(
        tree.root,
        limits=Limits(),
        load=tree.load,
        find=tree.find,
        deliver=delivered.append,
        clock=SystemClock(),
        watch=False,
    )


def test_a_scan_is_the_whole_desired_state_at_one_revision(tmp_path: Path) -> None:
    """All projects, which of them are news, and where they came from."""
    tree = repository(tmp_path)
    one = source(tree)
    seen = one.scan()
    assert seen.revision == f"main@sha1:{git(tmp_path, 'rev-parse', 'HEAD')}"
    assert seen.projects.keys() == seen.changed == {"one"}
    assert seen.gone == frozenset()


def test_a_second_scan_has_no_news(tmp_path: Path) -> None:
    """What was handed out once is not news again, is not loaded again, and its bodies are not held on to."""
    tree = repository(tmp_path)
    one = source(tree)
    first, second = one.scan(), one.scan()
    assert second.changed == frozenset()
    assert second.revision == first.revision
    assert first.projects["one"].blobs
    assert second.projects["one"] == replace(first.projects["one"], blobs={})
    assert tree.loads == ["one"]


def test_a_commit_that_leaves_the_files_alone_is_another_revision_and_no_news(tmp_path: Path) -> None:
    """The revision moves, no project does."""
    tree = repository(tmp_path)
    one = source(tree)
    first = one.scan()
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "two")
    second = one.scan()
    assert second.revision != first.revision
    assert second.changed == frozenset()


def test_an_edit_and_its_undoing_give_back_the_revision(tmp_path: Path) -> None:
    """Dirty while it differs, clean again afterwards."""
    tree = repository(tmp_path)
    one = source(tree)
    clean = one.scan().revision
    tree.write("one.yaml", "two")
    assert one.scan().revision.startswith(f"{clean}+dirty.sha256:")
    git(tmp_path, "checkout", "-q", ".")
    assert one.scan().revision == clean


def test_an_observation_is_not_changed_by_later_ones(tmp_path: Path) -> None:
    """Observations are handed between threads: each is a value."""
    tree = repository(tmp_path)
    one = source(tree)
    first = one.scan()
    tree.write("two.yaml", "x")
    assert one.scan().projects.keys() == {"one", "two"}
    assert first.projects.keys() == {"one"}
    with pytest.raises(TypeError):
        first.projects["x"] = first.projects["one"]  # type: ignore[index]


def test_a_missing_folder_has_no_projects(tmp_path: Path) -> None:
    """No `projects/` yet is an empty state, not an error."""
    tree = Tree(tmp_path / "projects")
    tree.root.rmdir()
    seen = source(tree).scan()
    assert seen.projects == {}
    assert seen.revision.startswith("files@sha256:")


def test_a_folder_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    """The error names the folder and the reason."""
    tree = Tree(tmp_path / "projects")
    loop = tmp_path / "loop"
    os.symlink(loop, loop)
    tree.root = loop
    with pytest.raises(UsageError, match=rf"^{loop}: cannot be read: Too many levels of symbolic links$"):
        source(tree).scan()


def test_a_scan_writes_nothing_anywhere_near(tmp_path: Path) -> None:
    """Neither the projects nor the repository are touched, not even an access time's index refresh."""
    tree = repository(tmp_path)
    tree.write("one.yaml", "dirty")

    def traces() -> dict[Path, tuple[int, int]]:
        return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in tmp_path.rglob("*")}

    before = traces()
    one = source(tree)
    one.scan()
    one.scan()
    assert traces() == before


def test_a_receiver_that_raises_is_counted_and_does_no_harm(tmp_path: Path) -> None:
    """An exception while an event is handed on stays in the observer; it says that an event was lost."""
    faults: list[str] = []

    def refuse(kind: Kind, path: str) -> None:
        raise ValueError(path)

    observer = Observer(str(tmp_path), heard=refuse, fault=faults.append)
    observer._translate("closed", f"{tmp_path}/a.yaml", "")
    assert faults == ["an event was lost: ValueError('a.yaml')"]


def test_events_become_the_three_kinds_and_litter_is_not_heard(tmp_path: Path) -> None:
    """The target of a rename is complete, its origin has changed; hidden names and litter are not passed on."""
    heard: list[tuple[Kind, str]] = []
    observer = Observer(str(tmp_path), heard=lambda kind, path: heard.append((kind, path)), fault=lambda _: None)
    inside = f"{tmp_path}/"
    observer._translate("closed", inside + "a.yaml", "")
    observer._translate("moved", inside + "a.yaml.tmp", inside + "a.yaml")
    observer._translate("moved", "", inside + "b.yaml")
    observer._translate("moved", inside + "b.yaml", "")
    observer._translate("created", inside + "p", "")
    observer._translate("deleted", inside + ".a.yaml.swp", "")
    observer._translate("deleted", str(tmp_path), "")
    closed, replaced, changed = Kind.CLOSED, Kind.REPLACED, Kind.CHANGED
    expected = [
        (closed, "a.yaml"),
        (replaced, "a.yaml"),
        (replaced, "b.yaml"),
        (changed, "b.yaml"),
        (changed, "p"),
        (changed, ""),
    ]
    assert heard == expected
