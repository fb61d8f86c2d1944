"""A real daemon in a real folder: edits, reverts, kills, adoption, a poisoned neighbour."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from glink.clock import wait_for

CONFIG = """
agents:
  echo: {type: echo}
  slow: {type: command, command: [./slow.sh], exit_record: true}
"""
SLOW = """#!/bin/sh
read task
echo "$task" >> calls
while [ ! -e "$PWD_OF_TEST/go" ]; do sleep 0.05; done
echo "done: $task"
"""


class Home:
    """A folder with a configuration and projects, and the daemon that may run there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.process: subprocess.Popen[bytes] | None = None
        (path / "projects").mkdir()
        (path / "glink-config.yaml").write_text(CONFIG)
        script = SLOW.replace("$PWD_OF_TEST", str(path)).replace(">> calls", f">> {path}/calls")
        (path / "slow.sh").write_text(script)
        (path / "slow.sh").chmod(0o755)

    def write(self, name: str, text: str) -> None:
        target = self.path / "projects" / f"{name}.yaml"
        temporary = target.with_name(f".{name}.tmp")
        temporary.write_text(text)
        temporary.replace(target)

    def glink(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "glink", *arguments]
        return subprocess.run(command, cwd=self.path, capture_output=True, text=True, timeout=60, check=False)

    def up(self) -> None:
        with open(self.path / "up.log", "ab") as log:
            command = [sys.executable, "-m", "glink", "up"]
            environment = os.environ | {"GLINK_PORT": "0"}  # other tests run beside this one
            self.process = subprocess.Popen(command, cwd=self.path, env=environment, stdout=log, stderr=log)
        assert wait_for(lambda: (self.path / "bus" / "channel").exists(), seconds=20)

    def end(self, how: int = signal.SIGTERM) -> None:
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(30)
        (self.path / "bus" / "channel").unlink(missing_ok=True)
        self.process = None

    def events(self) -> list[dict[str, Any]]:
        lines = self.glink("events", "--json").stdout.splitlines()
        return [json.loads(line) for line in lines]

    def dispatched(self) -> list[str]:
        return [one["step"] for one in self.events() if one["type"] == "step.dispatched"]

    def status(self, project: str) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(self.glink("status", project, "--json").stdout)
        return status

    def settled(self, project: str) -> bool:
        return wait_for(lambda: self._settled(project), seconds=30, every=0.2)

    def _settled(self, project: str) -> bool:
        events = [one for one in self.events() if one.get("project") == project]
        return bool(events) and events[-1]["type"] == "run.settled"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    one = Home(tmp_path)
    yield one
    if one.process is not None:
        one.process.kill()
        one.process.wait(30)
    (tmp_path / "go").touch()


TWO = """
steps:
  - {step: 1, agent: echo, task: "one"}
  - {step: 2, agent: echo, task: "{{ steps[1].output }} two"}
"""


def test_an_edit_runs_what_it_changes_a_revert_and_a_touch_nothing(home: Home) -> None:
    home.write("p", TWO)
    home.up()
    assert home.settled("p")
    assert home.dispatched() == ["1", "2"]
    home.write("p", TWO.replace('"one"', '"ONE"'))
    assert wait_for(lambda: home.dispatched() == ["1", "2", "1", "2"], seconds=20, every=0.2)
    assert home.settled("p")
    home.write("p", TWO)
    assert wait_for(lambda: "step.restored" in {one["type"] for one in home.events()}, seconds=20, every=0.2)
    assert home.settled("p")
    before = [one for one in home.events() if one.get("project")]
    home.write("p", "# a comment\n" + TWO)
    os.utime(home.path / "projects" / "p.yaml")
    assert wait_for(lambda: home.events()[-1]["type"] == "source.observed", seconds=20, every=0.2)
    home.end(signal.SIGKILL)
    home.up()
    home.end()
    assert [one for one in home.events() if one.get("project")] == before


def test_a_broken_edit_says_where_and_what_ran_goes_on(home: Home) -> None:
    home.write("p", TWO)
    home.up()
    assert home.settled("p")
    home.write("p", TWO.replace('agent: echo, task: "one"', 'agnet: echo, task: "one"'))
    assert wait_for(lambda: bool(home.status("p")["errors"]), seconds=20, every=0.2)
    status = home.status("p")
    assert (status["sync"], status["health"]) == ("Unknown", "Healthy")
    assert "p.yaml:3:" in home.glink("validate").stdout
    assert 'did you mean "agent"?' in home.glink("validate").stdout
    home.write("q", TWO)
    assert home.settled("q")


def test_an_agent_that_outlived_the_daemon_is_adopted_and_nothing_runs_twice(home: Home) -> None:
    home.write(
        "p", 'steps:\n  - {step: 1, agent: echo, task: "a"}\n  - {step: 2, agent: slow, task: "work", context: none}\n'
    )
    home.up()
    assert wait_for(lambda: (home.path / "calls").exists(), seconds=20)
    home.end(signal.SIGKILL)
    home.up()
    (home.path / "go").touch()
    assert home.settled("p")
    assert (home.path / "calls").read_text().splitlines() == ["work"]
    assert home.glink("output", "p", "2").stdout == "done: work\n"
    assert home.dispatched() == ["1", "2"]


def test_a_poisoned_project_does_not_touch_its_neighbour(home: Home) -> None:
    home.write("bad", "steps: [" + "[" * 5000)
    home.write("good", TWO)
    home.up()
    assert home.settled("good")
    assert home.status("bad")["errors"]


def test_the_second_daemon_exits_75_and_names_the_first(home: Home) -> None:
    home.write("p", TWO)
    home.up()
    assert home.process is not None
    second = home.glink("up", "--once")
    assert second.returncode == 75
    assert str(home.process.pid) in second.stderr


def test_sigterm_leaves_a_running_agent_to_the_next_start(home: Home) -> None:
    (home.path / "glink-config.yaml").write_text(CONFIG + "limits: {grace: 0.2}\n")
    home.write("p", 'steps:\n  - {step: 1, agent: slow, task: "work"}\n')
    home.up()
    assert wait_for(lambda: (home.path / "calls").exists(), seconds=20)
    home.end()
    (home.path / "go").touch()
    assert home.glink("up", "--once").returncode == 0
    assert home.glink("output", "p", "1").stdout == "done: work\n"
    assert home.dispatched() == ["1"]


def test_verbs_work_without_a_daemon_and_exit_honestly(home: Home) -> None:
    home.write("p", TWO)
    assert home.glink("output", "p", "1").returncode == 3
    assert home.glink("run", "p").returncode == 0
    assert home.glink("output", "p", "2").stdout == "one two\n"
    assert home.glink("suspend", "p").returncode == 0
    assert home.status("p")["conditions"][-1]["type"] == "Suspended"
    assert home.glink("resume", "p").returncode == 0
    assert home.glink("run", "nope").returncode == 2
    assert home.glink("retry", "p", "1").returncode == 0
    assert json.loads(home.glink("plan", "p", "--json").stdout)["plans"][0]["steps"][0]["reason"] == "forced"
    why = json.loads(home.glink("why", "p", "1", "--json").stdout)
    assert (why["decision"], why["reason"]) == ("run", "forced")


def test_lock_is_put_right_by_a_daemon_to_which_nothing_happens(home: Home) -> None:
    """At its next look at the files; no event comes of it. The second daemon names the first by it."""
    config = home.path / "glink-config.yaml"
    config.write_text(CONFIG + "limits: {rescan: 0.2}\n")
    home.up()
    lock = home.path / "bus" / "LOCK"
    assert wait_for(lambda: lock.exists() and json.loads(lock.read_bytes())["url"], seconds=20)
    said, events = lock.read_bytes(), home.events()
    lock.unlink()
    assert wait_for(lambda: lock.exists() and lock.read_bytes() == said, seconds=20)
    lock.write_bytes(b'{"pid":1,"url":"http://elsewhere"}')
    assert wait_for(lambda: lock.read_bytes() == said, seconds=20)
    assert home.events() == events
    second = home.glink("up")
    assert second.returncode == 75
    assert json.loads(said)["url"] in second.stderr
