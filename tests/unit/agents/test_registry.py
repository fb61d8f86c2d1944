"""Which kinds there are, and what it costs to know."""

from __future__ import annotations

import subprocess
import sys

import pytest

from glink.agents import registry
from glink.roster import AgentSpec
from tests.unit.agents.stage import HERE


def test_the_kinds_are_named_in_order() -> None:
    """`script` is no kind: a `run:` step names an interpreter, not an agent."""
    assert registry.kinds() == ("command", "echo", "http", "pull", "python")


def test_every_kind_has_closed_strict_options() -> None:
    """An unknown key is refused, values are not converted, wrong values are not repeated in errors."""
    for kind in registry.kinds():
        config = registry.options_model(kind).model_config
        assert (config["strict"], config["extra"], config["hide_input_in_errors"]) == (True, "forbid", True)


@pytest.mark.parametrize("kind", ["", "comand", "script", "Echo"])
def test_an_unknown_kind_is_a_key_error(kind: str) -> None:
    """Which the configuration turns into an error with a suggestion."""
    with pytest.raises(KeyError, match=repr(kind)):
        registry.options_model(kind)
    with pytest.raises(KeyError, match=repr(kind)):
        registry.build(AgentSpec("one", kind), base=HERE)


@pytest.mark.parametrize("module", ["glink.agents.registry", "glink.agents.python_worker", "glink.agents.call"])
def test_no_kind_is_imported_until_it_is_asked_for(module: str) -> None:
    """Neither starting the command line nor starting a worker pays for pydantic or subprocess."""
    code = f"import sys, {module}; print([m for m in sys.modules if m in {{'pydantic', 'subprocess', 'jinja2', 'urllib3'}}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
