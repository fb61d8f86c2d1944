"""A batch has an end: what a pass cannot take any more is taken by the next one, whoever has so much to say."""

from __future__ import annotations

from pathlib import Path

import pytest

from glink.limits import Limits
from glink.reconciler.inbox import Request
from tests.rig import Rig, outcome, step, workflow

MANY = 64


def wide(text: str) -> dict[str, object]:
    return workflow("p", *(step(f"s{number}", f"{number}{text}") for number in range(MANY)))


@pytest.mark.parametrize(
    ("length", "limits"),
    [(16_000, Limits()), (16_000, Limits(batch_bytes=1 << 19)), (48_000, Limits(inline_bytes=48 << 10))],
)
def test_tasks_and_the_answers_to_them_that_come_at_once(tmp_path: Path, length: int, limits: Limits) -> None:
    rig = Rig(tmp_path / "bus", limits=limits, at_once=outcome)
    rig.observe(wide("x" * length))
    rig.settle()
    assert (rig.types().count("step.succeeded"), rig.types()[-1]) == (MANY, "run.settled")
    rig.close()


def test_answers_that_come_together(tmp_path: Path) -> None:
    """They are taken in their order, and a request behind them is answered once it is its turn."""
    rig = Rig(tmp_path / "bus", limits=Limits(batch_bytes=1 << 19))
    rig.observe(wide(""))
    request = Request(verb="suspend", project="p")
    for fence in sorted(rig.hands.jobs):
        rig.succeed(fence, "y" * 15_000)
    rig.inbox.put(request)
    rig.conductor.turn(0)
    assert 0 < rig.types().count("step.succeeded") < MANY
    assert (rig.conductor._patience(), request.done.is_set()) == (0, False)
    rig.turn()
    request.wait(0)
    assert [one["fence"] for one in rig.records if one["type"] == "step.succeeded"] == sorted(
        one["seq"] for one in rig.records if one["type"] == "step.dispatched"
    )
    rig.close()
