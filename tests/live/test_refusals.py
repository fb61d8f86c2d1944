"""Agents that really say *not now* and *who are you*: cooling and paused, over restarts, until time or a person helps."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from glink.clock import wait_for
from tests.live.test_daemon import Home

ONE = 'steps:\n  - {step: 1, agent: %s, task: "ask", retry: {attempts: 1}}\n'
FUNCTION = """
import time
from pathlib import Path
from glink.agents.agent import ErrorClass
from glink.agents.call import AgentFailed

def ask(task):
    with Path(__file__).with_name("calls").open("a") as calls:
        calls.write(task.project + chr(10))
    if not Path(__file__).with_name("quota").exists():
        raise AgentFailed("quota spent", cls=ErrorClass.THROTTLED, code="429", retry_at=time.time() + %s)
    return "answered"
"""
PROGRAM = '#!/bin/sh\necho x >> "${0%/*}/calls"\n[ "$PAGE_KEY" = good-enough ] || exit 41\necho answered\n'
COMMAND = "agents:\n  keyed: {type: command, command: [./ask.sh], exit_codes: {41: auth}%s}\n"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Home]:
    one = Home(tmp_path)
    yield one
    if one.process is not None:
        one.process.kill()
        one.process.wait(30)


def calls(place: Home) -> int:
    path = place.path / "calls"
    return len(path.read_text().splitlines()) if path.exists() else 0


def reason(place: Home, project: str) -> str:
    answer: str = place.status(project)["steps"][0]["reason"]
    return answer


def waits(place: Home, project: str, *wanted: str) -> bool:
    return wait_for(lambda: reason(place, project) in wanted, seconds=20, every=0.2)


def throttled(place: Home, seconds: int) -> None:
    (place.path / "asking.py").write_text(FUNCTION % seconds)
    (place.path / "glink-config.yaml").write_text('agents:\n  spent: {type: python, call: "asking:ask"}\n')
    for name in ("p", "q"):
        place.write(name, ONE % "spent")


def test_a_rate_limit_cools_the_agent_for_all_also_over_a_kill_and_uses_no_attempt(place: Home) -> None:
    throttled(place, 6)
    place.up()
    assert waits(place, "p", "agent_cooling", "backing_off")
    place.end(signal.SIGKILL)
    asked = calls(place)
    assert asked in (1, 2)
    (place.path / "quota").touch()
    place.up()
    assert place.settled("p")
    assert wait_for(lambda: reason(place, "q") == "up_to_date", seconds=20, every=0.2)
    assert calls(place) == asked + 2
    assert {one["attempt"] for one in place.events() if one["type"] == "step.dispatched"} == {1}
    agents = [one["data"] for one in place.events() if one["type"] == "agent.cooling"]
    assert {one["agent"] for one in agents} == {"spent"}


def test_a_retry_asks_a_cooling_agent_before_its_time(place: Home) -> None:
    throttled(place, 80_000)
    place.up()
    assert waits(place, "p", "agent_cooling", "backing_off")
    (place.path / "quota").touch()
    assert place.glink("retry", "p").returncode == 0
    assert waits(place, "p", "up_to_date")


def test_refused_credentials_pause_over_a_restart_until_the_configuration_helps(
    place: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place.path / "ask.sh").write_text(PROGRAM)
    (place.path / "ask.sh").chmod(0o755)
    (place.path / "glink-config.yaml").write_text(COMMAND % "")
    monkeypatch.setenv("PAGE_KEY", "good-enough")
    place.write("p", ONE % "keyed")
    place.up()
    assert waits(place, "p", "agent_paused")
    assert place.status("p")["health"] == "Degraded"
    assert "mend them, then `glink retry`" in place.glink("why", "p", "1").stdout
    place.end()
    place.up()
    assert waits(place, "p", "agent_paused")
    assert calls(place) == 1
    place.end()
    (place.path / "glink-config.yaml").write_text(COMMAND % ", env: [PAGE_KEY]")
    place.up()
    assert waits(place, "p", "up_to_date")
    assert calls(place) == 2
    assert {one["attempt"] for one in place.events() if one["type"] == "step.dispatched"} == {1}
    assert "good-enough" not in (place.path / "bus" / "events").joinpath("00000000000000000001.jsonl").read_text()


def test_a_retry_asks_a_paused_agent_again(place: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    (place.path / "ask.sh").write_text(PROGRAM)
    (place.path / "ask.sh").chmod(0o755)
    (place.path / "glink-config.yaml").write_text(COMMAND % ", env: [PAGE_KEY]")
    place.write("p", ONE % "keyed")
    assert place.glink("run", "p").returncode == 1
    assert reason(place, "p") == "agent_paused"
    monkeypatch.setenv("PAGE_KEY", "good-enough")
    assert place.glink("retry", "p", "1").returncode == 0
    assert place.glink("up", "--once").returncode == 0
    assert calls(place) == 2
