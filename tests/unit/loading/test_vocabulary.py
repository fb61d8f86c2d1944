"""The words of a workflow file: what is right passes, what is wrong is named with a cure, nothing is ignored."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from glink.limits import Limits
from glink.loading.document import spell
from glink.loading.salvage import Salvaged, salvage
from glink.loading.vocabulary import Defaults, StepEntry, TriedAgain
from glink.reconciler.policy import RULES

LIMITS = Limits()
STEP = {"step": 1, "agent": "a", "task": "t"}


def of(value: Any) -> Salvaged:
    return salvage(value, LIMITS)


def said(value: Any) -> list[str]:
    found = of(value).mistakes
    return [f"{spell(one.where)}: {one.what}" + (f"; {one.cure}" if one.cure else "") for one in found]


def step(**keys: Any) -> dict[str, Any]:
    return {"steps": [{**STEP, **keys}]}


def test_the_smallest_workflow_is_one_step() -> None:
    """A step, an agent and a task are enough."""
    found = of({"steps": [STEP]})
    assert found.mistakes == []
    assert found.entries[0][1].task == "t"


def test_keys_beginning_with_x_are_free_at_the_top_and_in_steps() -> None:
    """`x-…` is for the author's own notes."""
    assert said({"x-team": {"a": [1]}, "steps": [{**STEP, "x-note": None}]}) == []
    assert said(step(retry={"x-y": 1}))[0].startswith("steps[0].retry.x-y: unknown key")


@pytest.mark.parametrize(
    "key",
    [
        "when",
        "engines",
        "depends_on",
        "schedule",
        "on",
        "instances",
        "budget",
        "finally",
        "concurrency",
        "on_agent_change",
        "on_delete",
        "on_supersede",
    ],
)
def test_what_is_not_built_at_the_top_is_unknown(key: str) -> None:
    """A key that would do nothing is refused, never ignored."""
    assert said({key: {}, "steps": [STEP]})[0].startswith(f"{key}: unknown key")


@pytest.mark.parametrize(
    "key",
    [
        "for_each",
        "key",
        "review",
        "approve",
        "verify",
        "wait",
        "once",
        "max_age",
        "on_supersede",
        "lock",
        "priority",
        "escalate_on",
        "escalate_when",
        "workspace",
        "budget",
        "max_parallel",
        "on_item_error",
    ],
)
def test_what_is_not_built_in_a_step_is_unknown(key: str) -> None:
    """The same holds in steps."""
    assert said(step(**{key: "x"}))[0].startswith(f"steps[0].{key}: unknown key")


def test_values_that_are_not_built_are_refused() -> None:
    """`on_change: next` and lists of agents are not there."""
    assert said({"on_change": "next", "steps": [STEP]}) == ["on_change: must be run, hold or keep"]
    assert said(step(agent=["a", "b"])) == ["steps[0].agent: must be a text, not a list"]


@pytest.mark.parametrize(("written", "id_"), [(0, "0"), (1, "1"), ("1", "1"), ("card", "card"), ("a-b_C9", "a-b_C9")])
def test_ids_are_texts(written: Any, id_: str) -> None:
    """1 and "1" are the same id."""
    assert of(step(step=written)).entries[0][1].step == id_


@pytest.mark.parametrize(
    "written",
    [1.0, True, False, None, -1, "01", "1_0", "-a", "a b", "a.b", "", "a" * 64, "ﬁ", "1\n", [1], {}, "a\u202e"],
)
def test_what_is_no_id_is_refused(written: Any) -> None:
    """Floats, booleans, leading zeros, odd characters and long texts are no ids."""
    found = said(step(step=written))
    assert len(found) == 1
    assert found[0].startswith("steps[0].step: is not the id of a step; write a whole number from 0 on")


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"env": {"PORT": 8080}}, "steps[0].env.PORT: must be a text, not a number; put it in quotes"),
        ({"env": {"A B": "x"}}, 'steps[0].env["A B"]: is not a name of a variable; write letters, digits and _, no digit first'),
        ({"after": 1}, "steps[0].after: must be a list, not a number; write it as a list: [...]"),
        ({"reuse": "no"}, "steps[0].reuse: must be true or false, not a text"),
        ({"reuse": 1}, "steps[0].reuse: must be true or false, not a number"),
        ({"join": "all"}, "steps[0].join: must be all_success, none_failed, one_success or all_done"),
        ({"join": "none_faild"}, 'steps[0].join: must be all_success, none_failed, one_success or all_done; did you mean "none_failed"?'),
        ({"retry": {"attempts": 0}}, "steps[0].retry.attempts: must be 1 or more"),
        ({"retry": {"attempts": 2.5}}, "steps[0].retry.attempts: must be a whole number, not a number"),
        ({"retry": {"attempt": 2}}, 'steps[0].retry.attempt: unknown key; did you mean "attempts"?'),
        ({"retry": 3}, "steps[0].retry: must be a mapping, not a number"),
        ({"timeout": "soon"}, "steps[0].timeout: is not a duration; write a duration such as 90s, 10m, 1h30m, 250ms, or a number of seconds"),
        ({"timeout": {"runs": "1m"}}, 'steps[0].timeout.runs: unknown key; did you mean "run"?'),
        ({"output": {"format": "xml"}}, "steps[0].output.format: must be text or json"),
        ({"output": {"reask": 11}}, "steps[0].output.reask: must be 10 or less"),
        ({"inputs": ["../x"]}, "steps[0].inputs[0]: is not a path inside the project; write it relative to the project's folder, without .."),
        ({"inputs": ["/etc/*"]}, "steps[0].inputs[0]: is not a path inside the project; write it relative to the project's folder, without .."),
        ({"inputs": ["**/**/**/**/x"]}, "steps[0].inputs[0]: has more than 3 `**`; name the folders"),
        ({"artifacts": ["a/../../b"]}, "steps[0].artifacts[0]: is not a path inside the project; write it relative to the project's folder, without .."),
        ({"task": {"fil": "x"}}, 'steps[0].task.fil: unknown key; did you mean "file"?'),
        ({"name": "a\u200bb"}, "steps[0].name: is empty or has invisible characters; write it with visible characters on one line"),
        ({"agent": "a/b"}, "steps[0].agent: is not a name of an agent; write letters, digits, ., _ and - (63 at most)"),
        ({"task": ""}, "steps[0].task: must not be empty"),
        ({"context": "some"}, "steps[0].context: must be all or none"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_what_to_write(keys: dict[str, Any], expected: str) -> None:
    """Where, what and cure, word for word."""
    assert expected in said(step(**keys))


def test_a_misspelt_key_is_one_mistake() -> None:
    """What it was meant to be is not called missing as well."""
    assert said({"steps": [{"stp": 1, "agent": "a", "task": "t"}]}) == [
        'steps[0].stp: unknown key; did you mean "step"?'
    ]


def test_mistakes_in_many_places_are_told_together() -> None:
    """One wrong step does not hide the next, nor the top."""
    value = {"nme": "x", "steps": [{**STEP, "reuse": 1}, 5, {**STEP, "step": 2, "alow_failure": True}]}
    assert said(value) == [
        'nme: unknown key; did you mean "name"?',
        "steps[0].reuse: must be true or false, not a number",
        "steps[1]: must be a mapping, not a number",
        'steps[2].alow_failure: unknown key; did you mean "allow_failure"?',
    ]


@pytest.mark.parametrize("value", [None, [], "x", 5, True, [STEP]])
def test_a_file_that_is_no_mapping_says_what_to_write(value: Any) -> None:
    """A list or a scalar at the top is no workflow."""
    assert said(value) == [": the file must be a mapping; write `steps:` with a list of steps"]


def test_a_workflow_needs_steps_and_not_too_many() -> None:
    """None, an empty list and more than the limit."""
    assert said({"name": "x"}) == ["steps: is missing; add `steps:`"]
    assert said({"steps": []}) == ["steps: has no steps; write a list of steps"]
    many = {"steps": [{**STEP, "step": i} for i in range(1_001)]}
    assert said(many) == ["steps: has more than 1000 steps; split the project, or raise limits.steps"]
    assert said({"steps": {"a": STEP}}) == ["steps: must be a list, not a mapping"]


def test_the_classes_that_may_be_listed_are_those_of_the_policy() -> None:
    """`retry.on` takes exactly what the table of error classes calls listable."""
    assert set(get_args(TriedAgain)) == {str(cls) for cls, rule in RULES.items() if rule.listable}
    for cls, rule in RULES.items():
        assert (said(step(retry={"on": [str(cls)]})) == []) == rule.listable


def test_defaults_take_every_key_of_a_step_but_four() -> None:
    """step, task, run and after belong to one step."""
    assert set(StepEntry.model_fields) - set(Defaults.model_fields) == {"step", "task", "run", "after"}
    assert said({"defaults": {"after": [1]}, "steps": [STEP]})[0].startswith("defaults.after: unknown key")


@pytest.mark.parametrize("key", ["<<", "<x>", "[key]"])
def test_a_key_that_looks_like_a_mark_of_the_validator_is_a_key(key: str) -> None:
    """It is named where it stands, at the top and in a step."""
    assert said({key: {}, "steps": [STEP]})[0].startswith(f'["{key}"]: unknown key')
    assert said(step(**{key: {}}))[0].startswith(f'steps[0]["{key}"]: unknown key')
