"""Revisions out of real repositories, read without starting a program at each look."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from glink.limits import Limits
from glink.watch.git import Git
from glink.watch.snapshot import EMPTY, take_snapshot
from tests.unit.watch.trees import Tree, git, repository

LIMITS = Limits()


def revision(root: Path, reader: Git | None = None) -> str:
    one = reader or Git(root, LIMITS)
    files = take_snapshot(str(root), EMPTY, heard=(), now=0.0, limits=LIMITS).files
    return one.revision(one.head(), files)


def commit(top: Path) -> str:
    return git(top, "rev-parse", "HEAD")


def test_a_clean_checkout_is_branch_and_commit(tmp_path: Path) -> None:
    """`main@sha1:…` and nothing more."""
    tree = repository(tmp_path)
    assert revision(tree.root) == f"main@sha1:{commit(tmp_path)}"


def test_a_branch_may_have_slashes_and_packed_refs(tmp_path: Path) -> None:
    """A ref is found loose or packed, also when it moved from one to the other."""
    tree = repository(tmp_path)
    git(tmp_path, "checkout", "-q", "-b", "team/news")
    git(tmp_path, "pack-refs", "--all")
    assert not (tmp_path / ".git/refs/heads/team/news").exists()
    assert revision(tree.root) == f"team/news@sha1:{commit(tmp_path)}"
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "two")
    assert revision(tree.root) == f"team/news@sha1:{commit(tmp_path)}"


def test_a_detached_head_says_so(tmp_path: Path) -> None:
    """Without a branch the revision is the commit alone."""
    tree = repository(tmp_path)
    git(tmp_path, "checkout", "-q", "--detach")
    assert revision(tree.root) == f"detached@sha1:{commit(tmp_path)}"


def test_a_linked_working_tree_has_its_own_head_and_lock(tmp_path: Path) -> None:
    """`.git` is a file there; HEAD and index.lock are its own, the refs are shared."""
    repository(tmp_path / "main")
    git(tmp_path / "main", "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    root = tmp_path / "side" / "projects"
    reader = Git(root, LIMITS)
    assert revision(root, reader) == f"side@sha1:{commit(tmp_path / 'side')}"
    (tmp_path / "main/.git/index.lock").touch()
    assert reader.lock() is None
    (tmp_path / "main/.git/worktrees/side/index.lock").touch()
    assert reader.lock() is not None


def test_a_submodule_is_a_repository_of_its_own(tmp_path: Path) -> None:
    """Projects in a submodule have the submodule's revision."""
    repository(tmp_path / "inner")
    repository(tmp_path / "outer")
    inner = str(tmp_path / "inner")
    git(tmp_path / "outer", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", inner, "sub")
    head = commit(tmp_path / "inner")
    assert revision(tmp_path / "outer/sub/projects") == f"main@sha1:{head}"


@pytest.mark.parametrize("kind", ["edited", "added", "deleted", "staged"])
def test_whatever_differs_from_head_makes_the_revision_dirty(kind: str, tmp_path: Path) -> None:
    """An edit, a new file and a deletion each add `+dirty.sha256:…`; undoing it gives back the clean revision."""
    tree = repository(tmp_path)
    if kind == "added":
        tree.write("two.yaml", "second")
    elif kind == "deleted":
        (tree.root / "one.yaml").unlink()
    else:
        tree.write("one.yaml", "another")
    if kind == "staged":
        git(tmp_path, "add", "-A")
    assert re.fullmatch(rf"main@sha1:{commit(tmp_path)}\+dirty\.sha256:[0-9a-f]{{16}}", revision(tree.root))
    git(tmp_path, "reset", "-q", "--hard")
    git(tmp_path, "clean", "-q", "-f")
    assert revision(tree.root) == f"main@sha1:{commit(tmp_path)}"


def test_the_dirty_part_is_of_paths_and_bytes_alone(tmp_path: Path) -> None:
    """The same difference has the same name, another one another; a touch has none."""
    tree = repository(tmp_path)
    seen = set()
    for path, text in [("one.yaml", "x"), ("one.yaml", "y"), ("two.yaml", "x")]:
        tree.write(path, text)
        seen.add(revision(tree.root))
        os.utime(tree.root / path, (5, 5))
        assert revision(tree.root) in seen
    assert len(seen) == 3


def test_what_lies_outside_of_projects_or_is_not_looked_at_is_no_difference(tmp_path: Path) -> None:
    """A changed README or an editor's backup file leaves the revision clean."""
    tree = repository(tmp_path)
    (tmp_path / "README.md").write_text("new")
    tree.write("one.yaml~", "old")
    tree.write("notes.txt", "text")
    assert revision(tree.root) == f"main@sha1:{commit(tmp_path)}"


def test_committed_litter_links_and_private_files_are_no_difference_either(tmp_path: Path) -> None:
    """HEAD is sorted out by the rule of the walk: a clean checkout of anything is clean."""
    tree = repository(tmp_path)
    for path in ("a.yaml~", "_p/x.yaml", "notes.txt", "_shared/s.md", "f/workflow.yaml", "f/.h", "f/\xe9 \n.md"):
        tree.write(path, path)
    os.symlink("one.yaml", tree.root / "link.yaml")
    git(tmp_path, "add", "-A", "-f")
    git(tmp_path, "commit", "-q", "-m", "more")
    assert revision(tree.root) == f"main@sha1:{commit(tmp_path)}"
    tree.write("f/\xe9 \n.md", "other")
    assert "+dirty" in revision(tree.root)


def test_a_new_commit_is_seen_by_the_same_reader(tmp_path: Path) -> None:
    """The cached tree belongs to one commit."""
    tree = repository(tmp_path)
    reader = Git(tree.root, LIMITS)
    assert "dirty" not in revision(tree.root, reader)
    tree.write("one.yaml", "second")
    assert "dirty" in revision(tree.root, reader)
    git(tmp_path, "commit", "-q", "-a", "-m", "two")
    assert revision(tree.root, reader) == f"main@sha1:{commit(tmp_path)}"


def test_a_projects_folder_that_is_the_repository_itself_works(tmp_path: Path) -> None:
    """There need not be a folder between the two."""
    tree = Tree(tmp_path)
    tree.write("one.yaml", "x")
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "one")
    assert revision(tmp_path) == f"main@sha1:{commit(tmp_path)}"


def test_a_folder_whose_name_looks_like_a_pattern_is_taken_literally(tmp_path: Path) -> None:
    """Names that git could read as pathspec magic or options are names."""
    top = tmp_path / "r"
    repository(top)
    for name in (":(top)x", "-rf", "a*[b]"):
        tree = Tree(top / name)
        tree.write("one.yaml", name)
        git(top, "--literal-pathspecs", "add", "--", name)
        git(top, "commit", "-q", "-m", "more")
        assert revision(tree.root) == f"main@sha1:{commit(top)}"


def test_without_git_the_revision_is_of_the_files(tmp_path: Path) -> None:
    """`files@sha256:…` over all paths and bytes, the same for the same files."""
    tree = Tree(tmp_path / "projects")
    tree.write("one.yaml", "x")
    first = revision(tree.root)
    assert re.fullmatch(r"files@sha256:[0-9a-f]{16}", first)
    tree.write("one.yaml", "y")
    assert revision(tree.root) != first
    tree.write("one.yaml", "x")
    assert revision(tree.root) == first


def test_before_the_first_commit_the_revision_is_of_the_files(tmp_path: Path) -> None:
    """An unborn branch has no commit to name."""
    tree = Tree(tmp_path / "projects")
    git(tmp_path, "init", "-q")
    tree.write("one.yaml", "x")
    assert revision(tree.root).startswith("files@sha256:")


def test_a_git_that_cannot_run_leaves_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the git command the difference from HEAD is unknown, so HEAD is not claimed."""
    tree = repository(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert revision(tree.root).startswith("files@sha256:")


@pytest.mark.parametrize(
    "head",
    [
        "",
        "ref: \n",
        "ref: refs/heads/../../../secret\n",
        "ref: refs/heads/a\x1b[31m\n",
        "0123\n",
        "ref: refs/heads/.invalid\n",
    ],
)
def test_a_head_that_makes_no_sense_is_no_revision(head: str, tmp_path: Path) -> None:
    """What stands in .git is foreign text: it is checked, never followed out of the repository nor printed."""
    tree = repository(tmp_path)
    (tmp_path / "secret").write_text("0" * 40)
    (tmp_path / ".git/HEAD").write_text(head)
    assert revision(tree.root).startswith("files@sha256:")


def test_refs_that_name_each_other_end(tmp_path: Path) -> None:
    """A circle of symbolic refs is no commit and no hang; a chain to a commit is one."""
    tree = repository(tmp_path)
    head = commit(tmp_path)
    git(tmp_path, "symbolic-ref", "refs/heads/alias", "refs/heads/main")
    (tmp_path / ".git/HEAD").write_text("ref: refs/heads/alias\n")
    assert revision(tree.root) == f"alias@sha1:{head}"
    (tmp_path / ".git/refs/heads/main").write_text("ref: refs/heads/alias\n")
    assert revision(tree.root).startswith("files@sha256:")


def test_a_pipe_in_place_of_head_does_not_hang(tmp_path: Path) -> None:
    """Only regular files are read."""
    tree = repository(tmp_path)
    (tmp_path / ".git/HEAD").unlink()
    os.mkfifo(tmp_path / ".git/HEAD")
    assert revision(tree.root).startswith("files@sha256:")


def test_nothing_that_the_repository_configures_is_run(tmp_path: Path) -> None:
    """fsmonitor, hooks and filters of the repository stay unused, and its files untouched."""
    tree = repository(tmp_path)
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    for key in (
        "core.fsmonitor",
        "core.sshCommand",
        "filter.x.clean",
        "filter.x.smudge",
        "diff.external",
        "core.pager",
    ):
        git(tmp_path, "config", key, str(trap))
    (tmp_path / ".git/info/attributes").write_text("* filter=x\n")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / ".git").rglob("*")}
    assert revision(tree.root).startswith("main@sha1:")
    assert not (tmp_path / "sprung").exists()
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / ".git").rglob("*")} == before


def test_the_index_lock_is_told_from_the_next_one(tmp_path: Path) -> None:
    """Each lock has a token of its own; none means none."""
    tree = repository(tmp_path)
    reader = Git(tree.root, LIMITS)
    assert reader.head() is not None
    assert reader.lock() is None
    lock = tmp_path / ".git/index.lock"
    lock.touch()
    first = reader.lock()
    assert first is not None
    assert reader.lock() == first
    (tmp_path / ".git/other.lock").touch()
    os.replace(tmp_path / ".git/other.lock", lock)
    assert reader.lock() not in (None, first)


def test_the_commit_behind_a_revision_is_the_newest_that_touched_the_files(tmp_path: Path) -> None:
    """Later commits, and those of other files, are not it; author and subject are shown as they are, and not at length."""
    tree = repository(tmp_path)
    (tree.root / "p.yaml").write_text("steps: []\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "--author", "Ana %H ü <a@b>", "-m", "Change p: " + "x" * 300 + "\n\nand more")
    wanted = commit(tmp_path)
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "another")
    seen = revision(tree.root)
    (tree.root / "p.yaml").write_text("steps: [1]\n")
    git(tmp_path, "commit", "-q", "-a", "-m", "too late")
    found = Git(tree.root, LIMITS).commit(seen, ["p.yaml", "p.yml", "p"])
    assert found is not None
    assert (found.sha, found.author) == (wanted, "Ana %H ü")
    assert found.subject == ("Change p: " + "x" * 300)[:200]


def test_no_commit_is_named_for_what_was_not_committed_or_cannot_be_asked(tmp_path: Path) -> None:
    tree = repository(tmp_path)
    sha = commit(tmp_path)
    reader = Git(tree.root, LIMITS)
    gone = f"main@sha1:{'0' * 40}"
    for one in (f"main@sha1:{sha}+dirty.sha256:0123456789abcdef", "files@sha256:0123456789abcdef", "", gone, "--all"):
        assert reader.commit(one, ["p.yaml"]) is None, one
    assert reader.commit(f"main@sha1:{sha}", ["no-such-file.yaml"]) is None
    assert Git(tmp_path / "elsewhere", LIMITS).commit(f"x@sha1:{'1' * 40}", ["p.yaml"]) is None
