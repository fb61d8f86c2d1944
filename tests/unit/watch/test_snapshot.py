"""Snapshots of real folders: what is looked at, what is read again, and what is never opened."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from glink.limits import Limits
from glink.project import find_projects
from glink.watch import snapshot as module
from glink.watch.snapshot import EMPTY, Snapshot, content_changes, ignored, looked_at, take_snapshot

LATER = 10.0


def look(
    root: Path, before: Snapshot = EMPTY, *, heard: tuple[str, ...] = (), limits: Limits | None = None
) -> Snapshot:
    """A look some time after the last change, so that nothing is too young to be trusted."""
    return take_snapshot(str(root), before, heard=heard, now=time.time() + LATER, limits=limits or Limits())


def write(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)


def test_single_files_and_whole_folder_projects_are_looked_at(tmp_path: Path) -> None:
    """Outside of folder projects only what can be a project counts; inside, and in _shared, every file."""
    wanted = ["a.yaml", "team/b.yml", "shop/workflow.yaml", "shop/data/x.csv", "shop/p.md", "_shared/style.md"]
    write(tmp_path, *wanted, "README.md", "team/notes.txt", "team/deep/er/still/more/yet/c.yaml")
    assert sorted(look(tmp_path).files) == sorted(wanted)


@pytest.mark.parametrize(
    "name",
    [".a.yaml.swp", ".#a.yaml", "#a.yaml#", "a.yaml~", "a.yaml.tmp", "_a.yaml", ".git", "a.approvals", "a.bak"],
)
def test_hidden_and_private_names_and_litter_of_editors_are_ignored(name: str, tmp_path: Path) -> None:
    """A name that editors or tools leave behind is neither recorded nor heeded."""
    write(tmp_path, "p/workflow.yaml", f"p/{name}", f"p/sub/{name}/inner.md")
    assert sorted(look(tmp_path).files) == ["p/workflow.yaml"]
    assert ignored(name)
    assert not module.heeded(f"p/{name}/x")


def test_the_file_that_vim_tries_a_folder_with_is_ignored(tmp_path: Path) -> None:
    """It comes and goes before each save; a folder of that name is a project like any other."""
    write(tmp_path, "p/workflow.yaml", "p/4913", "4913/workflow.yaml")
    assert sorted(look(tmp_path).files) == ["4913/workflow.yaml", "p/workflow.yaml"]
    assert not module.heeded("p/4913")
    assert module.heeded("4913/workflow.yaml")


def test_whatever_can_be_a_project_is_looked_at(tmp_path: Path) -> None:
    """The loader's rule for names and the walk's agree: no project's file changes unseen."""
    folders = [
        "",
        "a/",
        "a/b/",
        "a/b/c/",
        "a/b/c/d/",
        "a/b/c/d/e/",
        "x.tmp/",
        "x.bak/",
        "x~/",
        "_x/",
        ".x/",
        "#x/",
        "x.orig/",
        "4913/",
    ]
    names = [
        "p.yaml",
        "p.yml",
        "workflow.yaml",
        ".p.yaml",
        "_p.yaml",
        "p.yaml~",
        "p.yaml.bak",
        "p.swp",
        "4913.yaml",
        "p\n.yaml",
    ]
    for folder in folders:
        for name in names:
            root = tmp_path / f"{folders.index(folder)}-{names.index(name)}"
            write(root, folder + name)
            found, faulty = find_projects(root, Limits())
            assert bool(found or faulty) == bool(look(root).files), folder + name


def test_shared_texts_are_heeded_at_the_top_alone() -> None:
    """`_shared` is the one private name that counts, and only directly below the projects folder."""
    assert module.heeded("_shared/a.md")
    assert not module.heeded("p/_shared/a.md")
    assert not module.heeded("_shared/.a.md")


def test_the_digests_are_those_of_sha256sum_and_git(tmp_path: Path) -> None:
    """sha256 names the bytes, the blob id is what git gives them."""
    (tmp_path / "a.yaml").write_bytes(b"steps: \xff\n" * 300_000)
    file = look(tmp_path).files["a.yaml"]
    assert file.sha256 == hashlib.sha256((tmp_path / "a.yaml").read_bytes()).hexdigest()
    expected = subprocess.run(["git", "hash-object", tmp_path / "a.yaml"], capture_output=True, text=True, check=True)
    assert file.blob == expected.stdout.strip()


def test_nothing_changed_is_the_very_same_snapshot(tmp_path: Path) -> None:
    """An unchanged folder costs stats and no bytes, and gives back what was handed in."""
    write(tmp_path, "a.yaml", "p/workflow.yaml", "p/x.md")
    before = look(tmp_path)
    assert look(tmp_path, before) is before


def test_a_touch_changes_no_content(tmp_path: Path) -> None:
    """Another stat with the same bytes is another snapshot and no change."""
    write(tmp_path, "a.yaml")
    before = look(tmp_path)
    os.utime(tmp_path / "a.yaml", (1, 1))
    after = look(tmp_path, before)
    assert after is not before
    assert content_changes(before, after) == set()


@pytest.mark.parametrize("path", ["a.yaml", "p/x.md", "_shared/s.md"])
def test_an_edit_is_a_change_of_that_file_alone(path: str, tmp_path: Path) -> None:
    """Content counts, file by file."""
    write(tmp_path, "a.yaml", "p/workflow.yaml", "p/x.md", "_shared/s.md")
    before = look(tmp_path)
    (tmp_path / path).write_text("another")
    assert content_changes(before, look(tmp_path, before)) == {path}


def test_a_replace_by_equal_bytes_changes_nothing(tmp_path: Path) -> None:
    """Another inode with the same content is the same file."""
    write(tmp_path, "a.yaml")
    before = look(tmp_path)
    (tmp_path / "spare").write_text("a.yaml")
    os.replace(tmp_path / "spare", tmp_path / "a.yaml")
    assert content_changes(before, look(tmp_path, before)) == set()


def disguised(before: Snapshot, root: Path) -> Snapshot:
    """`before` as if the file had been edited without any trace in its stat."""
    (root / "a.yaml").write_text("b.yaml")
    stat = module.stat_key(os.stat(root / "a.yaml"))
    return replace(before, files={"a.yaml": replace(before.files["a.yaml"], stat=stat)})


def test_a_file_that_was_heard_of_is_read_whatever_its_stat_says(tmp_path: Path) -> None:
    """Two saves within one tick of the file system's clock are told apart by the event."""
    write(tmp_path, "a.yaml")
    before = disguised(look(tmp_path), tmp_path)
    assert look(tmp_path, before) is before
    assert content_changes(before, look(tmp_path, before, heard=("a.yaml",))) == {"a.yaml"}


def test_a_file_that_changed_just_now_is_read_once_more(tmp_path: Path) -> None:
    """A change that came right after the look and left the same stat is found by the next look, unheard."""
    write(tmp_path, "a.yaml")
    young = take_snapshot(str(tmp_path), EMPTY, heard=(), now=time.time(), limits=Limits())
    before = disguised(young, tmp_path)
    assert content_changes(before, look(tmp_path, before)) == {"a.yaml"}


def test_links_pipes_and_sockets_are_never_opened(tmp_path: Path) -> None:
    """A FIFO does not hang the look, a link leads nowhere; both are known by name, for the loader to refuse."""
    outside = tmp_path / "outside"
    write(outside, "secret.yaml", "deep/workflow.yaml")
    root = tmp_path / "projects"
    write(root, "p/workflow.yaml")
    os.mkfifo(root / "pipe.yaml")
    os.symlink(outside / "secret.yaml", root / "link.yaml")
    os.symlink(outside / "deep", root / "folder")
    os.symlink("workflow.yaml", root / "p" / "again.md")
    with socket.socket(socket.AF_UNIX) as listening:
        here = os.getcwd()
        os.chdir(root)
        try:
            listening.bind("sock.yaml")
        finally:
            os.chdir(here)
        found = look(root)
    assert sorted(found.files) == ["p/workflow.yaml"]
    assert found.others == {"pipe.yaml", "link.yaml", "folder", "p/again.md", "sock.yaml"}


def test_hard_links_names_of_any_bytes_and_empty_files_are_files(tmp_path: Path) -> None:
    """Whatever is regular is read; a name that is no UTF-8 is kept as it is."""
    write(tmp_path, "p/workflow.yaml")
    os.link(tmp_path / "p/workflow.yaml", tmp_path / "p/twin.md")
    name = os.fsdecode(b"p/new\nline\xff.md")
    (tmp_path / name).write_bytes(b"")
    found = look(tmp_path)
    assert set(found.files) == {"p/workflow.yaml", "p/twin.md", name}
    assert found.files[name].sha256 == hashlib.sha256().hexdigest()


def test_a_huge_file_is_not_read_and_its_changes_are_still_seen(tmp_path: Path) -> None:
    """Five sparse gigabytes cost nothing; their stat stands for their content."""
    with open(tmp_path / "a.yaml", "wb") as file:
        file.truncate(5 << 30)
    before = look(tmp_path)
    assert before.files["a.yaml"].sha256 == ""
    assert content_changes(before, look(tmp_path, before)) == set()
    os.truncate(tmp_path / "a.yaml", 6 << 30)
    assert content_changes(before, look(tmp_path, before)) == {"a.yaml"}


def test_a_project_with_too_many_files_is_cut_off_and_named(tmp_path: Path) -> None:
    """The limit holds for each project by itself: its neighbours are seen whole."""
    write(tmp_path, *(f"big/f{number}.md" for number in range(9)), "big/workflow.yaml", "small/workflow.yaml")
    write(tmp_path, *(f"small/f{number}.md" for number in range(4)), "z.yaml")
    found = look(tmp_path, limits=Limits(project_files=5))
    assert found.overfull == {"big"}
    assert sum(path.startswith("big/") for path in found.files) == 5
    assert sum(path.startswith("small/") for path in found.files) == 5
    assert "z.yaml" in found.files


def test_folders_deeper_than_the_limit_are_not_entered(tmp_path: Path) -> None:
    """A thousand nested folders end at the limit, not at the recursion's."""
    write(tmp_path, "p/workflow.yaml")
    inner = tmp_path / "p"
    for _ in range(200):
        inner = inner / "d"
    inner.mkdir(parents=True)
    write(inner, "x.md")
    assert sorted(look(tmp_path).files) == ["p/workflow.yaml"]


def test_a_missing_folder_is_an_empty_snapshot(tmp_path: Path) -> None:
    """No projects folder is no error: it may come."""
    assert look(tmp_path / "none") == EMPTY
    write(tmp_path, "a.yaml")
    assert look(tmp_path / "none", look(tmp_path)) == EMPTY
    (tmp_path / "file").write_text("")
    assert look(tmp_path / "file") == EMPTY


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    """A look gives back every descriptor it took, links and pipes or not."""
    write(tmp_path, "a.yaml", "p/workflow.yaml", "p/q/x.md")
    os.mkfifo(tmp_path / "pipe.yaml")
    count = len(os.listdir("/proc/self/fd"))
    look(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == count


def test_the_same_rule_holds_for_a_list_of_paths(tmp_path: Path) -> None:
    """What a commit holds is sorted out exactly as the walk does, so a clean checkout has no difference."""
    paths = ["a.yaml", "a.md", "t/b.yml", "t/x.md", "s/workflow.yml", "s/d/e/f.md", "s/_p.md", "s/t/workflow.yaml"]
    paths += ["_shared/x.md", "_shared/d/y", "_other/x.yaml", "1/2/3/4.yaml", "1/2/3/4/5.yaml", ".h/workflow.yaml"]
    paths += [
        "1/2/3/5/workflow.yaml",
        "1/2/3/5/x",
        "9/2/3/4/5/workflow.yaml",
        "9/2/3/4/5/x",
        "workflow.yaml",
        "q~/a.yaml",
    ]
    write(tmp_path, *paths)
    assert looked_at(paths, Limits()) == set(look(tmp_path).files)
