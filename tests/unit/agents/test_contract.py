"""What every kind of agent keeps, however it works: one suite over all of them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest

from glink.agents import registry
from glink.agents.agent import Adoption, Agent, ErrorClass, Outcome, Task
from glink.limits import Limits
from glink.testing.control import ManualControl
from tests.unit.agents.stage import HERE, a_program, a_task, command, in_background, kind, run, until
from tests.unit.web import Asked, Service, reply

LIMITS = Limits(kill_after=1.0, look=0.02)


@dataclass(frozen=True)
class Case:
    """A kind: an agent that answers with its task, one that fails, one that works until it is stopped."""

    answering: Callable[[], Agent]
    failing: Callable[[], Agent]
    endless: Callable[[], Agent] | None
    fit: Callable[[Task, str], Task] = lambda task, wish: task
    failure: ErrorClass = ErrorClass.AGENT_FAILED


def _script(task: Task, wish: str) -> Task:
    arguments = {"answer": ["--echo"], "fail": ["--exit", "3"], "endless": ["--touch", "started", "--sleep", "600"]}
    return replace(task, program=a_program(*arguments[wish], stdin=task.text))


def _scripts() -> Agent:
    return registry.build_script(base=HERE, limits=LIMITS)


def _behave(asked: Asked, connection: socket.socket) -> None:
    """A service that does what the address says."""
    match asked.target:
        case "/answer":
            connection.sendall(reply(200, {"status": "ok", "output": asked.value["task"]}))
        case "/fail":
            connection.sendall(reply(200, {"status": "failed", "error": {"code": "no", "message": "no\n\x1b[31m"}}))
        case "/later":
            connection.sendall(reply(202, {"poll": "/later"}))
        case _:
            connection.recv(1)  # until somebody hangs up


@cache
def _service() -> Service:
    return Service(_behave)


@pytest.fixture(scope="module", autouse=True)
def _end_of_service() -> Iterator[None]:
    yield
    _service().__exit__()


def _http(does: str) -> Agent:
    return kind("http", LIMITS, url=f"{_service().url}/{does}")


CASES = {
    "http": Case(lambda: _http("answer"), lambda: _http("fail"), lambda: _http("endless")),
    "http that is polled": Case(lambda: _http("answer"), lambda: _http("fail"), lambda: _http("later")),
    "echo": Case(lambda: kind("echo"), lambda: kind("echo", fail="no"), None),
    "echo with a delay": Case(
        lambda: kind("echo", delay="1ms"),
        lambda: kind("echo", delay="1ms", fail="no"),
        lambda: kind("echo", delay="10m"),
    ),
    "command": Case(
        lambda: command("--echo", limits=LIMITS),
        lambda: command("--exit", "3", limits=LIMITS),
        lambda: command("--touch", "started", "--sleep", "600", limits=LIMITS),
    ),
    "command with a record": Case(
        lambda: command("--echo", limits=LIMITS, exit_record=True),
        lambda: command("--exit", "3", limits=LIMITS, exit_record=True),
        lambda: command("--touch", "started", "--sleep", "600", limits=LIMITS, exit_record=True),
    ),
    "script": Case(_scripts, _scripts, _scripts, _script),
    "python": Case(
        lambda: kind("python", LIMITS, call="tests.unit.agents.functions:echo"),
        lambda: kind("python", LIMITS, call="tests.unit.agents.functions:break_down"),
        lambda: kind("python", LIMITS, call="tests.unit.agents.functions:wait_for_go"),
        failure=ErrorClass.INTERNAL,
    ),
    "python inline": Case(
        lambda: kind("python", call="tests.unit.agents.functions:echo", inline=True),
        lambda: kind("python", call="tests.unit.agents.functions:break_down", inline=True),
        None,
        failure=ErrorClass.INTERNAL,
    ),
}
STOPPABLE = [name for name, case in CASES.items() if case.endless is not None]


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture(params=STOPPABLE)
def stoppable(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def _endless(case: Case) -> Agent:
    assert case.endless is not None
    return case.endless()


def test_it_answers_with_the_text_that_it_was_given(case: Case, tmp_path: Path) -> None:
    """Text reaches the agent whole and comes back whole, whatever stands in it."""
    text = 'Grüße {{ steps }} "quoted" $(id) `id` \\ \x1b[31m \U0001f600 ' + "long " * 30_000
    outcome = run(case.answering(), case.fit(a_task(tmp_path, text), "answer"))
    assert outcome.failure is None
    assert outcome.output == text


def test_a_failure_is_an_outcome_and_nothing_is_raised(case: Case, tmp_path: Path) -> None:
    """A failed attempt has a class of the closed set, a code, a short printable message and no output."""
    outcome = run(case.failing(), case.fit(a_task(tmp_path), "fail"))
    assert outcome.failure is not None
    assert outcome.output is None
    assert outcome.failure.cls is case.failure
    assert outcome.failure.code
    assert outcome.failure.message.isprintable()
    assert len(outcome.failure.message.encode()) <= Limits().message_bytes


def test_it_says_what_kind_it_is(case: Case) -> None:
    """Only what needs no folder, process or waiting is instant; what is adoptable is not instant."""
    agent = case.answering()
    assert {type(agent.instant), type(agent.free), type(agent.adoptable), type(agent.foldered)} == {bool}
    assert not (agent.instant and agent.adoptable)


def test_an_instant_agent_needs_no_folder(tmp_path: Path) -> None:
    """The conductor calls it where it stands."""
    agent = kind("echo")
    assert agent.instant
    assert run(agent, replace(a_task(tmp_path), folder=None)).output == "say hello"


def test_a_folder_without_traces_was_never_started(case: Case, tmp_path: Path) -> None:
    """After a crash before the start the same attempt can be made again; only inline code cannot tell."""
    found = case.answering().examine(tmp_path, same_boot=True)
    assert found is (Adoption.LOST if case is CASES["python inline"] else Adoption.NEVER_STARTED)


def test_eight_at_once_get_their_own_answers(case: Case, tmp_path: Path) -> None:
    """One agent serves many threads."""
    agent, found = case.answering(), dict[int, Outcome]()

    def work(number: int) -> None:
        found[number] = run(agent, case.fit(a_task(tmp_path, f"task {number}"), "answer"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {number: outcome.output for number, outcome in found.items()} == {n: f"task {n}" for n in range(8)}


def test_a_cancel_ends_it(stoppable: Case, tmp_path: Path) -> None:
    """A cancelled attempt comes back as class `cancelled`."""
    task = stoppable.fit(a_task(tmp_path), "endless")
    with in_background(_endless(stoppable).run, task) as background:
        if stoppable is not CASES["echo with a delay"]:
            until((task.folder / "started").exists)
        assert background.working
        background.control.cancel()
        failure = background.outcome().failure
    assert failure is not None
    assert failure.cls is ErrorClass.CANCELLED


def test_a_cancel_that_came_first_is_heard(stoppable: Case, tmp_path: Path) -> None:
    """Between a decision and its thread there may be a cancel."""
    with ManualControl() as control:
        control.cancel()
        outcome = _endless(stoppable).run(stoppable.fit(a_task(tmp_path), "endless"), control)
    assert outcome.failure is not None
    assert outcome.failure.cls is ErrorClass.CANCELLED


@pytest.mark.parametrize("bound", ["run", "idle"])
def test_a_deadline_ends_it(stoppable: Case, bound: str, tmp_path: Path) -> None:
    """Past its time an attempt is class `timeout`, with the bound as code."""
    task = replace(stoppable.fit(a_task(tmp_path), "endless"), **{f"{bound}_seconds": 0.05})
    failure = run(_endless(stoppable), task).failure
    assert failure is not None
    assert (failure.cls, failure.code) == (ErrorClass.TIMEOUT, bound)
