"""Every file of tests/plans is one case; see the README there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from glink.errors import Refused
from glink.reconciler.plan import waits_for
from tests.rig import AGENTS, Rig, step, workflow

CASES = sorted(Path(__file__).parents[2].joinpath("plans").glob("*.yaml"))


class Story:
    """Plays one case."""

    def __init__(self, case: dict[str, Any], path: Path) -> None:
        self.path, self.engine = path, case.get("engine")
        busy = case.get("busy", {})
        self.agents = {name: replace(one, concurrency=busy.get(name)) for name, one in AGENTS.items()}
        self.steps = {one["id"]: _step(one) for one in case["steps"]}
        self.top: dict[str, Any] = {}
        self.rig = Rig(path, agents=self.agents, engine=self.engine)
        self.seen_jobs = self.seen_records = 0
        self._observe()

    def _observe(self) -> None:
        self.rig.observe(workflow("p", *self.steps.values(), **self.top))

    def edit(self, changes: dict[str, Any]) -> None:
        for name, change in changes.items():
            known = self.steps.get(name)
            self.steps[name] = {**known, **change} if known else _step({"id": name, **change})
        self._observe()

    def remove(self, names: list[str]) -> None:
        for name in names:
            del self.steps[name]
        self._observe()

    def rename(self, names: dict[str, str]) -> None:
        self.steps = {names.get(name, name): {**one, "id": names.get(name, name)} for name, one in self.steps.items()}
        self._observe()

    def gone(self, _: bool) -> None:
        self.rig.observe(gone=("p",))

    def settle(self, answers: dict[str, Any]) -> None:
        queues = {name: list(given) if isinstance(given, list) else given for name, given in answers.items()}

        def answer(job: Any) -> Any:
            given = queues.get(job.task.step)
            if isinstance(given, list):
                given = given.pop(0) if given else None
            return Exception(given["fail"]) if isinstance(given, dict) else given

        self.rig.settle(answer)

    def answer(self, answers: dict[str, Any]) -> None:
        for name, given in answers.items():
            fence = next(fence for fence, job in self.rig.hands.jobs.items() if job.task.step == name)
            if isinstance(given, dict):
                more = {"retry_at": self.rig.time.at + given["retry_at"]} if "retry_at" in given else {}
                self.rig.fail(fence, given["fail"], **more)
            else:
                self.rig.succeed(fence, given)
        self.rig.turn()

    def ask(self, asked: list[Any]) -> None:
        self.rig.ask(asked[0], "p", **asked[1])

    def refused(self, asked: list[Any]) -> None:
        with pytest.raises(Refused) as caught:
            self.rig.ask(asked[0], "p", **asked[1])
        assert str(caught.value) == asked[2]

    def restart(self, _: bool) -> None:
        self.rig.close()
        self.rig = Rig(self.path, agents=self.agents, engine=self.engine, time=self.rig.time)
        self.seen_jobs = self.seen_records = 0
        self._observe()

    def wait(self, seconds: float) -> None:
        self.rig.time.at += seconds
        self.rig.turn()
        self.rig.conductor.turn(0)
        self.rig.turn()

    def agents_(self, changes: dict[str, Any]) -> None:
        for name, change in changes.items():
            self.agents[name] = replace(self.agents[name], **change)

    def dispatched(self, expected: list[str]) -> None:
        names = self.rig.dispatched()
        assert names[self.seen_jobs :] == expected
        self.seen_jobs = len(names)

    def events(self, expected: list[str]) -> None:
        types = self.rig.types()
        assert types[self.seen_records :] == expected
        self.seen_records = len(types)

    def reasons(self, expected: dict[str, str]) -> None:
        assert {name: self.rig.reason("p", name) for name in expected} == expected

    def because(self, expected: dict[str, str]) -> None:
        assert {name: self.rig.state("p").steps[name].reason for name in expected} == expected

    def waits(self, expected: dict[str, str]) -> None:
        board = self.rig.desks["p"].board
        assert board is not None
        assert {name: str(waits_for(board, name)[0]) for name in expected} == expected

    def prompts(self, expected: dict[str, str]) -> None:
        newest = {job.task.step: job.task.bare if job.task.context else job.task.text for job in self.rig.hands.started}
        assert {name: newest[name] for name in expected} == expected

    def run(self, expected: str | None) -> None:
        state = self.rig.state("p")
        assert (None if state.run is not None else state.settled.status) == expected


def _step(values: dict[str, Any]) -> dict[str, Any]:
    known = {"id", "task", "after"}
    more = {key: value for key, value in values.items() if key not in known}
    return step(values["id"], values["task"], tuple(values.get("after", ())), **more)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_plan_does_as_the_case_says(path: Path, tmp_path: Path) -> None:
    case = yaml.safe_load(path.read_text())
    story = Story(case, tmp_path / "bus")
    for number, line in enumerate(case["story"], 1):
        ((verb, given),) = line.items()
        play: Callable[[Any], None] = getattr(story, "agents_" if verb == "agents" else verb)
        try:
            play(given)
        except AssertionError as error:
            raise AssertionError(f"{case['says']}\nstory line {number}: {line}\n{error}") from error
    story.rig.close()


def test_there_are_cases() -> None:
    """A folder that is not found must not pass for one that is right."""
    assert len(CASES) > 30
