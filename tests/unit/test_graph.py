"""The order of steps."""

from __future__ import annotations

from graphlib import TopologicalSorter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glink.graph import CycleError, Graph

STEPS = st.integers(0, 12).flatmap(
    lambda count: st.tuples(*(st.lists(st.integers(0, max(step - 1, 0)), max_size=4) for step in range(count)))
)


def named(parents: tuple[list[int], ...]) -> dict[str, list[str]]:
    return {str(step): [str(one) for one in before if one != step] for step, before in enumerate(parents)}


@given(STEPS)
def test_steps_that_follow_what_they_wait_for_are_in_the_order_of_graphlib(parents: tuple[list[int], ...]) -> None:
    steps = named(parents)
    graph = Graph(steps)
    assert graph.order == tuple(TopologicalSorter(steps).static_order())
    assert all(graph.rank[parent] < graph.rank[step] for step, before in steps.items() for parent in before)


@given(STEPS, st.randoms(use_true_random=False))
def test_whatever_the_order_in_the_file_no_step_stands_before_one_it_waits_for(
    parents: tuple[list[int], ...], chance: object
) -> None:
    steps = list(named(parents).items())
    chance.shuffle(steps)  # type: ignore[attr-defined]
    graph = Graph(dict(steps))
    free = [step for step, before in steps if not before]
    assert list(graph.order[: len(free)]) == free
    assert all(graph.rank[parent] < graph.rank[step] for step, before in steps for parent in before)
    assert {*graph.order} == {step for step, _ in steps}


def test_a_circle_is_told_from_its_first_step_to_itself() -> None:
    with pytest.raises(CycleError) as told:
        Graph({"a": [], "b": ["a", "d"], "c": ["b"], "d": ["c"]})
    circle = told.value.circle
    assert circle[0] == circle[-1]
    assert {*circle} == {"b", "c", "d"}
    waits_for = {"b": "d", "c": "b", "d": "c"}
    assert [waits_for[one] for one in circle[:-1]] == circle[1:]
    with pytest.raises(CycleError) as told:
        Graph({"a": ["a"]})
    assert told.value.circle == ["a", "a"]
