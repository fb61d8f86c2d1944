"""The shipped examples, run for real by the command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the examples in a git repository of its own, settled once."""
    path = tmp_path_factory.mktemp("examples")
    for name in ("projects", "agents"):
        shutil.copytree(ROOT / name, path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "glink-config.yaml", path)
    git = ["git", "-c", "user.name=Ana", "-c", "user.email=ana@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "The <first> commit"]):
        subprocess.run([*git, *command], cwd=path, check=True)
    up(path)
    return path


def glink(path: Path, *arguments: str) -> str:
    environment = os.environ | {"XDG_STATE_HOME": str(path.parent / "state")}
    command = [sys.executable, "-m", "glink", *arguments]
    done = subprocess.run(command, cwd=path, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def up(path: Path) -> list[dict[str, Any]]:
    """Settle, and give the events that this wrote."""
    seen = len(events(path)) if (path / "bus").exists() else 0
    glink(path, "up", "--once")
    return events(path)[seen:]


def events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in glink(path, "events", "--json").splitlines()]


def dispatched(written: list[dict[str, Any]]) -> list[str]:
    return [one["step"] for one in written if one["type"] == "step.dispatched"]


def test_hello_world_says_hello(home: Path) -> None:
    assert glink(home, "output", "hello-world", "1") == "Say hello\n"


def test_the_card_page_shows_what_is_really_installed(home: Path) -> None:
    page = (home / "bus/out/dependency-report/3/card.html").read_text()
    answer = json.loads(glink(home, "output", "dependency-report", "2"))
    assert answer["count"] == page.count("<article>") > 0
    if shutil.which("python3") == sys.executable:
        assert {one.metadata["Name"] for one in distributions()} >= {one["name"] for one in answer["packages"]}


def test_the_release_notes_name_the_commits_of_the_repository(home: Path) -> None:
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=home, capture_output=True, text=True, check=True).stdout
    assert commit[:10] in glink(home, "output", "release-notes", "digest")
    assert "The &lt;first&gt; commit" in (home / "bus/out/release-notes/page/notes.html").read_text()


def test_a_second_look_dispatches_nothing_an_edit_its_step_and_a_revert_nothing(home: Path) -> None:
    assert dispatched(up(home)) == []
    file = home / "projects/dependency-report.yaml"
    text = file.read_text()
    file.write_text(text.replace('"Convert search results to JSON"', '"Convert the search results to JSON"'))
    assert dispatched(up(home)) == ["2"]
    file.write_text(text.replace("HTML card page from", "HTML page called 'Mine' from"))
    assert dispatched(up(home)) == ["3"]
    file.write_text(text)
    written = up(home)
    assert dispatched(written) == []
    assert [one["step"] for one in written if one["type"] == "step.restored"] == ["3"]
