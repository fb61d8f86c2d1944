"""The programs of `run:` steps: a script of the project, run by an interpreter that the operator declared.

The script's file is written into the attempt's folder as it stood in the revision that is being run, and is the
argument after the interpreter's own; its text is never rendered. Values reach it by args, environment, stdin and the
context file. Its stdout is the answer, which may be empty. Costs nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

from glink.agents import adoption, environment, process, verdict
from glink.agents.agent import Adoption, Control, Outcome, Program, Task
from glink.agents.process import Ended, Launch
from glink.agents.program import adopted, anchored, refused_variables, written
from glink.agents.waiting import Attempt
from glink.limits import Limits


class ScriptAgent:
    """Runs the program that a task brings; one serves all interpreters."""

    instant = False
    free = True
    adoptable = True
    foldered = True

    def __init__(self, *, base: Path, limits: Limits) -> None:
        self._base = base
        self._limits = limits

    def run(self, task: Task, control: Control) -> Outcome:
        attempt, program = Attempt.of(task, self._limits), _program_of(task)
        own = {**task.env, **program.env}
        if steering := environment.steering(own):
            return refused_variables(steering)
        argv = anchored(program.exec, self._base)
        try:
            path = written(_script_folder(attempt.folder), _file_name(program.name), program.content)
            env = environment.of_attempt(task, attempt.folder, environment.inherited(program.pass_env), own)
            launch = Launch(
                (*argv, path, *program.args),
                env,
                (program.stdin or "").encode("utf-8", "replace"),
                program.exit_record,
            )
            ended = process.run(attempt, launch, control)
        except (OSError, ValueError) as error:
            return verdict.not_started(error, argv[0], attempt)
        return _judge(ended, attempt)

    def examine(self, folder: Path, *, same_boot: bool) -> Adoption:
        # Not known here whether its interpreter keeps records; one that does not leaves no file of that name.
        return adoption.examine(folder, same_boot=same_boot, record=process.RECORD, synced=False)

    def adopt(self, task: Task, control: Control) -> Outcome:
        attempt = Attempt.of(task, self._limits)
        record = process.RECORD if _program_of(task).exit_record else None
        return _judge(adopted(attempt, control, record), attempt)


def _judge(ended: Ended, attempt: Attempt) -> Outcome:
    return verdict.judge(ended, attempt, may_be_empty=True)


def _program_of(task: Task) -> Program:
    if task.program is None:
        raise ValueError(f"step {task.step} of {task.project} has no program to run")
    return task.program


def _script_folder(folder: Path) -> Path:
    """A folder of its own, so that the script's name cannot be that of a file which the engine keeps here."""
    place = folder / "script"
    place.mkdir(mode=0o700, exist_ok=True)
    return place


def _file_name(name: str) -> str:
    last = os.path.basename(name)
    return last if last not in {"", ".", ".."} else "script"
