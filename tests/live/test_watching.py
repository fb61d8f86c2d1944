"""Watching with the real kernel, the real watchdog, real git and the ways in which real editors save."""

from __future__ import annotations

import ctypes
import logging
import os
import random
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from glink.clock import SystemClock, wait_for
from glink.limits import Limits
from glink.watch.source import Observation, Source
from tests.unit.watch.trees import Tree, git, repository

LIMITS = Limits(absent=0.3)
SECONDS = 20.0


class Watched:
    """A running source over a tree, and what it has delivered."""

    def __init__(self, tree: Tree, limits: Limits, *, watch: bool = True) -> None:
        self.tree = tree
        self.delivered: list[Observation] = []
        self.refusals = 0
        self.source = Source(
            tree.root,
            limits=limits,
            load=tree.load,
            find=tree.find,
            deliver=self._deliver,
            clock=SystemClock(),
            watch=watch,
        )

    def _deliver(self, observation: Observation) -> None:
        if self.refusals:
            self.refusals -= 1
            raise OSError("the receiver is not ready")
        self.delivered.append(observation)

    def until(self, condition: Callable[[], bool]) -> None:
        assert wait_for(condition, seconds=SECONDS), (self.source.trouble, self.delivered)

    def until_text(self, name: str, text: str) -> None:
        """Wait until the newest delivery holds this content of the project's first file."""
        import hashlib

        digest = hashlib.sha256(text.encode()).hexdigest()
        self.until(lambda: digest in self.newest().projects[name].sources.values())

    def newest(self) -> Observation:
        return self.delivered[-1]

    def settled(self) -> None:
        """Wait until everything heard so far was looked at: an asked look after the quiet time is delivered."""
        for _ in range(2):
            count = len(self.delivered)
            self.source.look()
            self.until(lambda count=count: len(self.delivered) > count)

    @property
    def gone(self) -> set[str]:
        return {name for one in self.delivered for name in one.gone}

    @property
    def ever_invalid(self) -> bool:
        return any(loaded.problems for one in self.delivered for loaded in one.projects.values())


@contextmanager
def watching(tree: Tree, limits: Limits = LIMITS, *, watch: bool = True) -> Iterator[Watched]:
    one = Watched(tree, limits, watch=watch)
    one.source.start()
    try:
        one.until(lambda: bool(one.delivered))
        yield one
    finally:
        one.source.stop()
    assert not one.source._thread.is_alive()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path / "projects")
    tree.write("one.yaml", "first")
    tree.write("other.yaml", "other")
    return tree


def save_in_place(file: Path, text: str) -> None:
    file.write_text(text)


def save_in_two_writes(file: Path, text: str) -> None:
    with open(file, "w") as opened:
        opened.write(text[:3])
        opened.flush()
        opened.write(text[3:])


def save_beside_and_rename(file: Path, text: str) -> None:
    spare = file.with_name(file.name + ".x8d2")
    spare.write_text(text)
    os.replace(spare, file)


def save_elsewhere_and_rename(file: Path, text: str) -> None:
    spare = file.parent.parent / "spare"
    spare.write_text(text)
    os.replace(spare, file)


def save_hidden_and_link(file: Path, text: str) -> None:
    spare = file.with_name("." + file.name)
    spare.write_text(text)
    file.unlink()
    os.link(spare, file)
    spare.unlink()


def save_by_deleting(file: Path, text: str) -> None:
    file.unlink()
    file.write_text(text)


def save_like_vim(file: Path, text: str) -> None:
    probe, backup = file.with_name("4913"), file.with_name(file.name + "~")
    probe.touch()
    probe.unlink()
    os.rename(file, backup)
    with open(file, "w") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    backup.unlink()


def save_like_vim_with_a_backup_folder(file: Path, text: str) -> None:
    os.rename(file, file.parent.parent / "backup")
    file.write_text(text)


def save_like_emacs(file: Path, text: str) -> None:
    lock = file.with_name(".#" + file.name)
    os.symlink("someone@somewhere.1", lock)
    shutil.copy(file, file.with_name(file.name + "~"))
    file.write_text(text)
    lock.unlink()


def save_with_sed(file: Path, text: str) -> None:
    subprocess.run(["sed", "-i", f"1s/.*/{text}/", str(file)], check=True)


def save_with_vim(file: Path, text: str) -> None:
    command = [
        "vim",
        "-u",
        "NONE",
        "-es",
        "-N",
        "--cmd",
        "set backupcopy=no nofixeol",
        "-c",
        f"%s/.*/{text}/",
        "-c",
        "wq!",
        str(file),
    ]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)


def save_with_cp(file: Path, text: str) -> None:
    spare = file.parent.parent / "spare"
    spare.write_text(text)
    subprocess.run(["cp", str(spare), str(file)], check=True)


def save_with_dd_syncing(file: Path, text: str) -> None:
    subprocess.run(["dd", f"of={file}", "conv=fsync", "status=none"], input=text.encode(), check=True)


WAYS = [
    save_in_place,
    save_in_two_writes,
    save_beside_and_rename,
    save_elsewhere_and_rename,
    save_hidden_and_link,
    save_by_deleting,
    save_like_vim,
    save_like_vim_with_a_backup_folder,
    save_like_emacs,
    save_with_sed,
    save_with_cp,
    save_with_dd_syncing,
    *([save_with_vim] if shutil.which("vim") else []),
]


@pytest.mark.parametrize("save", WAYS, ids=lambda save: save.__name__)
def test_a_save_arrives_whatever_the_editors_way(save: Callable[[Path, str], None], tree: Tree) -> None:
    """Each way of saving is one edit: the new content, never a deletion, never an invalid half."""
    with watching(tree) as one:
        for text in ("second", "third"):
            save(tree.root / "one.yaml", text)
            one.until(lambda text=text: _holds(one, text))
        one.settled()
    assert one.gone == set()
    assert not one.ever_invalid
    assert "other" not in {name for seen in one.delivered[1:] for name in seen.changed}
    assert (one.source.mode, one.source.missed, one.source.trouble) == ("inotify", 0, "")


def _holds(one: Watched, text: str) -> bool:
    import hashlib

    wanted = {hashlib.sha256(data).hexdigest() for data in (text.encode(), text.encode() + b"\n")}
    return bool(wanted & set(one.newest().projects["one"].sources.values()))


def test_a_touch_and_a_reading_neighbour_are_no_news(tree: Tree) -> None:
    """Opening, reading, touching and changing modes deliver nothing and load nothing."""
    with watching(tree) as one:
        loads = len(tree.loads)
        for _ in range(20):
            (tree.root / "one.yaml").read_text()
        os.utime(tree.root / "one.yaml")
        subprocess.run(["touch", str(tree.root / "one.yaml")], check=True)
        (tree.root / "one.yaml").chmod(0o600)
        one.settled()
        assert len(tree.loads) == loads
    assert all(not seen.changed for seen in one.delivered[1:])


def test_an_idle_source_looks_at_nothing(tree: Tree) -> None:
    """Its own reading wakes it not: after a look there is no event, so there is no other look."""
    with watching(tree) as one:
        one.settled()
        tree.finds = 0
        before = len(one.delivered)
        assert not wait_for(lambda: len(one.delivered) > before or not one.source._heard.empty(), seconds=0.4)


def test_a_new_project_in_a_new_nested_folder_arrives(tree: Tree) -> None:
    """Folders made a moment before their files are watched in time, or looked at in time."""
    with watching(tree) as one:
        for number in range(5):
            tree.write(f"team/sub{number}/news/workflow.yaml", f"news {number}")
        one.until(lambda: len(one.newest().projects) == 7)
        tree.write("team/sub3/news/workflow.yaml", "edited")
        one.until_text("team/sub3/news", "edited")


def test_a_broken_save_is_told_and_mended_again(tree: Tree) -> None:
    """Invalid is invalid, also when it was written in place; the neighbour never notices."""
    with watching(tree) as one:
        other = one.newest().projects["other"]
        tree.write("one.yaml", "BROKEN")
        one.until(lambda: bool(one.newest().projects["one"].problems))
        tree.write("one.yaml", "mended")
        one.until_text("one", "mended")
        assert one.newest().projects["other"] == replace(other, blobs={})


def test_a_deleted_project_is_gone_and_a_renamed_one_comes_with_it(tree: Tree) -> None:
    """One delivery takes the old name and brings the new one."""
    with watching(tree) as one:
        os.rename(tree.root / "one.yaml", tree.root / "two.yaml")
        one.until(lambda: "two" in one.newest().projects)
        assert one.newest().gone == {"one"}
        assert one.newest().changed == {"two"}


def test_two_thousand_files_in_a_storm_all_arrive(tree: Tree) -> None:
    """Whatever is lost on the way is found by the looks; new folders in the storm included."""
    with watching(tree) as one:
        for number in range(2_000):
            folder = tree.root / f"d{number % 20}"
            if number < 20:
                folder.mkdir()
            tree.replace(f"d{number % 20}/p{number}.yaml", str(number))
        one.until(lambda: len(one.newest().projects) == 2_002)
        tree.replace("d7/p7.yaml", "after the storm")
        one.until_text("d7/p7", "after the storm")
    assert len(one.delivered) < 200
    assert one.gone == set()


def test_a_checkout_is_one_step_from_revision_to_revision(tmp_path: Path) -> None:
    """Switching branches with many files ends clean at the new commit, and the way back at the old one."""
    tree = repository(tmp_path / "r")
    with watching(tree) as one:
        first = one.newest().revision
        git(tmp_path / "r", "checkout", "-q", "-b", "side")
        for number in range(100):
            tree.write(f"p{number}.yaml", "x")
        tree.write("one.yaml", "of the side")
        git(tmp_path / "r", "add", "-A")
        git(tmp_path / "r", "commit", "-q", "-m", "two")
        side = f"side@sha1:{git(tmp_path / 'r', 'rev-parse', 'HEAD')}"
        one.until(lambda: len(one.newest().projects) == 101)
        one.settled()
        assert one.newest().revision == side
        git(tmp_path / "r", "checkout", "-q", "main")
        one.until(lambda: len(one.newest().projects) == 1)
        one.settled()
        assert one.newest().revision == first
    assert len(one.gone) == 100
    assert not one.ever_invalid


def test_nothing_is_looked_at_while_the_index_is_locked(tmp_path: Path) -> None:
    """A save during a checkout waits for git to finish; then it arrives."""
    tree = repository(tmp_path / "r")
    with watching(tree) as one:
        lock = tmp_path / "r/.git/index.lock"
        lock.touch()
        loads = len(tree.loads)
        tree.replace("one.yaml", "in the middle")
        one.source.look()
        assert not wait_for(lambda: len(tree.loads) > loads, seconds=0.3)
        lock.unlink()
        one.until_text("one", "in the middle")


def test_a_lock_left_behind_holds_nobody_up_for_ever(tmp_path: Path) -> None:
    """After `limits.git_lock` a stale index.lock is ignored."""
    tree = repository(tmp_path / "r")
    with watching(tree, LIMITS._replace(git_lock=0.3)) as one:
        (tmp_path / "r/.git/index.lock").touch()
        tree.replace("one.yaml", "second")
        one.until_text("one", "second")


@pytest.mark.parametrize("way", ["renamed", "removed"])
def test_a_projects_folder_made_anew_is_watched_again(way: str, tree: Tree) -> None:
    """The new folder is another inode: what is saved there is heard, by inotify and not by the rescan alone."""
    with watching(tree) as one:
        if way == "renamed":
            os.rename(tree.root, tree.root.with_name("old"))
        else:
            shutil.rmtree(tree.root)
        tree.write("one.yaml", "in the new folder")
        one.source.look()
        one.until_text("one", "in the new folder")
        one.until(lambda: one.gone == {"other"})
        tree.replace("one.yaml", "heard")
        one.until_text("one", "heard")
        assert one.source.mode == "inotify"
        assert one.source.missed >= 1


def test_a_projects_folder_that_comes_later_is_found(tmp_path: Path) -> None:
    """Without a folder the source looks for it every two seconds, and then hears it."""
    tree = Tree(tmp_path / "projects")
    tree.root.rmdir()
    with watching(tree) as one:
        assert one.source.mode == "rescan"
        tree.write("one.yaml", "x")
        one.until(lambda: "one" in one.newest().projects)
        assert one.source.mode == "inotify"


def test_without_events_the_rescan_finds_everything(tree: Tree) -> None:
    """Losing every single event costs a delay and nothing else."""
    with watching(tree, LIMITS._replace(rescan=0.1), watch=False) as one:
        assert one.source.mode == "rescan"
        tree.write("one.yaml", "second")
        tree.write("new/workflow.yaml", "x")
        (tree.root / "other.yaml").unlink()
        one.until(lambda: one.newest().projects.keys() == {"one", "new"})
        one.until_text("one", "second")
        assert one.gone == {"other"}


def remove_all_inotify_watches() -> None:
    """Take every watch of this process from the kernel, as the removal of a mount does; no thread ends by it."""
    libc = ctypes.CDLL(None)
    for descriptor in os.listdir("/proc/self/fd"):
        about = Path(f"/proc/self/fdinfo/{descriptor}")
        if about.exists():
            for watch in re.findall(r"^inotify wd:([0-9a-f]+)", about.read_text(), re.MULTILINE):
                assert libc.inotify_rm_watch(int(descriptor), int(watch, 16)) == 0


def test_dead_ears_are_noticed_and_replaced(tree: Tree) -> None:
    """A change that the rescan finds and nobody heard of means that events are lost: all is armed anew."""
    with watching(tree, LIMITS._replace(rescan=0.2)) as one:
        remove_all_inotify_watches()
        tree.write("one.yaml", "unheard")
        one.until_text("one", "unheard")
        one.until(lambda: one.source.missed > 0 and one.source.mode == "inotify")
        tree.replace("one.yaml", "heard again")
        one.until_text("one", "heard again")


def test_an_overflow_is_counted_and_looked_after(tree: Tree) -> None:
    """watchdog tells of lost events by its log alone: that is heard, and everything is looked at."""
    with watching(tree) as one:
        before = len(one.delivered)
        logging.getLogger("watchdog.observers.inotify_c").warning(
            "Inotify queue overflowed; filesystem events were lost"
        )
        one.until(lambda: one.source.missed == 1)
        one.settled()
        assert len(one.delivered) > before


def test_a_receiver_that_fails_gets_the_same_news_again(tree: Tree) -> None:
    """What could not be handed over is not forgotten, and the thread lives on."""
    with watching(tree) as one:
        one.refusals = 2
        tree.replace("one.yaml", "second")
        one.until_text("one", "second")
        assert one.newest().changed == {"one"}
        one.settled()
        assert one.source.trouble == ""


def test_after_stop_nothing_is_delivered_and_no_descriptor_is_left(tree: Tree) -> None:
    """Threads and inotify instances are given back."""
    with watching(tree):
        pass
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    with watching(tree) as one:
        pass
    count = len(one.delivered)
    tree.replace("one.yaml", "too late")
    assert wait_for(lambda: threading.active_count() <= threads, seconds=SECONDS)
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert len(one.delivered) == count


def test_any_edits_end_in_the_state_that_a_fresh_look_sees(tree: Tree) -> None:
    """Random saves, renames, deletions and folders: with events or without, the end is the same."""
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    with watching(tree) as heard, watching(tree, LIMITS._replace(rescan=0.2), watch=False) as unheard:
        for _ in range(60):
            name = chance.choice(["a.yaml", "b.yaml", "f/workflow.yaml", "f/x.md", "f/d/y.md"])
            file, text = tree.root / name, chance.choice(["1", "2", "BROKEN"])
            way = chance.randrange(4)
            file.parent.mkdir(parents=True, exist_ok=True)
            if way == 0 and file.exists():
                file.unlink()
            elif way == 1 and file.exists():
                os.replace(file, tree.root / chance.choice(["a.yaml", "b.yaml"]))
            elif way == 2:
                tree.replace(name, text)
            else:
                tree.write(name, text)
        fresh = Source(
            tree.root,
            limits=LIMITS,
            load=tree.load,
            find=tree.find,
            deliver=lambda _: None,
            clock=SystemClock(),
            watch=False,
        ).scan()
        expected = {name: (one.sources, one.problems) for name, one in fresh.projects.items()}
        for one in (heard, unheard):
            assert wait_for(
                lambda one=one: expected == {n: (p.sources, p.problems) for n, p in one.newest().projects.items()},
                seconds=SECONDS,
            ), f"seed {seed}"
            assert one.newest().revision == fresh.revision or wait_for(
                lambda one=one: one.newest().revision == fresh.revision, seconds=SECONDS
            ), f"seed {seed}"
