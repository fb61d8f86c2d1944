"""Whether a failure is the last word: asked of the real conductor, at the moment in which reporters hear of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from glink.event import Record
from glink.reporters.outlook import Outlook
from tests.rig import AGENTS, Rig, step, workflow

QUICK = {"retry": {"attempts": 2, "delay": 1.0, "jitter": False}}


class Heard:
    """A rig whose failures are looked at as they are told."""

    def __init__(self, path: Path) -> None:
        self.rig = Rig(path, agents={name: replace(one) for name, one in AGENTS.items()}, engine="prod")
        self.outlook = Outlook(self.rig.desks, self.rig.conductor.world)
        self.said: list[tuple[str, bool]] = []
        self.rig.conductor.listeners.append(self.hear)

    def hear(self, records: list[Record]) -> None:
        self.said += [
            (one["data"]["class"], self.outlook.is_last(one)) for one in records if one["type"] == "step.failed"
        ]

    def fail(self, cls: str = "transient", code: str = "x") -> None:
        """The newest attempt fails; time passes until the next is made, if there is one."""
        self.rig.fail(max(self.rig.hands.jobs), cls, code)
        self.rig.turn()
        if not self.rig.hands.jobs and self.rig.conductor._timers:
            self.rig.time.at = self.rig.conductor._timers[0][0]
            self.rig.turn()


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[Heard]:
    found = Heard(tmp_path / "bus")
    yield found
    found.rig.close(clean=False)


def begin(heard: Heard, **more: object) -> None:
    heard.rig.observe(workflow("p", step("1", **{**QUICK, **more}), labels={"team": "a"}))


def test_a_failure_is_the_last_when_its_tries_are_used_up(heard: Heard) -> None:
    """Not before."""
    begin(heard)
    heard.fail()
    heard.fail()
    assert heard.said == [("transient", False), ("transient", True)]


@pytest.mark.parametrize(
    ("cls", "more", "last"),
    [
        ("agent_failed", {}, True),
        ("config", {}, True),
        ("throttled", {}, False),
        ("auth", {}, False),
        ("cancelled", {}, True),
        ("transient", {"side_effects": True}, True),
        ("config", {"side_effects": True}, True),
        ("agent_failed", {"retry": {"on": ["agent_failed"]}}, False),
    ],
)
def test_the_class_decides_as_it_does_for_the_step(
    cls: str, more: Mapping[str, object], last: bool, heard: Heard
) -> None:
    """An agent that is paused is told of by itself; a step with side effects waits for a person."""
    begin(heard, **more)
    heard.rig.fail(max(heard.rig.hands.jobs), cls, "y")
    heard.rig.turn()
    assert heard.said == [(cls, last)]


def test_a_task_that_cannot_be_rendered_has_failed_for_good(heard: Heard) -> None:
    """No agent saw it."""
    begin(heard, task="{{ params.city }}")
    assert heard.said == [("template", True)]


def test_a_project_that_is_gone_is_not_tried_again(heard: Heard) -> None:
    """Whatever its steps say."""
    begin(heard)
    heard.rig.observe(gone=("p",))
    heard.rig.fail(max(heard.rig.hands.jobs))
    heard.rig.turn()
    assert heard.said == [("transient", True)]
    assert heard.outlook.labels("p") == {}


def test_labels_are_those_of_the_workflow(heard: Heard) -> None:
    begin(heard)
    assert heard.outlook.labels("p") == {"team": "a"}
    assert heard.outlook.labels("q") == {}
