"""What a look changes, on real files with a plain number as clock: a missing or half-written file changes nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from glink.errors import Problem
from glink.limits import Limits
from glink.project import Loaded
from glink.watch.catalogue import Catalogue, Difference
from glink.watch.settle import Kind, Look
from glink.watch.snapshot import EMPTY, take_snapshot
from tests.unit.watch.trees import Tree

CLOSED, REPLACED, CHANGED = Kind.CLOSED, Kind.REPLACED, Kind.CHANGED


class Watcher:
    """A catalogue over a tree; each `look` is one look at a time of the test's choosing."""

    def __init__(self, root: Path, *, limits: Limits | None = None, **files: str) -> None:
        self.tree = Tree(root)
        self.limits = limits or Limits()
        for name, text in files.items():
            self.tree.write(f"{name}.yaml", text)
        self.catalogue = Catalogue(root, limits=self.limits, load=self.tree.load, find=self.tree.find)
        self.snapshot = EMPTY

    def look(
        self,
        at: float,
        heard: Mapping[str, Kind] | None = None,
        *,
        quiet: bool = True,
        rescan: bool = False,
        trusting: bool = False,
    ) -> Difference:
        look = Look(heard=heard or {}, quiet=quiet, rescan=rescan)
        root = str(self.tree.root)
        self.snapshot = take_snapshot(root, self.snapshot, heard=look.heard, now=at, limits=self.limits)
        return self.catalogue.take(self.snapshot, look, at, trusting=trusting)

    def problems(self, name: str) -> int:
        return len(self.catalogue.loaded[name].problems)


def names(difference: Difference) -> tuple[set[str], set[str]]:
    return set(difference.changed), set(difference.gone)


NOTHING: tuple[set[str], set[str]] = (set(), set())


def test_the_first_look_finds_all_projects(tmp_path: Path) -> None:
    """Everything is new at first, and nothing is the next time; nothing is loaded twice."""
    one = Watcher(tmp_path, a="1", b="BROKEN")
    one.tree.write("team/news/workflow.yaml", "x")
    assert names(one.look(0)) == ({"a", "b", "team/news"}, set())
    assert one.look(30, rescan=False) == Difference()
    assert sorted(one.tree.loads) == ["a", "b", "team/news"]
    assert one.tree.finds == 1


def test_a_replaced_file_is_loaded_at_once_and_alone(tmp_path: Path) -> None:
    """One project changes; the others stay the very same objects."""
    one = Watcher(tmp_path, a="1", b="1")
    one.look(0)
    kept = one.catalogue.loaded["b"]
    one.tree.write("a.yaml", "2")
    assert names(one.look(1, {"a.yaml": REPLACED}, quiet=False)) == ({"a"}, set())
    assert one.catalogue.loaded["b"] is kept
    assert one.tree.loads == ["a", "b", "a"]


def test_a_touch_loads_nothing(tmp_path: Path) -> None:
    """A closed write that left the bytes as they were is no change."""
    one = Watcher(tmp_path, a="1")
    one.look(0)
    os.utime(tmp_path / "a.yaml", (1, 1))
    assert names(one.look(1, {"a.yaml": CLOSED})) == NOTHING
    assert one.tree.loads == ["a"]


def test_an_invalid_file_that_was_just_closed_is_taken_at_its_word_when_all_is_quiet(tmp_path: Path) -> None:
    """An editor may be in the middle: what ran goes on until quiet, then the file is invalid."""
    one = Watcher(tmp_path, a="1")
    one.look(0)
    one.tree.write("a.yaml", "BROKEN")
    early = one.look(1, {"a.yaml": CLOSED}, quiet=False)
    assert names(early) == NOTHING
    assert early.again == pytest.approx(1 + one.limits.quiet)
    assert one.problems("a") == 0
    assert names(one.look(1.1)) == ({"a"}, set())
    assert one.problems("a") == 1


def test_an_unfinished_file_that_is_finished_in_time_was_never_invalid(tmp_path: Path) -> None:
    """The half in between is not seen by anyone."""
    one = Watcher(tmp_path, a="1")
    one.look(0)
    one.tree.write("a.yaml", "BROKEN")
    one.look(1, {"a.yaml": CLOSED}, quiet=False)
    one.tree.write("a.yaml", "2")
    assert names(one.look(1.05, {"a.yaml": CLOSED}, quiet=False)) == ({"a"}, set())
    assert one.problems("a") == 0


def test_an_invalid_replace_is_taken_at_its_word_at_once(tmp_path: Path) -> None:
    """A rename is complete: what does not parse is invalid."""
    one = Watcher(tmp_path, a="1")
    one.look(0)
    one.tree.replace("a.yaml", "BROKEN")
    assert names(one.look(1, {"a.yaml": REPLACED}, quiet=False)) == ({"a"}, set())


def test_an_invalid_file_among_endless_events_is_told_in_the_end(tmp_path: Path) -> None:
    """No neighbour's noise hides a broken file for longer than `limits.storm`."""
    one = Watcher(tmp_path, a="1", b="1")
    one.look(0)
    one.tree.write("a.yaml", "BROKEN")
    now, heard = 1.0, {"a.yaml": CLOSED}
    while names(one.look(now, heard, quiet=False)) == NOTHING:
        now, heard = now + 0.25, {"b.yaml": CLOSED}
    assert now == 1.0 + one.limits.storm


def test_a_change_that_nobody_announced_must_hold_still_first(tmp_path: Path) -> None:
    """A rescan that meets a file in the middle of a write leaves the project as it was."""
    one = Watcher(tmp_path, a="1")
    one.look(0)
    one.tree.write("a.yaml", "half")
    first = one.look(30, rescan=True)
    assert names(first) == NOTHING
    assert first.again == pytest.approx(30 + one.limits.quiet)
    one.tree.write("a.yaml", "whole")
    assert names(one.look(30.1)) == NOTHING
    settled = one.look(30.4)
    assert names(settled) == ({"a"}, set())
    assert settled.unheard == {"a.yaml"}
    assert one.tree.loads == ["a", "a"]


def test_an_announcement_ends_the_waiting(tmp_path: Path) -> None:
    """The closed write that comes after the rescan says that the file is complete."""
    one = Watcher(tmp_path, a="1")
    one.look(0)
    one.tree.write("a.yaml", "2")
    assert names(one.look(30, rescan=True)) == NOTHING
    after = one.look(30.01, {"a.yaml": CLOSED}, quiet=False)
    assert names(after) == ({"a"}, set())
    assert not after.unheard


def test_the_longer_a_file_has_been_changing_the_longer_it_must_hold_still(tmp_path: Path) -> None:
    """A copy that takes minutes is not looked at ten times a second, and still ends."""
    one = Watcher(tmp_path, a="1")
    one.look(0)
    now = 30.0
    for number in range(20):
        one.tree.write("a.yaml", f"part {number}")
        difference = one.look(now, {"a.yaml": CHANGED} if not number else None)
        assert names(difference) == NOTHING
        now += 1.0
    assert difference.again == pytest.approx(now - 1.0 + one.limits.storm)
    assert names(one.look(difference.again)) == ({"a"}, set())


def test_a_moved_folder_is_complete_with_all_its_files(tmp_path: Path) -> None:
    """One rename of a folder is a replace of everything in it."""
    one = Watcher(tmp_path / "projects")
    one.look(0)
    spare = Tree(tmp_path / "spare")
    spare.write("workflow.yaml", "x")
    spare.write("data/a.csv", "y")
    os.rename(tmp_path / "spare", tmp_path / "projects/shop")
    assert names(one.look(1, {"shop": REPLACED}, quiet=False)) == ({"shop"}, set())


def test_any_file_of_a_folder_project_belongs_to_it(tmp_path: Path) -> None:
    """An edit of an input loads its project again, a neighbour's does not."""
    one = Watcher(tmp_path, other="1")
    one.tree.write("shop/workflow.yaml", "x")
    one.tree.write("shop/data/a.csv", "1")
    one.look(0)
    one.tree.write("shop/data/a.csv", "2")
    assert names(one.look(1, {"shop/data/a.csv": CLOSED})) == ({"shop"}, set())
    assert one.tree.loads.count("other") == 1


def test_a_shared_text_loads_again_what_read_it_and_what_is_invalid(tmp_path: Path) -> None:
    """Projects that do not use the text are left alone."""
    one = Watcher(tmp_path, user="1", other="1", broken="BROKEN")
    one.tree.write("_shared/s.md", "1")
    plain = one.tree.load

    def load(name: str, file: Path):
        loaded = plain(name, file)
        return replace(loaded, sources={**loaded.sources, "_shared/s.md": "?"}) if name == "user" else loaded

    one.catalogue = Catalogue(tmp_path, limits=one.limits, load=load, find=one.tree.find)
    one.look(0, trusting=True)
    one.tree.loads.clear()
    one.tree.write("_shared/s.md", "2")
    one.look(1, {"_shared/s.md": REPLACED}, trusting=True)
    assert one.tree.loads == ["broken", "user"]


def test_a_project_is_gone_only_after_two_looks_two_seconds_apart(tmp_path: Path) -> None:
    """The first look that misses it says nothing, nor do those in between."""
    one = Watcher(tmp_path, a="1", b="1")
    one.look(0)
    (tmp_path / "a.yaml").unlink()
    first = one.look(10, {"a.yaml": CHANGED})
    assert names(first) == NOTHING
    assert first.again == pytest.approx(12)
    assert names(one.look(11.9)) == NOTHING
    assert "a" in one.catalogue.loaded
    assert names(one.look(12)) == (set(), {"a"})
    assert "a" not in one.catalogue.loaded
    assert one.look(13) == Difference()


@pytest.mark.parametrize("text", ["1", "2"])
def test_deleting_and_making_anew_is_never_a_deletion(text: str, tmp_path: Path) -> None:
    """A file that is back within two seconds was edited, or not even that."""
    one = Watcher(tmp_path, a="1")
    one.look(0)
    (tmp_path / "a.yaml").unlink()
    one.look(10, {"a.yaml": CHANGED})
    one.tree.write("a.yaml", text)
    back = one.look(11.5, {"a.yaml": CLOSED})
    assert names(back) == (set() if text == "1" else {"a"}, set())
    assert names(one.look(14)) == NOTHING


def test_a_missing_input_leaves_its_project_as_it_was_for_two_seconds(tmp_path: Path) -> None:
    """A tool that deletes and writes anew what a project reads does not show; a real deletion does."""
    one = Watcher(tmp_path)
    one.tree.write("shop/workflow.yaml", "x")
    one.tree.write("shop/a.csv", "1")
    one.look(0)
    (tmp_path / "shop/a.csv").unlink()
    assert names(one.look(10, {"shop/a.csv": CHANGED})) == NOTHING
    one.tree.write("shop/workflow.yaml", "y")
    assert names(one.look(11, {"shop/workflow.yaml": REPLACED})) == NOTHING
    assert names(one.look(12)) == ({"shop"}, set())
    assert set(one.catalogue.loaded["shop"].sources) == {"shop/workflow.yaml"}


def test_a_renamed_project_appears_when_its_old_name_is_gone(tmp_path: Path) -> None:
    """Both become known in one look, so that the new name can take over what the old one has done."""
    one = Watcher(tmp_path, old="1")
    one.look(0)
    os.rename(tmp_path / "old.yaml", tmp_path / "new.yaml")
    assert names(one.look(10, {"old.yaml": CHANGED, "new.yaml": REPLACED})) == NOTHING
    assert names(one.look(12)) == ({"new"}, {"old"})


def test_a_new_project_waits_no_longer_than_two_seconds_for_others_that_vanish(tmp_path: Path) -> None:
    """Something that comes and goes all the time does not keep a newcomer out."""
    one = Watcher(tmp_path, x0="1")
    one.look(0)
    one.tree.write("new.yaml", "1")
    for number in range(8):
        os.rename(tmp_path / f"x{number}.yaml", tmp_path / f"x{number + 1}.yaml")
        one.look(10 + number * 0.5, {"new.yaml": REPLACED, f"x{number + 1}.yaml": REPLACED}, quiet=False)
    assert "new" in one.catalogue.loaded


def test_a_project_may_turn_from_a_file_into_a_folder(tmp_path: Path) -> None:
    """The name is what counts; its other place is an edit."""
    one = Watcher(tmp_path, a="1")
    one.look(0)
    one.tree.write("a/workflow.yaml", "2")
    (tmp_path / "a.yaml").unlink()
    one.look(10, {"a/workflow.yaml": REPLACED, "a.yaml": CHANGED})
    assert names(one.look(12)) == ({"a"}, set())
    assert set(one.catalogue.loaded["a"].sources) == {"a/workflow.yaml"}


def test_a_name_that_two_sources_claim_is_refused_and_comes_back(tmp_path: Path) -> None:
    """The problem replaces the project, and the project the problem when one source is removed."""
    one = Watcher(tmp_path, a="1")
    one.look(0)
    one.tree.write("a.yml", "2")
    assert names(one.look(1, {"a.yml": REPLACED})) == ({"a"}, set())
    assert one.problems("a") == 1
    (tmp_path / "a.yml").unlink()
    one.look(2, {"a.yml": CHANGED})
    assert one.problems("a") == 0


def test_a_project_whose_loading_raises_is_invalid_and_stops_no_other(tmp_path: Path) -> None:
    """A crash of the loader is that project's problem, said in words, and it is tried again at the rescan."""
    one = Watcher(tmp_path / "projects", bad="BOMB", good="1")
    assert names(one.look(0)) == ({"bad", "good"}, set())
    (problem,) = one.catalogue.loaded["bad"].problems
    assert str(problem) == (
        "projects/bad.yaml: could not be loaded: RecursionError: maximum recursion depth exceeded; simplify the file; it is tried again"
    )
    assert names(one.look(30, rescan=True)) == NOTHING
    assert one.tree.loads == ["bad", "good", "bad"]


def test_a_project_with_too_many_files_is_refused_by_name(tmp_path: Path) -> None:
    """The limit is that project's problem alone."""
    one = Watcher(tmp_path / "projects", limits=Limits(project_files=3), small="1")
    for number in range(4):
        one.tree.write(f"big/f{number}", "x")
    one.tree.write("big/workflow.yaml", "x")
    one.look(0)
    assert str(one.catalogue.loaded["big"].problems[0]) == (
        "projects/big/workflow.yaml: the project's folder holds more than 3 files; move what is not part of it elsewhere"
    )
    assert one.problems("small") == 0
    assert one.tree.loads == ["small"]


def test_bytes_that_changed_between_look_and_load_are_looked_at_again(tmp_path: Path) -> None:
    """What was loaded must be what the snapshot saw, else revision and content would not belong together."""
    one = Watcher(tmp_path, a="1")
    one.look(0)
    one.tree.before_load = lambda _: one.tree.write("a.yaml", "3")
    one.tree.write("a.yaml", "2")
    torn = one.look(1, {"a.yaml": REPLACED})
    assert names(torn) == NOTHING
    assert torn.again == pytest.approx(1 + one.limits.quiet)
    assert names(one.look(1.1, {"a.yaml": CLOSED})) == ({"a"}, set())


def test_a_file_made_between_look_and_load_is_looked_at_first(tmp_path: Path) -> None:
    """A project that is found before its file was looked at may still be empty: it waits for the next look."""
    one = Watcher(tmp_path, a="1")
    find, made = one.tree.find, []

    def find_late():
        made.append(one.tree.write("late.yaml", ""))
        return find()

    one.catalogue = Catalogue(tmp_path, limits=one.limits, load=one.tree.load, find=find)
    one.look(0)
    one.catalogue._find = find_late
    one.tree.write("b.yaml", "1")
    assert names(one.look(1, {"b.yaml": CLOSED}, quiet=False)) == ({"b"}, set())
    one.tree.write("late.yaml", "1")
    one.catalogue._find = find
    assert names(one.look(1.05, {"late.yaml": CLOSED}, quiet=False)) == ({"late"}, set())
    assert one.problems("late") == 0


def test_a_file_that_was_not_looked_at_is_not_invalid_for_having_vanished_again(tmp_path: Path) -> None:
    """A workflow file that came after the look and could not be read by the loader is no invalid project."""
    one = Watcher(tmp_path, a="1")
    one.look(0)
    one.catalogue._find = lambda: ({"a": tmp_path / "a.yaml", "ghost": tmp_path / "ghost.yaml"}, {})
    one.catalogue._load = lambda name, file: Loaded(
        name, None, (Problem("ghost.yaml", 0, 0, "", "is not there"),), {}, {}
    )
    one.tree.write("b.yaml", "1")
    passing = one.look(1)
    assert "ghost" not in one.catalogue.loaded
    assert passing.again == pytest.approx(1 + one.limits.quiet)


def test_a_workflow_file_at_the_very_top_is_a_project_of_its_own(tmp_path: Path) -> None:
    """`projects/workflow.yaml` does not turn the whole folder into one project."""
    one = Watcher(tmp_path, a="1")
    one.tree.write("b.yaml", "1")
    (tmp_path / "workflow.yaml").write_text("1")
    one.tree.find = lambda: ({name: tmp_path / f"{name}.yaml" for name in ("a", "b", "workflow")}, {})
    one.tree.load = lambda name, file: _loaded(tmp_path, name, file)
    one.catalogue = Catalogue(tmp_path, limits=one.limits, load=one.tree.load, find=one.tree.find)
    one.look(0)
    (tmp_path / "workflow.yaml").write_text("2")
    assert names(one.look(1, {"workflow.yaml": REPLACED})) == ({"workflow"}, set())
    (tmp_path / "b.yaml").write_text("2")
    assert names(one.look(2, {"b.yaml": REPLACED})) == ({"b"}, set())


def _loaded(root: Path, name: str, file: Path) -> Loaded:
    sources = {file.relative_to(root).as_posix(): sha256(file.read_bytes()).hexdigest()}
    return Loaded(project=name, workflow=None, problems=(), sources=sources, blobs={})


def test_a_projects_folder_that_vanishes_takes_its_projects_along_after_two_seconds(tmp_path: Path) -> None:
    """Removed, renamed or unmounted: nothing happens at first, and it is looked for every two seconds."""
    one = Watcher(tmp_path / "projects", a="1")
    one.look(0)
    os.rename(tmp_path / "projects", tmp_path / "elsewhere")
    assert names(one.look(10)) == NOTHING
    last = one.look(12)
    assert names(last) == (set(), {"a"})
    assert last.again == pytest.approx(14)


def test_a_project_known_from_before_that_is_not_there_is_gone_after_two_seconds(tmp_path: Path) -> None:
    """A file deleted while nobody looked is as gone as any other; one that is there is not."""
    one = Watcher(tmp_path, a="1")
    one.catalogue.expect(["a", "deleted"], 0.0)
    assert names(one.look(0)) == ({"a"}, set())
    assert names(one.look(2)) == (set(), {"deleted"})


def test_trusting_takes_everything_as_it_is(tmp_path: Path) -> None:
    """A single look waits for nothing: unannounced, invalid or new, what is there counts."""
    one = Watcher(tmp_path, a="1")
    one.look(0)
    one.tree.write("a.yaml", "BROKEN")
    one.tree.write("b.yaml", "1")
    assert names(one.look(0.001, quiet=False, trusting=True)) == ({"a", "b"}, set())
