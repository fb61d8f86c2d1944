"""Each reason of the closed list is made to occur, and `status`, `plan` and `why` say the same of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from glink.answers.plan import _planned
from glink.answers.why import _told
from glink.errors import Problem
from glink.fold import fold
from glink.limits import Limits
from glink.reconciler.actions import RUNS, Reason
from glink.reconciler.desk import Desk
from glink.reconciler.survey import survey
from glink.roster import CommandSpec
from glink.state import ProjectState
from glink.words import REASONS
from glink.workflow import Workflow
from tests.rig import AGENTS, Rig, step, workflow

ONE_SLOT = AGENTS | {"a": replace(AGENTS["a"], concurrency=1)}
TIME = "2027-01-15T08:00:00.000000Z"
SCRIPT = {"id": "s", "run": {"using": "sh", "text": "echo"}, "after": []}


class Scene:
    """A rig, and what a reader of its bus would think if the files said something else, or more stood on the bus."""

    def __init__(self, path: Path, **more: Any) -> None:
        self.rig = Rig(path, commands={"sh": CommandSpec("sh", ("sh",))}, **more)
        self.wanted: dict[str, Any] = {}

    def see(self, *steps: dict[str, Any], **top: Any) -> Scene:
        self.wanted = workflow("p", *steps, **top)
        self.rig.observe(self.wanted)
        return self

    def settled(self, *fails: str) -> Scene:
        """Everything answers `x`; the first attempts fail with these classes."""
        left = list(fails)
        self.rig.settle(lambda job: Exception(left.pop(0)) if left else "x")
        return self

    def answer(self, step: str, cls: str = "", **more: Any) -> Scene:
        fence = next(fence for fence, job in self.rig.hands.jobs.items() if job.task.step == step)
        if cls:
            self.rig.fail(fence, cls, **more)
        else:
            self.rig.succeed(fence, "y")
        self.rig.turn()
        return self

    def ask(self, verb: str, **arguments: Any) -> Scene:
        self.rig.ask(verb, "p", **arguments)
        return self

    def look(self, *steps: dict[str, Any], event: dict[str, Any] | None = None, seconds: float = 0.0) -> Desk:
        """The project as a verb without a daemon takes it, before any engine acted."""
        state = ProjectState.unpacked(self.rig.state("p").packed())
        if event is not None:
            seq = state.seq + 1
            fold(state, {"seq": seq, "b": seq, "e": 1, "time": TIME, "project": "p", "run": state.runs + 1, **event})  # type: ignore[typeddict-item]
        self.rig.time.at += seconds
        desk = Desk("p", state)
        wanted = workflow("p", *steps) if steps else self.wanted
        desk.seat(Workflow.of(wanted), self.rig.conductor.world, Limits(), self.rig.conductor.books.surroundings)
        return desk


def request(**more: Any) -> dict[str, Any]:
    data = {"cause": "request", "force": False, "params": {}, "by": "test", **more}
    return {"type": "run.requested", "data": data}


A, B = step("a"), step("b", "then", ("a",))


def never_ran(scene: Scene) -> Desk:
    return scene.see(A).settled().look(A, step("n"))


def draining(scene: Scene) -> Desk:
    desk = scene.see(A).settled().look(step("a", "new"))
    scene.rig.conductor.world.draining = True
    return desk


def spec_invalid(scene: Scene) -> Desk:
    scene.see(A).settled()
    return Desk("p", scene.rig.state("p"), problems=(Problem("projects/p.yaml", 1, 1, "", "is no YAML"),))


def bus_corrupt(scene: Scene) -> Desk:
    scene.see(A).settled()
    return Desk("p", scene.rig.state("p"), unknown="the bus is damaged")


def orphaned(scene: Scene) -> Desk:
    scene.see(A).settled()
    scene.rig.observe(gone=("p",))
    return scene.rig.desks["p"]


def stalled(scene: Scene) -> Desk:
    scene.see(step("a", retry={"attempts": 1})).settled("transient")
    scene.ask("run").settled("transient").ask("run").settled("transient")
    return scene.look()


def parent_asked(scene: Scene) -> Desk:
    return scene.see(A, B).settled().look(event=request(steps=["a"]))


def serve_only(scene: Scene) -> Desk:
    scene.rig.conductor.world.serve_only = True
    return scene.see(A).look()


HOLD = {"on_change": "hold"}
MAKE: dict[Reason, tuple[str, Callable[[Scene], Desk]]] = {
    Reason.NEVER_RAN: ("n", never_ran),
    Reason.TASK_CHANGED: ("a", lambda one: one.see(A).settled().look(step("a", "new"))),
    Reason.AGENT_CHANGED: ("a", lambda one: one.see(A).settled().look(step("a", agent="b"))),
    Reason.INPUT_CHANGED: ("a", lambda one: one.see(A).settled().look(step("a", inputs=["x"]))),
    Reason.OUTPUT_CHANGED: ("a", lambda one: one.see(A).settled().look(step("a", output={"format": "json"}))),
    Reason.SCRIPT_CHANGED: ("s", lambda one: one.see(SCRIPT).settled().look(SCRIPT | {"args": ["x"]})),
    Reason.TRIGGERED: ("a", lambda one: one.see(A).settled().look(event=request())),
    Reason.FORCED: ("a", lambda one: one.see(A).settled().look(event=request(force=True))),
    Reason.RETRY_DUE: ("a", lambda one: one.see(A).answer("a", "transient").look(seconds=300)),
    Reason.LOST: ("a", lambda one: one.see(A).answer("a", "lost").look(seconds=300)),
    Reason.UP_TO_DATE: ("a", lambda one: one.see(A).settled().look()),
    Reason.RESTORED: ("a", lambda one: one.see(A).settled().see(step("a", "new")).settled().look(A)),
    Reason.KEPT: ("a", lambda one: one.see(A).settled().look(step("a", "new", on_change="keep"))),
    Reason.CONDITION_FALSE: ("a", lambda one: one.see(step("a", when="false")).look()),
    Reason.UPSTREAM_SKIPPED: ("b", lambda one: one.see(step("a", when="false"), B).look()),
    Reason.ORPHANED: ("a", orphaned),
    Reason.IN_FLIGHT: ("a", lambda one: one.see(A).look()),
    Reason.BACKING_OFF: ("a", lambda one: one.see(A).answer("a", "transient").look()),
    Reason.WAITING_FOR: ("b", parent_asked),
    Reason.UPSTREAM_FAILED: ("b", lambda one: one.see(A, B).answer("a", "refused").look()),
    Reason.NO_SLOT: ("c", lambda one: one.see(A, step("c")).look()),
    Reason.AGENT_COOLING: ("c", lambda one: one.see(A, step("c")).answer("a", "throttled").look()),
    Reason.AGENT_PAUSED: ("a", lambda one: one.see(A).answer("a", "auth").look()),
    Reason.HELD: ("a", lambda one: one.see(step("a", **HOLD)).settled().look(step("a", "new", **HOLD))),
    Reason.SUSPENDED: ("a", lambda one: one.see(A).settled().ask("suspend").look(step("a", "new"))),
    Reason.SERVE_ONLY: ("a", serve_only),
    Reason.OTHER_ENGINE: ("a", lambda one: one.see(step("a", side_effects=True)).look()),
    Reason.SPEC_INVALID: ("a", spec_invalid),
    Reason.BUS_CORRUPT: ("a", bus_corrupt),
    Reason.NO_WORKER: ("a", lambda one: one.see(step("a", agent="nobody")).look()),
    Reason.DRAINING: ("a", draining),
    Reason.STALLED: ("a", stalled),
    Reason.EXHAUSTED: ("a", lambda one: one.see(A).answer("a", "refused").look()),
    Reason.CANCELLED: ("a", lambda one: one.see(A).ask("cancel").look()),
    Reason.UNKNOWN_OUTCOME: ("a", lambda one: one.see(step("a", side_effects=True)).answer("a", "lost").look()),
}
MORE: dict[Reason, dict[str, Any]] = {
    Reason.NO_SLOT: {"agents": ONE_SLOT},
    Reason.AGENT_COOLING: {"agents": ONE_SLOT},
    Reason.UNKNOWN_OUTCOME: {"engine": "prod"},
}
DEEDS = {
    "run": "run", "restore": "stay", "skip": "stay", "hold": "wait", "fail": "wait", "park": "wait", "may run": "wait",
    "stay": "stay", "wait": "wait",
}  # fmt: skip


def test_every_reason_has_a_scene_and_words() -> None:
    assert set(MAKE) == set(Reason) == {Reason(one) for one in REASONS}


@pytest.mark.parametrize("reason", list(Reason))
def test_status_plan_and_why_agree_on_it(reason: Reason, tmp_path: Path) -> None:
    name, make = MAKE[reason]
    scene = Scene(tmp_path / "bus", **MORE.get(reason, {}))
    desk = make(scene)
    now = scene.rig.time.at
    (row,) = [one for one in survey(desk, now).steps if one.step == name]
    assert row.reason == reason
    assert (row.decision == "run") is (reason in RUNS)
    told = _told(row)
    (planned,) = [one for one in _planned(desk, now)["steps"] if one["step"] == name]
    for key in ("reason", "holder", "detail"):
        assert told[key] == planned[key] == getattr(row, key)
    assert DEEDS[planned["decision"]] == told["decision"] == row.decision
    assert REASONS[reason] in told["in_words"]


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Reason.IN_FLIGHT, "running"),
        (Reason.UNKNOWN_OUTCOME, "waiting_person"),
        (Reason.NO_SLOT, "waiting"),
        (Reason.BACKING_OFF, "waiting"),
        (Reason.NEVER_RAN, "queued"),
        (Reason.UPSTREAM_FAILED, "waiting"),
        (Reason.CANCELLED, "cancelled"),
        (Reason.HELD, "succeeded"),
        (Reason.ORPHANED, "succeeded"),
    ],
)
def test_the_status_beside_the_reason_is_where_the_step_stands(reason: Reason, status: str, tmp_path: Path) -> None:
    name, make = MAKE[reason]
    scene = Scene(tmp_path / "bus", **MORE.get(reason, {}))
    (row,) = [one for one in survey(make(scene), scene.rig.time.at).steps if one.step == name]
    assert row.status == status


def test_the_plan_says_when_a_task_cannot_be_rendered_at_the_moment_of_its_dispatch(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "bus").see(A).settled()
    desk = scene.look(step("a", "{{ 1 / (run.number - 2) }}"))
    (row,) = survey(desk, scene.rig.time.at).steps
    assert (row.decision, row.reason) == ("wait", "exhausted")
    assert "division by zero" in row.detail
