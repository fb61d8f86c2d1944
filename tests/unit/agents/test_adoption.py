"""Attempts that outlive their engine: what is seen of them, and how they are brought home."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from glink.agents import alive, registry
from glink.agents.agent import Adoption, Agent, ErrorClass, Failure, Outcome, Task
from glink.limits import Limits
from glink.testing.control import ManualControl
from tests.unit.agents.stage import FAKE, HERE, a_program, a_task, command, in_background, is_running, kind, until

QUICK = Limits(kill_after=0.3, look=0.02)
WAITING = ("--touch", "started", "--wait-for", "go", "--say", "late")


def _left_running(agent: Agent, task: Task) -> int:
    """Start the attempt and go away; its pid."""
    with in_background(agent.run, task) as background:
        until((task.folder / "started").exists)
        background.control.detach()
        background.outcome()
    pid = alive.look(task.folder).pid
    assert pid is not None
    return pid


def _finished(agent: Agent, task: Task) -> None:
    """Start the attempt, go away, and have it end with nobody looking."""
    pid = _left_running(agent, task)
    (task.folder / "go").touch()
    os.waitpid(pid, 0)


def _adopt(agent: Agent, task: Task) -> Outcome:
    with ManualControl() as control:
        return agent.adopt(task, control)


def _failure(outcome: Outcome) -> Failure:
    assert outcome.failure is not None
    return outcome.failure


def test_one_that_runs_is_waited_for_and_judged(tmp_path: Path) -> None:
    """Paid work is not paid twice: the answer of the process that lived on is the answer."""
    task, agent = a_task(tmp_path), command(*WAITING, limits=QUICK, exit_record=True)
    pid = _left_running(agent, task)
    assert agent.examine(task.folder, same_boot=True) is Adoption.RUNNING
    with in_background(agent.adopt, task) as background:
        assert background.working
        (task.folder / "go").touch()
        assert background.outcome().output == "late"
    os.waitpid(pid, 0)


def test_one_that_finished_meanwhile_is_judged_by_its_record(tmp_path: Path) -> None:
    """The exit code that the record holds counts as if it had been seen."""
    for code, expected in ((0, None), (3, "exit-3"), (127, "exit-127")):
        task, agent = a_task(tmp_path), command(*WAITING, "--exit", str(code), limits=QUICK, exit_record=True)
        _finished(agent, task)
        assert agent.examine(task.folder, same_boot=True) is Adoption.FINISHED
        outcome = _adopt(agent, task)
        assert (outcome.failure.code if outcome.failure else None) == expected
        assert (outcome.output == "late") == (expected is None)


def test_a_kill_stands_in_the_record_as_well(tmp_path: Path) -> None:
    """An agent that a signal ended is not taken for one that answered."""
    task, agent = a_task(tmp_path), command(*WAITING, "--die", "9", limits=QUICK, exit_record=True)
    _finished(agent, task)
    assert _failure(_adopt(agent, task)).code == "signal-9"


def test_without_a_record_a_finished_one_is_lost(tmp_path: Path) -> None:
    """Nobody saw its exit code, so its output is not believed."""
    task, agent = a_task(tmp_path), command(*WAITING, limits=QUICK)
    _finished(agent, task)
    assert agent.examine(task.folder, same_boot=True) is Adoption.LOST
    assert _failure(_adopt(agent, task)).cls is ErrorClass.LOST


def test_without_a_record_a_running_one_is_waited_for_before_it_is_lost(tmp_path: Path) -> None:
    """Two of one step at work at a time is worse than one lost answer."""
    task, agent = a_task(tmp_path), command(*WAITING, limits=QUICK)
    pid = _left_running(agent, task)
    assert agent.examine(task.folder, same_boot=True) is Adoption.RUNNING
    with in_background(agent.adopt, task) as background:
        assert background.working
        (task.folder / "go").touch()
        assert _failure(background.outcome()).cls is ErrorClass.LOST
    os.waitpid(pid, 0)


@pytest.mark.parametrize("bound", ["run", "idle"])
def test_an_adopted_one_has_its_full_time_again_and_no_more(bound: str, tmp_path: Path) -> None:
    """Past it the process is ended, though it is nobody's child here."""
    task = a_task(tmp_path)
    agent = command("--ignore-term", *WAITING, limits=QUICK)
    pid = _left_running(agent, task)
    assert _failure(_adopt(agent, replace(task, **{f"{bound}_seconds": 0.05}))).code == bound
    until(lambda: not is_running(pid))


def test_an_adopted_one_hears_a_cancel(tmp_path: Path) -> None:
    """Also the children that it had before the engine changed."""
    task = a_task(tmp_path)
    agent = command("--child", "session", *WAITING, limits=QUICK)
    pid = _left_running(agent, task)
    until((task.folder / "child").exists)
    with in_background(agent.adopt, task) as background:
        background.control.cancel()
        assert _failure(background.outcome()).cls is ErrorClass.CANCELLED
    assert not is_running(pid)
    assert not is_running(int((task.folder / "child").read_text()))


def test_an_adopted_one_can_be_left_running_once_more(tmp_path: Path) -> None:
    """An engine that was restarted may be restarted again."""
    task = a_task(tmp_path)
    agent = command(*WAITING, limits=QUICK)
    pid = _left_running(agent, task)
    with in_background(agent.adopt, task) as background:
        background.control.detach()
        background.outcome()
    assert agent.examine(task.folder, same_boot=True) is Adoption.RUNNING
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_an_adopted_one_is_held_to_its_caps(tmp_path: Path) -> None:
    """A flood that began before the restart is stopped after it."""
    task = a_task(tmp_path)
    limits = Limits(kill_after=0.3, look=0.02, output_bytes=100_000)
    agent = command("--touch", "started", "--wait-for", "go", limits=limits)
    pid = _left_running(agent, task)
    (task.folder / "stdout").write_bytes(b"x" * 100_001)
    assert _failure(_adopt(agent, task)).cls is ErrorClass.TOO_LARGE
    until(lambda: not is_running(pid))


def test_an_engine_killed_in_the_middle_leaves_an_attempt_that_is_adopted(tmp_path: Path) -> None:
    """SIGKILL of the engine is survivable: the agent works on, the next engine brings its answer home."""
    task = a_task(tmp_path)
    engine = subprocess.Popen([sys.executable, "-c", _ENGINE, str(task.folder), str(task.fence), FAKE])
    until((task.folder / "started").exists)
    engine.send_signal(signal.SIGKILL)
    engine.wait()
    agent = command(*WAITING, limits=QUICK, exit_record=True)
    assert agent.examine(task.folder, same_boot=True) is Adoption.RUNNING
    with in_background(agent.adopt, task) as background:
        assert background.working
        (task.folder / "go").touch()
        assert background.outcome().output == "late"


_ENGINE = """
import sys
from pathlib import Path
from glink.agents import registry
from glink.agents.agent import Task
from glink.roster import AgentSpec
from glink.testing.control import ManualControl

folder, fence, fake = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
argv = [sys.executable, "-I", "-S", fake, "--touch", "started", "--wait-for", "go", "--say", "late"]
agent = registry.build(AgentSpec("a", "command", {"command": argv, "exit_record": True}), base=Path("/"))
agent.run(Task("shop", "2", 1, 1, fence, "k" * 32, "fake", "", folder=folder), ManualControl())
"""


def test_nothing_or_an_empty_lock_means_never_started_in_this_boot_only(tmp_path: Path) -> None:
    """After a reboot nobody can know whether it had started."""
    agent = command()
    assert agent.examine(tmp_path, same_boot=True) is Adoption.NEVER_STARTED
    assert agent.examine(tmp_path, same_boot=False) is Adoption.LOST
    os.close(alive.take(tmp_path))
    assert agent.examine(tmp_path, same_boot=True) is Adoption.NEVER_STARTED
    assert agent.examine(tmp_path, same_boot=False) is Adoption.LOST


def test_a_lock_without_a_pid_is_somebody_at_work(tmp_path: Path) -> None:
    """The engine died between the start and the note; the lock alone is waited for."""
    task, agent = a_task(tmp_path), command(limits=QUICK)
    lock = alive.take(task.folder)
    assert agent.examine(task.folder, same_boot=True) is Adoption.RUNNING
    with in_background(agent.adopt, task) as background:
        assert background.working
        os.close(lock)
        assert _failure(background.outcome()).cls is ErrorClass.LOST


def test_the_pid_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """A number in the file is not believed: it may have gone to another process since."""
    task, agent = a_task(tmp_path), command(limits=QUICK)
    bystander = subprocess.Popen(["sleep", "600"], start_new_session=True)
    taken = alive.take(task.folder)
    try:
        alive.note(taken, bystander.pid)
        assert _failure(_adopt(agent, replace(task, run_seconds=0.02))).code == "run"
        assert bystander.poll() is None
    finally:
        os.close(taken)
        bystander.kill()
        bystander.wait()


@pytest.mark.parametrize("record", ["", "0", "zero\n", "00000000\n", "-1\n"])
def test_half_a_record_is_none_and_a_strange_one_is_not_success(record: str, tmp_path: Path) -> None:
    """The agent can write the file itself; what it writes is never taken for exit 0 unless it is exactly that."""
    task, agent = a_task(tmp_path), command(limits=QUICK, exit_record=True)
    lock = alive.take(task.folder)
    alive.note(lock, 2)
    os.close(lock)
    (task.folder / "stdout").write_text("answer")
    (task.folder / "exit").write_text(record)
    assert _adopt(agent, task).failure is not None


def test_a_record_that_was_not_synced_does_not_count_after_a_reboot(tmp_path: Path) -> None:
    """The disk may hold the exit code without the output; a python agent's record is synced, and counts."""
    (tmp_path / "exit").write_text("0\n")
    (tmp_path / "result.json").write_text('{"output":"x"}\n')
    assert command(exit_record=True).examine(tmp_path, same_boot=False) is Adoption.LOST
    python = kind("python", call="tests.unit.agents.functions:echo")
    assert python.examine(tmp_path, same_boot=False) is Adoption.FINISHED


@pytest.mark.parametrize("name", ["stdout", "exit", "alive"])
def test_a_pipe_in_the_place_of_a_file_hangs_nobody(name: str, tmp_path: Path) -> None:
    """The folder is the agent's: what it put there is looked at with care."""
    task, agent = a_task(tmp_path), command(limits=QUICK, exit_record=True)
    os.mkfifo(task.folder / name)
    assert agent.examine(task.folder, same_boot=True) is Adoption.NEVER_STARTED
    assert _failure(_adopt(agent, task)).cls is ErrorClass.LOST


def test_a_script_is_adopted_like_a_command(tmp_path: Path) -> None:
    """Its interpreter's `exit_record` comes with the task."""
    task = a_task(tmp_path, program=a_program(*WAITING, exit_record=True))
    agent = registry.build_script(base=HERE, limits=QUICK)
    _finished(agent, task)
    assert agent.examine(task.folder, same_boot=True) is Adoption.FINISHED
    assert _adopt(agent, task).output == "late"


def test_a_python_worker_that_outlived_the_engine_is_adopted_by_its_result(tmp_path: Path) -> None:
    """After SIGKILL of the engine; a drain cancels it instead."""
    task = a_task(tmp_path, "late")
    agent = kind("python", QUICK, call="tests.unit.agents.functions:wait_for_go")
    _finished(agent, task)
    assert agent.examine(task.folder, same_boot=True) is Adoption.FINISHED
    assert _adopt(agent, task).output == "late"


def test_an_echo_is_never_adopted(tmp_path: Path) -> None:
    """It leaves nothing, so it is made again."""
    agent = kind("echo")
    assert agent.examine(tmp_path, same_boot=False) is Adoption.NEVER_STARTED
    assert _failure(_adopt(agent, a_task(tmp_path))).cls is ErrorClass.LOST
