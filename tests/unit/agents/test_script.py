"""`run:` steps: a script of the project with an interpreter of the operator's."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from glink.agents import registry
from glink.agents.agent import ErrorClass, Outcome, Program, Task
from tests.unit.agents.stage import HERE, a_program, a_task, run


def _run(task: Task) -> Outcome:
    return run(registry.build_script(base=HERE), task)


def test_it_is_run_as_it_stands_in_the_revision(tmp_path: Path) -> None:
    """Its text is never rendered, its arguments are words, its stdin is what the step says."""
    content = b"import sys\nprint('{{ params.x }}', sys.argv[1:], sys.stdin.read())\n"
    program = Program((sys.executable, "-I"), "tools/show.py", content, ("a b", "$(id)"), stdin="in")
    outcome = _run(a_task(tmp_path, "not handed over", program=program))
    assert outcome.output == "{{ params.x }} ['a b', '$(id)'] in"


def test_an_empty_answer_is_one(tmp_path: Path) -> None:
    """A script may be there for what it does, or for the files it makes."""
    outcome = _run(a_task(tmp_path, program=a_program()))
    assert (outcome.output, outcome.failure) == ("", None)


def test_no_stdin_is_an_empty_one(tmp_path: Path) -> None:
    """The task's text is not put there."""
    assert _run(a_task(tmp_path, program=a_program("--echo"))).output == ""


def test_its_variables_come_from_the_step_and_from_what_the_operator_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And from nowhere else."""
    monkeypatch.setenv("PASSED", "yes")
    monkeypatch.setenv("NOT_PASSED", "no")
    program = a_program("--record-environment", "env", env={"CITY": "Shanghai"}, pass_env=("PASSED",))
    task = a_task(tmp_path, program=program, env={"OWN": "1"})
    _run(task)
    names = {line.split("=")[0] for line in (task.folder / "env").read_text().splitlines()}
    assert {"CITY", "PASSED", "OWN", "GLINK_CONTEXT"} <= names
    assert "NOT_PASSED" not in names


def test_it_cannot_set_what_steers_its_interpreter(tmp_path: Path) -> None:
    """A sandbox in front of the interpreter would be steered as well."""
    failure = _run(a_task(tmp_path, program=a_program(env={"LD_PRELOAD": "x"}))).failure
    assert failure is not None
    assert (failure.cls, failure.code) == (ErrorClass.CONFIG, "env")


def test_an_exit_code_is_agent_failed(tmp_path: Path) -> None:
    """With the end of its stderr."""
    failure = _run(a_task(tmp_path, program=a_program("--exit", "2", "--complain", "no shops"))).failure
    assert failure is not None
    assert (failure.cls, failure.code, failure.message) == (ErrorClass.AGENT_FAILED, "exit-2", "exit 2: no shops")


@pytest.mark.parametrize("name", ["", "..", "a/..", "stdout", "/etc/passwd", "alive"])
def test_its_name_cannot_leave_its_folder_nor_hide_a_file_of_the_engines(name: str, tmp_path: Path) -> None:
    """It has a folder of its own."""
    task = a_task(tmp_path, program=replace(a_program("--say", "x"), name=name))
    assert _run(task).output == "x"
    (only,) = (task.folder / "script").iterdir()
    assert only.read_bytes() == task.program.content


def test_an_interpreter_may_stand_beside_the_config(tmp_path: Path) -> None:
    """`./` is the config's folder."""
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\necho by $0\n")
    tool.chmod(0o700)
    task = a_task(tmp_path, program=Program(("./tool",), "x.txt", b""))
    assert run(registry.build_script(base=tmp_path), task).output == f"by {tmp_path}/tool"


def test_a_step_without_a_program_is_the_callers_mistake(tmp_path: Path) -> None:
    """Nothing is run in its place."""
    with pytest.raises(ValueError, match="has no program to run"):
        _run(a_task(tmp_path))


def test_it_costs_nothing() -> None:
    """Brakes and prices pass it by."""
    assert registry.build_script(base=HERE).free
