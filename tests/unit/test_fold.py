"""The fold is total: what does not fit changes nothing and is counted."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from glink.event import ENGINE_TYPES
from glink.fold import fold
from glink.state import NOTHING, ProjectState

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def record(seq: int, kind: str, **more: Any) -> Any:
    return {"seq": seq, "b": 1, "e": 1, "time": "2026-11-24T00:00:00.000000Z", "type": kind, "project": "p", **more}


def dispatched() -> ProjectState:
    """A project with step 1 in flight under fence 2."""
    state = ProjectState("p")
    given_away = {
        "reason": "never_ran", "agent": "a", "generation": 1, "definition": "d", "key": "k", "fingerprint": {"task": "t"},
    }  # fmt: skip
    fold(state, record(2, "step.dispatched", run=1, step="1", attempt=1, data=given_away))
    return state


def test_a_result_with_a_stale_fence_changes_nothing_but_the_count() -> None:
    state = dispatched()
    fold(state, record(3, "step.succeeded", run=1, step="1", fence=1, data={"digest": "x", "output": "stale"}))
    assert (state.steps["1"].fence, state.steps["1"].answer, state.ignored) == (2, None, 1)
    fold(state, record(4, "step.succeeded", run=1, step="1", fence=2, data={"digest": "x", "output": "paid"}))
    answer = state.steps["1"].answer
    assert answer is not None
    assert (state.steps["1"].fence, answer.output, state.ignored) == (0, "paid", 1)


def test_a_record_counts_once() -> None:
    state = dispatched()
    before = state.packed()
    fold(state, record(2, "project.suspended", data={}))
    assert state.packed() == before


@given(st.sampled_from(sorted(ENGINE_TYPES)), JSON, st.sampled_from(["1", "2"]), st.integers(0, 5))
def test_no_record_of_any_shape_raises(kind: str, data: Any, step: str, fence: int) -> None:
    state = dispatched()
    fold(state, record(9, kind, run=1, step=step, fence=fence, attempt=1, data=data))
    assert state.seq == 9


def test_a_checkpoint_gives_back_what_was_packed() -> None:
    state = dispatched()
    fold(state, record(3, "step.succeeded", run=1, step="1", fence=2, data={"digest": "x", "output": {"a": [1]}}))
    again = ProjectState.unpacked(state.packed())
    assert again == state
    (step,) = again.steps.values()
    assert step.answer is not None
    assert step.fingerprint is step.answer.fingerprint  # kept once, as when it was folded
    assert step.key is step.answer.key


def test_answers_without_files_hold_no_mapping_of_their_own() -> None:
    state = dispatched()
    fold(state, record(3, "step.succeeded", run=1, step="1", fence=2, data={"digest": "x", "output": "paid"}))
    for one in (state, ProjectState.unpacked(state.packed())):
        answer = one.steps["1"].answer
        assert answer is not None
        assert answer.artifacts is NOTHING
        assert answer.usage is NOTHING
