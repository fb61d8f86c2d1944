"""Reading below a folder never leaves it, never waits, and takes only what stands still."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from glink.digest import of_bytes
from glink.loading.folder import Folder, UnreadableError


def fault(folder: Path, name: str, limit: int = 1_000) -> str:
    with pytest.raises(UnreadableError) as read:
        Folder(folder).read(name, limit)
    with pytest.raises(UnreadableError) as digested:
        Folder(folder).digest(name, limit)
    assert str(read.value) == str(digested.value)
    return str(read.value)


def test_a_file_is_read_and_digested(tmp_path: Path) -> None:
    """Bytes as they are, at any depth, also exactly at the limit."""
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/c").write_bytes(b"x" * 1_000)
    assert Folder(tmp_path).read("a/b/c", 1_000) == b"x" * 1_000
    assert Folder(tmp_path).digest("a/b/c", 1_000) == (of_bytes(b"x" * 1_000), 1_000)
    assert fault(tmp_path, "a/b/c", 999) == "has 1000 bytes, more than 999"


@pytest.mark.parametrize("name", ["../x", "a/../../x", "a/./x", "/etc/passwd", "a//x"])
def test_a_path_that_leaves_is_refused(tmp_path: Path, name: str) -> None:
    """Dots and empty parts are no way out."""
    (tmp_path / "a").mkdir()
    assert fault(tmp_path, name) == "leaves the folder"


def test_links_are_not_followed_wherever_they_stand(tmp_path: Path) -> None:
    """Neither the file nor a folder on the way may be a link."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real/x").write_text("x")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "file").symlink_to("real/x")
    assert fault(tmp_path, "link/x") == "is a symbolic link, or lies behind one"
    assert fault(tmp_path, "file") == "is a symbolic link, or lies behind one"
    assert [(entry.path, entry.is_link) for entry in Folder(tmp_path).below("", 10)] == [
        ("file", True),
        ("link", True),
        ("real/x", False),
    ]


def test_special_files_are_refused_at_once(tmp_path: Path) -> None:
    """Pipes and folders; nothing waits for a writer."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    assert fault(tmp_path, "pipe") == "is not a regular file"
    assert fault(tmp_path, "folder") == "is not a regular file"
    assert fault(Path("/dev"), "null") == "is not a regular file"
    assert fault(tmp_path, "gone") == "does not exist"
    assert fault(tmp_path, "pipe/x") == "does not exist"


def test_a_file_whose_size_is_not_its_content_is_not_taken() -> None:
    """What changes while it is read, as a file of the kernel's always seems to, is refused."""
    assert fault(Path("/proc/self"), "status", 1 << 20) == "changes while it is read"


def test_descriptors_are_given_back(tmp_path: Path) -> None:
    """Neither success nor failure keeps one open."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a/x").write_text("x")
    (tmp_path / "l").symlink_to("a")
    before = len(os.listdir("/proc/self/fd"))
    for name in ("a/x", "a/gone", "l/x", "a/../x", "a"):
        for _ in range(20):
            try:
                Folder(tmp_path).read(name, 10)
            except UnreadableError:
                continue
    Folder(tmp_path).below("", 100)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_folder_with_too_many_files_is_refused(tmp_path: Path) -> None:
    """The limit holds while it is walked; names that begin with a dot do not count."""
    for name in (".a", ".b", "c", "d", "e"):
        (tmp_path / name).write_text("")
    assert [entry.path for entry in Folder(tmp_path).below("", 3)] == ["c", "d", "e"]
    with pytest.raises(UnreadableError, match="has more than 2 files"):
        Folder(tmp_path).below("", 2)
