"""`glink page` and `glink graph` on the shipped examples, as somebody types them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.examples import Examples


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    """The examples, settled once."""
    examples = Examples(tmp_path_factory.mktemp("examples"))
    examples.up()
    return examples


def test_a_page_is_written_without_a_daemon_and_says_what_it_wrote(home: Examples, tmp_path: Path) -> None:
    written = json.loads(home.glink("page", "--out", str(tmp_path / "site"), "--json"))
    files = {path.relative_to(tmp_path / "site").as_posix() for path in (tmp_path / "site").rglob("*.*")}
    assert set(written["files"]) == files
    assert files == {
        *(f"assets/{name}" for name in ("icon.svg", "site.css", "site.js")),
        *(f"project/{name}.html" for name in ("dependency-report", "hello-world", "release-notes")),
        "index.html",
    }
    assert "<h1>All is well</h1>" in (tmp_path / "site/index.html").read_text()


def test_a_page_shows_what_was_given_and_what_came_back(home: Examples, tmp_path: Path) -> None:
    assert home.glink("page", "-o", str(tmp_path)) == f"3 projects: {tmp_path}/index.html\n"
    page = (tmp_path / "project/release-notes.html").read_text()
    assert "Read the last 20 commits" in page
    assert "# Release notes" in page
    assert "<code>notes.html</code>" in page
    assert "settled: succeeded" in page


def test_a_page_before_anything_ran_shows_what_is_to_do(tmp_path: Path) -> None:
    fresh = Examples(tmp_path / "fresh")
    fresh.glink("page", "--out", str(tmp_path / "site"))
    page = (tmp_path / "site/project/release-notes.html").read_text()
    assert "0 of 3 steps done." in page
    assert "never ran" in page


def test_an_invalid_file_has_a_page(home: Examples, tmp_path: Path) -> None:
    home.edit("hello-world.yaml", "agent: agent-a", "agnet: agent-a")
    try:
        home.glink("page", "--out", str(tmp_path))
        page = (tmp_path / "project/hello-world.html").read_text()
        assert "projects/hello-world.yaml:3:15" in page
        assert "What was last good stays in force." in page
        assert "broken" in (tmp_path / "index.html").read_text()
    finally:
        home.git("checkout", "-q", "projects")


def test_a_graph_in_each_language(home: Examples) -> None:
    assert home.glink("graph", "release-notes").splitlines()[:5] == [
        "flowchart LR",
        '  n0["history · history-agent (done)"]:::done',
        '  n1["digest · run:python (done)"]:::done',
        '  n2["page · run:python (done)"]:::done',
        "  n0 --> n1",
    ]
    assert '"history" -> "digest";' in home.glink("graph", "release-notes", "--format", "dot")
    picture = ET.fromstring(home.glink("graph", "release-notes", "-f", "svg"))
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    data = json.loads(home.glink("graph", "dependency-report", "--json"))
    assert data["edges"] == [{"from": "1", "to": "2", "implied": True}, {"from": "2", "to": "3", "implied": False}]


def test_a_graph_that_cannot_be_is_refused_with_a_reason(home: Examples) -> None:
    wrong = home.run("graph", "hello-wrold")
    assert wrong.returncode == 2
    assert "did you mean hello-world?" in wrong.stderr
    assert home.run("graph", "hello-world", "--format", "pdf").returncode == 2
