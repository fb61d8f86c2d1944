"""The kind `python`: a function's answer, in a worker process and inline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from glink.agents import registry
from glink.agents.agent import Agent, ErrorClass
from glink.limits import Limits
from glink.roster import AgentSpec
from tests.unit.agents.stage import a_task, in_background, kind, run

SMALL = Limits(output_bytes=4_000)
Maker = Callable[[str], Agent]


@pytest.fixture(params=[False, True], ids=["worker", "inline"])
def agent(request: pytest.FixtureRequest) -> Maker:
    def make(function: str) -> Agent:
        call = f"tests.unit.agents.functions:{function}"
        return kind("python", SMALL, call=call, inline=request.param)

    return make


def test_a_dict_is_data(agent: Maker, tmp_path: Path) -> None:
    """The function sees the task; its folder is its working directory and not in the task of a worker."""
    outcome = run(agent("describe"), a_task(tmp_path, env={"MODE": "fast"}))
    assert outcome.failure is None
    assert outcome.output["project"] == "shop"
    assert outcome.output["env"] == {"MODE": "fast"}


def test_a_list_is_data(agent: Maker, tmp_path: Path) -> None:
    """As good as a dict."""
    assert run(agent("rows"), a_task(tmp_path)).output == [1, 2]


def test_what_no_text_can_hold_is_replaced(agent: Maker, tmp_path: Path) -> None:
    """NUL and half a surrogate pair."""
    assert run(agent("nul"), a_task(tmp_path)).output == "a\ufffdb?"


def test_a_refusal_says_what_it_is(agent: Maker, tmp_path: Path) -> None:
    """Class, code and whether to try again are the function's to say."""
    failure = run(agent("refuse"), a_task(tmp_path)).failure
    assert failure is not None
    found = (failure.cls, failure.code, failure.message, failure.retry, failure.retry_at)
    assert found == (ErrorClass.THROTTLED, "quota", "not today", True, 12.5)


@pytest.mark.parametrize(
    ("function", "cls", "code", "message"),
    [
        ("infinite", ErrorClass.INVALID_OUTPUT, "json", "the answer is not JSON: it holds nan"),
        ("number", ErrorClass.INVALID_OUTPUT, "type", "the function returned int; return text, a dict or a list"),
        ("nothing", ErrorClass.INVALID_OUTPUT, "empty", "the answer is empty"),
        (
            "not_json",
            ErrorClass.INVALID_OUTPUT,
            "json",
            "the answer is not JSON: Type is not JSON serializable: object",
        ),
        ("flood", ErrorClass.TOO_LARGE, "output", "the answer has 5000 bytes, over 4000"),
        ("leave", ErrorClass.INTERNAL, "SystemExit", "SystemExit: 3 (functions.py:"),
        ("break_down", ErrorClass.INTERNAL, "ValueError", "ValueError: a\\x1b[31mred\\n (functions.py:"),
        ("absent", ErrorClass.CONFIG, "call", "cannot import tests.unit.agents.functions:absent: module"),
        ("NOT_A_FUNCTION", ErrorClass.CONFIG, "call", "cannot import tests.unit.agents.functions:NOT_A_FUNCTION"),
    ],
)
def test_what_goes_wrong_has_a_class(
    agent: Maker, function: str, cls: ErrorClass, code: str, message: str, tmp_path: Path
) -> None:
    """The same in a worker as inline."""
    failure = run(agent(function), a_task(tmp_path)).failure
    assert failure is not None
    assert (failure.cls, failure.code) == (cls, code)
    assert failure.message.startswith(message)


@pytest.mark.parametrize(
    ("status", "cls", "code"),
    [("0", ErrorClass.INVALID_OUTPUT, "no-record"), ("9", ErrorClass.AGENT_FAILED, "exit-9")],
)
def test_a_worker_that_vanishes_has_no_answer(status: str, cls: ErrorClass, code: str, tmp_path: Path) -> None:
    """It is judged by how it ended, and exit 0 is not an answer."""
    failure = run(kind("python", call="tests.unit.agents.functions:vanish"), a_task(tmp_path, status)).failure
    assert failure is not None
    assert (failure.cls, failure.code) == (cls, code)


@pytest.mark.parametrize(
    "record", ["{}\n", "[]\n", "x\n", '{"failure":{}}\n', '{"failure":7}\n', '{"output":7}\n', '{"output":"x"']
)
def test_a_forged_record_is_data(record: str, tmp_path: Path) -> None:
    """What stands in `result.json` is the agent's word; none of it raises."""
    task = a_task(tmp_path)
    (task.folder / "result.json").write_text(record)
    with in_background(kind("python", call="tests.unit.agents.functions:echo").adopt, task) as background:
        failure = background.outcome().failure
    assert failure is not None
    assert failure.cls in {ErrorClass.INVALID_OUTPUT, ErrorClass.LOST}


def test_a_module_beside_the_config_is_found_but_takes_no_others_place(tmp_path: Path) -> None:
    """The config's folder is looked into last: a `colorsys.py` there is not the standard library's."""
    (tmp_path / "colorsys.py").write_text("raise RuntimeError('taken')\n")
    (tmp_path / "beside.py").write_text("import colorsys\n\ndef call(task):\n    return colorsys.__name__\n")
    spec = AgentSpec("one", "python", {"call": "beside:call"})
    assert run(registry.build(spec, base=tmp_path), a_task(tmp_path)).output == "colorsys"


def test_no_module_comes_from_the_attempts_folder(tmp_path: Path) -> None:
    """What an earlier agent left there is never run."""
    task = a_task(tmp_path, "x")
    (task.folder / "planted.py").write_text("def call(task):\n    return 'planted'\n")
    failure = run(kind("python", call="planted:call"), task).failure
    assert failure is not None
    assert failure.cls is ErrorClass.CONFIG


def test_a_worker_has_no_variable_of_the_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lives by the same allow-list as a command."""
    monkeypatch.setenv("SECRET_OF_THE_ENGINE", "x")
    (tmp_path / "looking.py").write_text("import os\n\ndef call(task):\n    return sorted(os.environ)\n")
    spec = AgentSpec("one", "python", {"call": "looking:call"}, env=())
    found = run(registry.build(spec, base=tmp_path), a_task(tmp_path)).output
    assert "GLINK_FENCE" in found
    assert "SECRET_OF_THE_ENGINE" not in found


def test_inline_a_cancel_is_heard_when_the_function_returns(tmp_path: Path) -> None:
    """Nothing can kill a thread."""
    task = a_task(tmp_path)
    agent = kind("python", call="tests.unit.agents.functions:echo", inline=True)
    with in_background(lambda task, control: (control.cancel(), agent.run(task, control))[1], task) as background:
        failure = background.outcome().failure
    assert failure is not None
    assert failure.cls is ErrorClass.CANCELLED


@pytest.mark.parametrize("call", ["", "module", "module:", ":function", "a b:c", "a:b\n", "os:system('x')", "../a:b"])
def test_a_call_is_a_module_and_a_function(call: str) -> None:
    """Anything else is refused when the configuration is read."""
    with pytest.raises(ValidationError):
        registry.options_model("python").model_validate({"call": call})


def test_its_own_keys_are_a_closed_set() -> None:
    """A misspelt key is an error, not an option that does nothing."""
    options: dict[str, Any] = {"call": "a:b", "in_line": True}
    with pytest.raises(ValidationError, match="in_line"):
        registry.options_model("python").model_validate(options)
