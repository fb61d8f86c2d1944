"""`glink schema` prints what the loader holds files against."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from glink.limits import Limits
from glink.loading.salvage import salvage
from glink.loading.schema import workflow_schema

STEP = {"step": 1, "agent": "a", "task": "t"}


def step(**keys: Any) -> dict[str, Any]:
    return {"steps": [{**STEP, **keys}]}


def test_the_schema_is_a_schema() -> None:
    """It holds against the metaschema."""
    Draft202012Validator.check_schema(workflow_schema())


@pytest.mark.parametrize(
    "value",
    [
        {"steps": [STEP]},
        {"name": "x", "labels": {"team": "a"}, "mode": "parallel", "x-own": 1, "suspend": True, "steps": [STEP]},
        {"params": {"city": "Shanghai", "n": {"type": "integer", "default": 1, "minimum": 1}}, "steps": [STEP]},
        step(step="card", timeout="10m"),
        step(timeout=5),
        step(timeout={"run": "1h30m", "idle": "250ms"}, retry={"attempts": 3, "delay": "5s", "on": ["timeout"]}),
        step(task={"file": "t.md"}, output={"format": "json", "schema": "s.json", "reask": 2}),
        step(output={"schema": {"type": "array"}}, **{"x-note": [1], "with": {"model": "m"}}),
        {"steps": [{"step": 1, "run": {"file": "a.py", "with": "python"}, "args": ["x"]}]},
        {"defaults": {"agent": "a"}, "steps": [{"step": 1, "task": "t"}]},
    ],
)
def test_what_the_loader_takes_the_schema_takes(value: Any) -> None:
    """Both forms of durations, tasks, schemas and parameters, and the free keys."""
    assert salvage(value, Limits()).mistakes == []
    assert list(Draft202012Validator(workflow_schema()).iter_errors(value)) == []


@pytest.mark.parametrize(
    "value",
    [
        {"steps": [STEP], "nme": "x"},
        {"name": "x"},
        step(step=-1),
        step(step="01"),
        step(timeout="soon"),
        step(env={"A": 1}),
        step(after=1),
        step(output={"format": "xml"}),
        step(on_change="next"),
        step(retry={"on": ["auth"]}),
        step(lock="x"),
    ],
)
def test_what_the_loader_refuses_the_schema_refuses(value: Any) -> None:
    """An editor marks it before it is saved."""
    assert salvage(value, Limits()).mistakes != []
    assert list(Draft202012Validator(workflow_schema()).iter_errors(value)) != []
