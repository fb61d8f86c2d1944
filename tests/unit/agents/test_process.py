"""Processes of an attempt: what they inherit, how they are ended, what they may write."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from glink.agents import alive, registry
from glink.agents.agent import Agent, ErrorClass, Failure, Outcome, Task
from glink.limits import Limits
from glink.roster import AgentSpec
from glink.testing.control import ManualControl
from tests.unit.agents.stage import HERE, Background, a_task, command, in_background, is_running, run, until

QUICK = Limits(kill_after=0.3, look=0.02)
PATIENT = Limits(kill_after=30.0, look=0.02)


def _failure(outcome: Outcome) -> Failure:
    assert outcome.failure is not None
    return outcome.failure


def _files_of(task: Task) -> set[str]:
    found = alive.look(task.folder)
    assert found is not None
    place = f"/proc/{found.pid}/fd"
    return {os.readlink(f"{place}/{name}") for name in os.listdir(place)}


def _declared(*argv: str) -> AgentSpec:
    return AgentSpec("other", "command", {"command": list(argv)})


def _child_of(task: Task) -> int:
    child = task.folder / "child"
    until(child.exists)
    return int(child.read_text())


def test_alive_is_held_while_it_runs_and_names_its_pid(tmp_path: Path) -> None:
    """Who looks from outside sees that the attempt runs, and which process it is."""
    task = a_task(tmp_path)
    with in_background(command("--touch", "started", "--sleep", "600").run, task):
        until((task.folder / "started").exists)
        found = alive.look(task.folder)
        assert found is not None
        assert found.held
        assert found.pid is not None
        assert b"fake_agent" in Path(f"/proc/{found.pid}/cmdline").read_bytes()
    assert not alive.held(task.folder)


def test_the_engine_keeps_no_copy_of_the_lock(tmp_path: Path) -> None:
    """The lock is the processes' alone: the engine's own life must not look like the agent's."""
    task = a_task(tmp_path)
    with in_background(command("--touch", "started", "--sleep", "600").run, task):
        until((task.folder / "started").exists)
        own = [os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
    assert str((task.folder / "alive").resolve()) not in own


def test_an_attempt_inherits_nothing_of_its_siblings(tmp_path: Path) -> None:
    """Of all descriptors a process has stdin, stdout, stderr and its own `alive`."""
    tasks = [a_task(tmp_path) for _ in range(6)]
    agent = command("--touch", "started", "--sleep", "600", limits=QUICK)
    backgrounds = [Background(agent.run, task) for task in tasks]
    try:
        for task in tasks:
            until((task.folder / "started").exists)
            expected = {f"{task.folder}/{name}" for name in ("alive", "stdout", "stderr")}
            until(lambda task=task, expected=expected: _files_of(task) == {*expected, "/memfd:stdin (deleted)"})
    finally:
        for background in backgrounds:
            background.control.cancel()
        for background in backgrounds:
            background.outcome()
            os.close(background.control.fileno())


def test_a_folder_in_which_something_runs_is_not_used_twice(tmp_path: Path) -> None:
    """Two attempts in one folder would write over each other."""
    task = a_task(tmp_path)
    lock = alive.take(task.folder)
    try:
        assert _failure(run(command("--say", "x"), task)).code == "eagain"
    finally:
        os.close(lock)


def test_no_descriptor_and_no_child_is_left_behind(tmp_path: Path) -> None:
    """Neither by success nor by failure nor by what could not be started."""
    missing = registry.build(_declared("/nonexistent/program"), base=HERE)
    agents: list[Agent] = [command("--echo"), command("--exit", "3"), missing]
    run(agents[0], a_task(tmp_path))
    before = os.listdir("/proc/self/fd")
    for agent in agents:
        run(agent, a_task(tmp_path))
    assert os.listdir("/proc/self/fd") == before


def test_who_ignores_term_is_killed(tmp_path: Path) -> None:
    """TERM is a request; after the grace time KILL is not."""
    task = a_task(tmp_path)
    agent = command("--ignore-term", "--touch", "started", "--sleep", "600", limits=QUICK)
    with in_background(agent.run, task) as background:
        until((task.folder / "started").exists)
        pid = alive.look(task.folder).pid
        background.control.cancel()
        assert _failure(background.outcome()).cls is ErrorClass.CANCELLED
    assert not is_running(pid)


def test_who_hears_term_is_not_waited_for_longer_than_needed(tmp_path: Path) -> None:
    """A cancel costs as long as the agent takes to end; here the grace time is longer than the test may take."""
    task = a_task(tmp_path)
    with in_background(command("--touch", "started", "--sleep", "600", limits=PATIENT).run, task) as background:
        until((task.folder / "started").exists)
        background.control.cancel()
        assert _failure(background.outcome()).cls is ErrorClass.CANCELLED


@pytest.mark.parametrize("how", ["group", "session"])
@pytest.mark.parametrize("bare", [[], ["--bare-child"]])
def test_a_cancel_finds_every_child(how: str, bare: list[str], tmp_path: Path) -> None:
    """Also one in a session of its own, and one that closed all it inherited: it carries the attempt's marks."""
    task = a_task(tmp_path)
    agent = command("--child", how, *bare, "--touch", "started", "--sleep", "600", limits=QUICK)
    with in_background(agent.run, task) as background:
        child = _child_of(task)
        background.control.cancel()
        background.outcome()
    assert not is_running(child)


def test_a_cancel_ends_nobody_elses_process(tmp_path: Path) -> None:
    """An attempt of another engine with the same fence is not ours to end."""
    task, other = a_task(tmp_path / "one"), a_task(tmp_path / "two")
    other = replace(other, fence=task.fence)
    agent = command("--touch", "started", "--sleep", "600", limits=QUICK)
    with in_background(agent.run, task) as background, in_background(agent.run, other) as survivor:
        until((task.folder / "started").exists)
        until((other.folder / "started").exists)
        background.control.cancel()
        background.outcome()
        assert survivor.working
        assert alive.held(other.folder)


def test_a_child_that_holds_stdout_does_not_hold_up_the_step(tmp_path: Path) -> None:
    """Output goes to files, so the end of the agent is the end of the step."""
    task = a_task(tmp_path)
    outcome = run(command("--child", "session", "--child-seconds", "600", "--wait-for", "child", "--say", "done"), task)
    child = _child_of(task)
    assert outcome.output == "done"
    assert is_running(child)
    os.kill(child, signal.SIGKILL)


def test_what_is_left_in_the_group_ends_with_the_agent(tmp_path: Path) -> None:
    """An answer that is being judged, and the files beside it, do not change any more."""
    task = a_task(tmp_path)
    outcome = run(command("--child", "group", "--wait-for", "child", "--say", "done"), task)
    assert outcome.output == "done"
    child = _child_of(task)
    until(lambda: not is_running(child))


def test_a_detached_process_is_left_running(tmp_path: Path) -> None:
    """The engine goes at once; the agent works on and can be adopted."""
    task = a_task(tmp_path)
    with in_background(command("--touch", "started", "--sleep", "600").run, task) as background:
        until((task.folder / "started").exists)
        background.control.detach()
        background.outcome()
        found = alive.look(task.folder)
        assert found is not None
        assert found.held
        os.kill(found.pid, signal.SIGKILL)
        os.waitpid(found.pid, 0)


def test_an_endless_stdout_is_stopped_and_cut(tmp_path: Path) -> None:
    """A flood is class `too_large`; the disk gets back what is over the cap."""
    task = a_task(tmp_path)
    agent = command("--ignore-term", "--out-bytes", str(1 << 50), limits=Limits(output_bytes=10_000, look=0.02))
    failure = _failure(run(agent, task))
    assert (failure.cls, failure.code) == (ErrorClass.TOO_LARGE, "stdout")
    assert "10000 bytes" in failure.message
    assert (task.folder / "stdout").stat().st_size == 10_000


def test_one_byte_too_many_is_too_many(tmp_path: Path) -> None:
    """Seen at the end as well, and not a byte earlier than the cap."""
    limits = Limits(output_bytes=10_000)
    assert run(command("--out-bytes", "10000", limits=limits), a_task(tmp_path)).output == "x" * 10_000
    failure = _failure(run(command("--out-bytes", "10001", limits=limits), a_task(tmp_path)))
    assert failure.cls is ErrorClass.TOO_LARGE


def test_a_talkative_stderr_costs_no_answer(tmp_path: Path) -> None:
    """Only the newest of it is kept; the step goes on and succeeds."""
    task = a_task(tmp_path)
    agent = command(
        *("--err-bytes", "200000", "--touch", "started", "--wait-for", "go", "--say", "paid for"),
        limits=Limits(stderr_bytes=1_000, look=0.02),
    )
    with in_background(agent.run, task) as background:
        until((task.folder / "started").exists)
        until(lambda: (task.folder / "stderr").stat().st_size <= 1_000)
        (task.folder / "go").touch()
        assert background.outcome().output == "paid for"
    assert (task.folder / "stderr").read_bytes() == b"x" * 500


def test_output_keeps_an_attempt_from_being_idle(tmp_path: Path) -> None:
    """Idle time counts from the last output, not from the start."""
    beat = b"import time\nfor _ in range(9):\n    print('.', flush=True)\n    time.sleep(0.15)\n"
    (tmp_path / "beat.py").write_bytes(beat)
    spec = _declared(sys.executable, "-I", "-S", str(tmp_path / "beat.py"))
    agent = registry.build(spec, base=HERE, limits=Limits(look=0.02))
    assert run(agent, a_task(tmp_path, idle_seconds=1.0)).output == ".\n" * 8 + "."


class _Unheard(ManualControl):
    def fileno(self) -> int:
        raise OSError(errno.EMFILE, "too many open files")


def test_a_process_that_cannot_be_attended_to_is_ended(tmp_path: Path) -> None:
    """No attempt is said to have failed while it works on."""
    task = a_task(tmp_path)
    with _Unheard() as control:
        failure = _failure(command("--sleep", "600").run(task, control))
    assert (failure.cls, failure.code) == (ErrorClass.TRANSIENT, "emfile")
    assert not alive.held(task.folder)


def test_a_closed_stdout_is_an_empty_answer(tmp_path: Path) -> None:
    """A process may close its standard streams; nothing hangs on them."""
    task = a_task(tmp_path)
    failure = _failure(run(command("--close"), task))
    assert (failure.cls, failure.code) == (ErrorClass.INVALID_OUTPUT, "empty")


def test_the_agents_own_links_are_not_followed(tmp_path: Path) -> None:
    """Whatever stands in the folder under a name of the engine's is not written through."""
    task, outside = a_task(tmp_path), tmp_path / "outside"
    outside.write_text("mine")
    (task.folder / "stdout").symlink_to(outside)
    failure = _failure(run(command("--say", "x"), task))
    assert (failure.cls, failure.code) == (ErrorClass.TRANSIENT, errno.errorcode[errno.ELOOP].lower())
    assert outside.read_text() == "mine"


def test_two_who_look_at_a_free_lock_both_see_it_free(tmp_path: Path) -> None:
    """Looking is not holding."""
    os.close(alive.take(tmp_path))
    looking = os.open(tmp_path / "alive", os.O_RDONLY)
    try:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert not alive.held(tmp_path)
    finally:
        os.close(looking)


@pytest.mark.parametrize("text", ["", "12", "x\n", "-5\n", "0\n", "1\n", "99999999999999\n", "\n"])
def test_only_a_whole_line_that_can_be_a_pid_is_one(text: str, tmp_path: Path) -> None:
    """The agent can write into its own `alive`; nobody is signalled for that."""
    (tmp_path / "alive").write_text(text)
    found = alive.look(tmp_path)
    assert found is not None
    assert found.pid is None
