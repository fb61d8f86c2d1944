"""The board's own promise: whatever became of the dirty steps, a refresh ends where a board built from nothing begins."""

from __future__ import annotations

from pathlib import Path

from glink.fold import fold
from tests.property.test_convergence import fresh_board, thoughts
from tests.rig import Rig, step, workflow

DIAMOND = workflow(
    "p", step("a"), step("b", "two", ("a",)), step("c", "three", ("a",)), step("d", "four", ("b", "c")), step("e")
)


def test_steps_behind_one_that_is_wanted_again_wait_for_it(tmp_path: Path) -> None:
    """A parent that was final is not any more: all behind it wait, and are decided anew once it has answered."""
    rig = Rig(tmp_path / "bus")
    rig.observe(DIAMOND)
    rig.settle()
    desk, state = rig.desks["p"], rig.state("p")
    board = desk.board
    assert board is not None
    data = {"cause": "retry", "force": False, "params": {}, "steps": ["a"], "by": "test"}
    fold(state, {"seq": state.seq + 1, "b": 1, "e": 1, "time": state.changed, "type": "run.requested", "project": "p",
                 "run": state.runs + 1, "data": data})  # fmt: skip
    board.refresh({"a"}, rig.time.at)
    assert {name: str(one.reason) for name, one in board.decisions.items()} == {
        "a": "forced", "b": "waiting_for", "c": "waiting_for", "d": "waiting_for", "e": "up_to_date"
    }  # fmt: skip
    full = fresh_board(rig, desk)
    full.refresh(None, rig.time.at)
    assert (thoughts(board), board.unmet, board.open) == (thoughts(full), full.unmet, full.open)
    state.steps["a"].floor = 0
    board.refresh({"a"}, rig.time.at)
    assert (set(board.unmet.values()), board.open) == ({0}, 0)
