"""The shipped examples under a daemon, as somebody uses them: edits, git, a kill, a new commit."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from glink.clock import wait_for
from glink.event import Record
from tests.examples import Examples, steps


class Daemon:
    """`glink up` over the examples. `since` looks at the projects' events after a moment."""

    def __init__(self, examples: Examples) -> None:
        self.examples = examples
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with open(self.examples.path.parent / "up.log", "ab") as log:
            command = [sys.executable, "-m", "glink", "up"]
            environment = self.examples.environment | {"GLINK_PORT": "0"}  # other tests run beside this one
            process = subprocess.Popen(command, cwd=self.examples.path, env=environment, stdout=log, stderr=log)
        assert wait_for(lambda: process.poll() is not None or self._listens(process.pid), seconds=30, every=0.05)
        assert process.poll() is None
        return process

    def _listens(self, pid: int) -> bool:
        lock = self.examples.path / "bus" / "LOCK"
        return lock.exists() and str(pid) in lock.read_text()

    def end(self, how: signal.Signals) -> None:
        self.process.send_signal(how)
        self.process.wait(30)

    def again(self) -> None:
        self.process = self._start()

    def seq(self) -> int:
        events = self.examples.events()
        return events[-1]["seq"] if events else 0

    def since(self, seq: int, project: str) -> list[Record]:
        return [one for one in self.examples.events() if one["seq"] > seq and one.get("project") == project]

    def settled_since(self, seq: int, project: str) -> list[Record]:
        """Wait for a run of the project to settle after `seq`; its events since then."""
        assert wait_for(lambda: "run.settled" in self._types(seq, project), seconds=30, every=0.05)
        return self.since(seq, project)

    def _types(self, seq: int, project: str) -> list[str]:
        return [one["type"] for one in self.since(seq, project)]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    running = Daemon(Examples(tmp_path / "home"))
    for project in ("dependency-report", "hello-world", "release-notes"):
        running.settled_since(0, project)
    yield running
    if running.process.poll() is None:
        running.end(signal.SIGKILL)


def test_a_day_with_the_dependency_report(daemon: Daemon) -> None:
    """Another title rebuilds the page alone, git checkout brings the old page back, a kill repeats nothing."""
    home, project = daemon.examples, "dependency-report"
    page = f"{project}/3/card.html"
    old = home.artifact(page)

    at = daemon.seq()
    home.edit(f"{project}.yaml", '"Build an HTML card page from JSON"', """'An HTML page "Here <now>" from JSON'""")
    assert steps(daemon.settled_since(at, project), "step.dispatched") == ["3"]
    assert wait_for(lambda: "<h1>Here &lt;now&gt;</h1>" in home.artifact(page), seconds=20)

    at = daemon.seq()
    home.git("checkout", "-q", "projects")
    written = daemon.settled_since(at, project)
    assert (steps(written, "step.dispatched"), steps(written, "step.restored")) == ([], ["3"])
    assert wait_for(lambda: home.artifact(page) == old, seconds=20)

    at = daemon.seq()
    daemon.end(signal.SIGKILL)
    daemon.again()
    daemon.end(signal.SIGTERM)
    assert daemon.since(at, project) == []


def test_a_broken_edit_is_shown_with_its_place_and_the_answers_stay(daemon: Daemon) -> None:
    home, project = daemon.examples, "hello-world"
    at = daemon.seq()
    home.edit(f"{project}.yaml", "agent: agent-a", "agent: agent-b")
    assert wait_for(lambda: "agent-b" in home.run("status", project).stdout, seconds=20, every=0.1)
    assert f"projects/{project}.yaml:3:22" in home.run("status", project).stdout
    assert home.output(project, "1") == "Say hello"
    home.git("checkout", "-q", "projects")
    home.edit(f"{project}.yaml", "Say hello", "Say good day")
    assert steps(daemon.settled_since(at, project), "step.dispatched") == ["1"]
    assert home.output(project, "1") == "Say good day"


def test_a_run_reads_the_history_anew(daemon: Daemon) -> None:
    """A commit alone changes nothing that the notes were asked for; `glink run` reads it, over the daemon."""
    home, project = daemon.examples, "release-notes"
    at = daemon.seq()
    commit = home.commit("Notes are due")
    home.glink("sync", project)
    assert commit in home.events()[-1].get("data", {})["revision"]
    assert daemon.since(at, project) == []
    assert "settled: succeeded" in home.glink("run", project)
    assert steps(daemon.since(at, project), "step.dispatched") == ["history", "digest", "page"]
    assert f"<li>Notes are due ({commit[:10]}, Ana)</li>" in home.artifact(f"{project}/page/notes.html")
