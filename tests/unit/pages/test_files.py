"""The pages of a running engine: written when something settles, one at a time, and never in the way."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pytest

from glink.clock import wait_for
from glink.pages.files import PageFiles, write_files
from glink.report import Report
from tests.rig import step, workflow
from tests.sites import Site, three


class Running:
    """A site whose pages are written while its engine runs."""

    def __init__(self, path: Path) -> None:
        self.site = Site(path, page_seconds=0.05)
        self.looks = 0
        self.broken = False
        self.pages = PageFiles(
            self.site.folder,
            limits=self.site.limits,
            look=self.look,
            prompts=self.site.prompts,
            now=self.site.rig.time.now,
            earlier=lambda: list(self.site.rig.records),
            revision=lambda: "main@sha1:3f2a9c1d77b0",
        )

    def look(self, names: Collection[str] | None) -> Sequence[Report]:
        self.looks += 1
        if self.broken:
            raise OSError("not now")
        return [one for one in self.site.reports() if names is None or one.project in names]

    def run(self, *workflows: dict) -> None:
        before = len(self.site.rig.records)
        self.site.rig.observe(*workflows)
        self.site.rig.settle()
        self.pages.hear(self.site.rig.records[before:])

    def text(self, path: str) -> str:
        file = self.site.folder / path
        return file.read_text() if file.exists() else ""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    one = Running(tmp_path)
    yield one
    one.broken = False
    one.pages.close()


def test_a_start_writes_everything_with_what_happened_before(running: Running) -> None:
    three(running.site)
    running.pages.start()
    assert wait_for(lambda: "hello-world" in running.text("index.html"), seconds=20)
    files = {path.relative_to(running.site.folder).as_posix() for path in running.site.folder.rglob("*.*")}
    assert files == {"index.html", "project/hello-world.html", "assets/site.css", "assets/site.js", "assets/icon.svg"}
    assert "succeeded in 0.40 s" in running.text("project/hello-world.html")


def test_what_settles_is_written_and_what_was_not_touched_stays_as_it_is(running: Running) -> None:
    running.run(workflow("a", step("1", "one")), workflow("b", step("1", "one")))
    running.pages.start()
    assert wait_for(lambda: "All is well" in running.text("index.html"), seconds=20)
    before = {name: os.stat(running.site.folder / f"project/{name}.html").st_ino for name in "ab"}
    running.run(workflow("b", step("1", "two"), description="another"))
    assert wait_for(lambda: "another" in running.text("project/b.html"), seconds=20)
    after = {name: os.stat(running.site.folder / f"project/{name}.html").st_ino for name in "ab"}
    assert before["a"] == after["a"]
    assert before["b"] != after["b"]


def test_closing_writes_what_was_heard_last(running: Running) -> None:
    running.pages.start()
    running.run(workflow("late", step("1", "one")))
    running.pages.close()
    assert "late" in running.text("index.html")
    assert running.text("project/late.html")


def test_what_fails_is_counted_and_written_the_next_time(running: Running) -> None:
    running.broken = True
    running.pages.start()
    assert wait_for(lambda: running.pages.failed > 0, seconds=20)
    running.broken = False
    running.run(workflow("p", step("1", "one")))
    assert wait_for(lambda: "All is well" in running.text("index.html"), seconds=20)


def test_a_page_of_a_project_that_is_no_more_is_removed(running: Running) -> None:
    (running.site.folder / "project").mkdir(parents=True)
    (running.site.folder / "project/ghost.html").write_text("boo")
    running.run(workflow("p", step("1", "one")))
    running.pages.start()
    assert wait_for(lambda: bool(running.text("project/p.html")), seconds=20)
    assert wait_for(lambda: not running.text("project/ghost.html"), seconds=20)


def test_nothing_heard_is_nothing_looked_at(running: Running) -> None:
    running.run(workflow("p", step("1", "one")))
    running.pages.start()
    assert wait_for(lambda: running.looks == 1, seconds=20)
    running.pages.close()
    assert running.looks == 2


def test_served_pages_say_what_is_known_now(running: Running) -> None:
    running.run(workflow("p", step("1", "one")))
    page = running.pages.project_served("p")
    assert page is not None
    assert f'data-seq="{running.site.rig.records[-1]["seq"]}"' in page.decode()
    assert b'data-events="../events"' in page
    assert b"settled: succeeded" in page
    assert running.pages.project_served("nobody") is None
    home = running.pages.overview_served()
    assert b'href="project/p"' in home
    assert b"main@3f2a9c1d" in home


def test_a_file_is_replaced_in_one_piece_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    write_files(tmp_path, [("a/b.html", b"old")])
    old = os.stat(tmp_path / "a/b.html").st_ino
    assert write_files(tmp_path, [("a/b.html", b"new")]) == ["a/b.html"]
    assert os.stat(tmp_path / "a/b.html").st_ino != old
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.html"]
