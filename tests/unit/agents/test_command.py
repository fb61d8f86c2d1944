"""The kind `command`: its options, how the prompt goes in, what comes back."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from glink.agents import registry
from glink.agents.agent import ErrorClass, Failure, Outcome, Task
from glink.limits import Limits
from glink.roster import AgentSpec
from tests.unit.agents.stage import HERE, a_task, command, run


def _failure(outcome: Outcome) -> Failure:
    assert outcome.failure is not None
    return outcome.failure


def _program(*argv: str, **options: Any):
    return registry.build(AgentSpec("one", "command", {"command": list(argv), **options}), base=HERE)


def _environment(agent, task: Task) -> dict[str, str]:
    assert run(agent, task).failure is None
    lines = (task.folder / "env").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_the_answer_is_stdout_without_the_newline_at_its_end(tmp_path: Path) -> None:
    """One newline goes, as in a shell's `$(…)`, and only one."""
    assert run(command("--say", "a\nb\n\n"), a_task(tmp_path)).output == "a\nb\n"


def test_bytes_that_are_no_text_become_replacement_characters(tmp_path: Path) -> None:
    """Invalid UTF-8, NUL and encoded surrogates are data: they neither fail the step nor reach the bus."""
    assert (
        run(command("--bytes", "61ff00eda0806200"), a_task(tmp_path)).output == "a\ufffd\ufffd\ufffd\ufffd\ufffdb\ufffd"
    )


@pytest.mark.parametrize("said", ["", "\n", " \t\n"])
def test_exit_0_with_nothing_is_not_an_answer(said: str, tmp_path: Path) -> None:
    """Success needs an answer."""
    failure = _failure(run(command("--say", said), a_task(tmp_path)))
    assert (failure.cls, failure.code) == (ErrorClass.INVALID_OUTPUT, "empty")


def test_format_json_answers_with_the_value(tmp_path: Path) -> None:
    """The output is data, not text."""
    assert run(command("--say", '{"a": [1, null]}\n', format="json"), a_task(tmp_path)).output == {"a": [1, None]}


@pytest.mark.parametrize("said", ["{", "NaN", "1e999", '"\\ud800"', "[" * 5_000, "{} {}"])
def test_what_is_not_json_is_invalid_output(said: str, tmp_path: Path) -> None:
    """And says where it stops being JSON."""
    failure = _failure(run(command("--say", said, format="json"), a_task(tmp_path)))
    assert (failure.cls, failure.code) == (ErrorClass.INVALID_OUTPUT, "json")
    assert failure.message.startswith("the answer is not JSON: ")


@pytest.mark.parametrize(
    ("arguments", "cls", "code"),
    [
        (["--exit", "1"], ErrorClass.AGENT_FAILED, "exit-1"),
        (["--exit", "41"], ErrorClass.AUTH, "exit-41"),
        (["--exit", "75"], ErrorClass.TRANSIENT, "exit-75"),
        (["--exit", "126"], ErrorClass.CONFIG, "exit-126"),
        (["--exit", "127"], ErrorClass.CONFIG, "exit-127"),
        (["--exit", "200"], ErrorClass.AGENT_FAILED, "exit-200"),
        (["--die", "9"], ErrorClass.INTERNAL, "signal-9"),
        (["--die", "11"], ErrorClass.INTERNAL, "signal-11"),
    ],
)
@pytest.mark.parametrize("record", [False, True])
def test_how_it_ended_decides_the_class(
    arguments: list[str], cls: ErrorClass, code: str, record: bool, tmp_path: Path
) -> None:
    """By the mapped codes, then by what 126, 127 and signals mean everywhere; the same with a record."""
    agent = command(*arguments, "--say", "x", exit_codes={41: "auth", "75": "transient"}, exit_record=record)
    failure = _failure(run(agent, a_task(tmp_path)))
    assert (failure.cls, failure.code, failure.retry) == (cls, code, False)


def test_the_message_is_the_end_of_stderr_made_harmless(tmp_path: Path) -> None:
    """Control characters, line ends and direction marks are written out; the rest is readable."""
    failure = _failure(run(command("--complain", "läuft\n\x1b[31mnicht\u202e\r\n", "--exit", "3"), a_task(tmp_path)))
    assert failure.message == "exit 3: läuft\\n\\x1b[31mnicht\\u202e"


def test_a_long_message_keeps_its_end(tmp_path: Path) -> None:
    """The last words of a program say most; 2 KiB of them are kept."""
    failure = _failure(run(command("--err-bytes", "50000", "--exit", "3"), a_task(tmp_path)))
    assert failure.message.startswith("exit 3: …x")
    assert len(failure.message.encode()) == Limits().message_bytes


def test_a_program_that_is_not_there_is_a_configuration_error(tmp_path: Path) -> None:
    """Nothing that a retry would cure."""
    failure = _failure(run(_program("no-such-program-anywhere"), a_task(tmp_path)))
    assert (failure.cls, failure.code) == (ErrorClass.CONFIG, "enoent")
    assert failure.message == "cannot start no-such-program-anywhere: No such file or directory"


def test_a_file_that_cannot_be_run_is_a_configuration_error(tmp_path: Path) -> None:
    """Neither without the right to run it nor without a format that the kernel knows."""
    program = tmp_path / "program"
    program.write_text("no program")
    assert _failure(run(_program(str(program)), a_task(tmp_path))).code == "eacces"
    program.chmod(0o700)
    assert _failure(run(_program(str(program)), a_task(tmp_path))).code == "enoexec"


def test_a_missing_program_behind_a_record_is_a_configuration_error(tmp_path: Path) -> None:
    """The line of `sh` around it does not change what it means."""
    failure = _failure(run(_program("no-such-program-anywhere", exit_record=True), a_task(tmp_path)))
    assert (failure.cls, failure.code) == (ErrorClass.CONFIG, "exit-127")


def test_a_folder_that_is_not_there_is_not_the_configurations_fault(tmp_path: Path) -> None:
    """The machine had no place for the attempt; the next one may find it."""
    task = a_task(tmp_path)
    task.folder.rmdir()
    failure = _failure(run(command("--say", "x"), task))
    assert (failure.cls, failure.code) == (ErrorClass.TRANSIENT, "enoent")
    assert failure.message == "cannot use the attempt's folder: No such file or directory"


def test_a_step_without_a_prompt_reads_nothing(tmp_path: Path) -> None:
    """Stdin is at its end at once, never left open."""
    failure = _failure(run(command("--echo"), a_task(tmp_path, "")))
    assert failure.code == "empty"


def test_a_prompt_of_a_megabyte_goes_in_whole(tmp_path: Path) -> None:
    """By an opened file: neither argv nor a pipe's size is in the way."""
    text = "wörds " * 200_000
    assert run(command("--echo"), a_task(tmp_path, text)).output == text


def test_a_prompt_by_file_is_the_last_argument(tmp_path: Path) -> None:
    """For programs that want a path; stdin is empty then."""
    task = a_task(tmp_path, "by file")
    assert run(command("--echo", "--cat", prompt="file"), task).output == "by file"
    assert (task.folder / "prompt").stat().st_mode & 0o777 == 0o600


def test_an_argument_that_begins_with_a_dot_slash_is_the_configs(tmp_path: Path) -> None:
    """Relative to the config's folder, not to the attempt's, which the agent could fill."""
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\necho mine $1\n")
    tool.chmod(0o700)
    agent = registry.build(AgentSpec("one", "command", {"command": ["./tool", "./x"]}), base=tmp_path)
    assert run(agent, a_task(tmp_path)).output == f"mine {tmp_path}/x"


def test_the_environment_is_an_allow_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Declared names, a few that programs need, and what Glink says; nothing else of the engine's environment."""
    for name in ("LC_TIME", "DECLARED", "SECRET", "GLINK_API_TOKEN", "GLINK_OTHER", "TZ"):
        monkeypatch.setenv(name, "set")
    task = a_task(tmp_path, env={"MODE": "fast"})
    agent = command("--record-environment", "env", "--say", "x", env=("DECLARED", "GLINK_API_TOKEN", "ABSENT"))
    found = _environment(agent, task)
    trace = found.pop("TRACEPARENT")
    assert trace.startswith("00-")
    assert len(trace) == 55
    known = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    locale = {name: value for name, value in os.environ.items() if name.startswith("LC_")}
    assert found == {
        **known,
        **locale,
        "TZ": "set",
        "DECLARED": "set",
        "MODE": "fast",
        "GLINK_PROJECT": "shop",
        "GLINK_INSTANCE": "shop",
        "GLINK_STEP": "2",
        "GLINK_FENCE": str(task.fence),
        "GLINK_IDEMPOTENCY_KEY": "k" * 32,
        "GLINK_CONTEXT": f"{task.folder}/context.json",
        "GIT_CEILING_DIRECTORIES": str(tmp_path),
    }


def test_an_instance_is_named_beside_its_project(tmp_path: Path) -> None:
    """The steps of one run share a trace, each attempt has a span of its own."""
    agent = command("--record-environment", "env", "--say", "x")
    one, two = (_environment(agent, replace(a_task(tmp_path), project="shop@v1")) for _ in range(2))
    assert (one["GLINK_PROJECT"], one["GLINK_INSTANCE"]) == ("shop", "shop@v1")
    assert one["TRACEPARENT"].split("-")[1] == two["TRACEPARENT"].split("-")[1]
    assert one["TRACEPARENT"].split("-")[2] != two["TRACEPARENT"].split("-")[2]


@pytest.mark.parametrize("name", ["PATH", "HOME", "LD_PRELOAD", "PYTHONPATH", "BASH_ENV", "GLINK_FENCE", "git_pager"])
def test_a_step_cannot_say_which_program_runs(name: str, tmp_path: Path) -> None:
    """Only the configuration can: a pull request brings no command by way of a variable."""
    failure = _failure(run(command("--say", "x"), a_task(tmp_path, env={name: "x"})))
    assert (failure.cls, failure.code) == (ErrorClass.CONFIG, "env")
    assert failure.message == f"a step cannot set {name}; only the configuration can, under `env`"


def test_a_declared_variable_is_not_a_steps_to_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator's value stands."""
    monkeypatch.setenv("MODEL_KEY", "operators")
    agent = command("--record-environment", "env", "--say", "x", env=("MODEL_KEY",))
    assert _environment(agent, a_task(tmp_path, env={"MODEL_KEY": "steps"}))["MODEL_KEY"] == "operators"


@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
def test_what_no_environment_can_hold_is_said(value: str, tmp_path: Path) -> None:
    """A NUL or half a surrogate pair ends in an outcome, not in an exception."""
    failure = _failure(run(command("--say", "x"), a_task(tmp_path, env={"MODE": value})))
    assert (failure.cls, failure.code) == (ErrorClass.CONFIG, "argument")


def test_too_much_for_an_argv_is_too_large(tmp_path: Path) -> None:
    """The kernel takes 128 KiB a word."""
    failure = _failure(run(command("--say", "x" * 200_000), a_task(tmp_path)))
    assert (failure.cls, failure.code) == (ErrorClass.TOO_LARGE, "e2big")


def test_the_outcome_says_how_long_it_took(tmp_path: Path) -> None:
    """In seconds."""
    assert run(command("--say", "x"), a_task(tmp_path)).seconds > 0


def test_a_process_agent_without_a_folder_is_the_callers_mistake(tmp_path: Path) -> None:
    """No attempt is made in whatever folder happens to be the current one."""
    with pytest.raises(ValueError, match="needs a folder"):
        run(command("--say", "x"), replace(a_task(tmp_path), folder=None))


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({}, "command"),
        ({"command": []}, "command"),
        ({"command": "ls -l"}, "command"),
        ({"command": ["ls", 1]}, "command.1"),
        ({"command": [""]}, "command"),
        ({"command": ["a\0b"]}, "command"),
        ({"command": ["ls"], "shell": True}, "shell"),
        ({"command": ["ls"], "prompt": "argv"}, "prompt"),
        ({"command": ["ls"], "format": "yaml"}, "format"),
        ({"command": ["ls"], "exit_record": "yes"}, "exit_record"),
        ({"command": ["ls"], "exit_codes": {0: "transient"}}, "exit_codes.0.[key]"),
        ({"command": ["ls"], "exit_codes": {256: "transient"}}, "exit_codes.256.[key]"),
        ({"command": ["ls"], "exit_codes": {"x": "transient"}}, "exit_codes.x.[key]"),
        ({"command": ["ls"], "exit_codes": {1: "cancelled"}}, "exit_codes.1"),
        ({"command": ["bash"]}, "command"),
    ],
)
def test_wrong_options_are_refused_by_name(options: dict[str, Any], place: str) -> None:
    """Each error names the key."""
    with pytest.raises(ValidationError) as caught:
        registry.options_model("command").model_validate(options)
    assert [".".join(map(str, error["loc"])) for error in caught.value.errors()] == [place]


def test_a_shell_is_refused_with_what_to_do_instead() -> None:
    """Text of agents must not be run."""
    with pytest.raises(ValidationError, match="bash would run the task as program text; name a script file, or use a"):
        registry.options_model("command").model_validate({"command": ["bash"]})


def test_a_tuple_of_words_is_as_good_as_a_list() -> None:
    """The configuration may be kept frozen."""
    agent = registry.build(AgentSpec("one", "command", {"command": ("/bin/true", "-V")}), base=HERE)
    assert agent.adoptable
