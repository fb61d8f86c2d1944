"""The kind `echo`: for trying things out and for rehearsals."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from glink.agents import registry
from glink.agents.agent import ErrorClass
from tests.unit.agents.stage import a_task, in_background, kind, run


def test_it_answers_without_the_appended_context(tmp_path: Path) -> None:
    """The task's own text, as rendered."""
    assert run(kind("echo"), a_task(tmp_path, "Say hello\n\ncontext", bare="Say hello")).output == "Say hello"


def test_only_without_a_delay_is_it_instant() -> None:
    """The conductor must not stand still."""
    assert kind("echo").instant
    assert kind("echo", fail="no").instant
    assert not kind("echo", delay="1ms").instant


@pytest.mark.parametrize("cls", list(ErrorClass))
def test_it_fails_as_any_class(cls: ErrorClass, tmp_path: Path) -> None:
    """So that each class can be rehearsed."""
    failure = run(kind("echo", fail=cls.value), a_task(tmp_path)).failure
    assert failure is not None
    assert (failure.cls, failure.code) == (cls, "rehearsal")


def test_it_fails_with_a_message(tmp_path: Path) -> None:
    """What is no class is said."""
    failure = run(kind("echo", fail="not\ntoday"), a_task(tmp_path)).failure
    assert failure is not None
    assert (failure.cls, failure.message) == (ErrorClass.AGENT_FAILED, "not\\ntoday")


def test_a_delayed_one_ends_with_its_engine(tmp_path: Path) -> None:
    """It comes back at once when the engine goes."""
    with in_background(kind("echo", delay="10m").run, a_task(tmp_path)) as background:
        background.control.detach()
        failure = background.outcome().failure
    assert failure is not None
    assert failure.code == "detached"


@pytest.mark.parametrize("options", [{"delay": "soon"}, {"delay": -1}, {"fail": ""}, {"fial": "x"}, {"delay": True}])
def test_wrong_options_are_refused(options: dict[str, object]) -> None:
    """Strictly."""
    with pytest.raises(ValidationError):
        registry.options_model("echo").model_validate(options)
