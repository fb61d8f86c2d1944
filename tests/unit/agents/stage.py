"""What the tests of this folder stand on: a task with a folder, and a fake agent as a command."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from glink.agents import registry
from glink.agents.agent import Agent, Outcome, Program, Task
from glink.clock import wait_for
from glink.limits import Limits
from glink.roster import AgentSpec
from glink.testing.control import ManualControl

FAKE = str(Path(__file__).parents[3] / "glink" / "testing" / "fake_agent.py")
HERE = Path(__file__).parent
SECONDS = 30.0  # how long a test waits for what must happen; never reached where it does

_fences = count(int.from_bytes(os.urandom(4), "big") << 8)


def fake(*arguments: str) -> list[str]:
    """The argv of the fake agent."""
    return [sys.executable, "-I", "-S", FAKE, *arguments]


def command(*arguments: str, limits: Limits | None = None, env: tuple[str, ...] = (), **options: Any) -> Agent:
    """A command agent around the fake one."""
    spec = AgentSpec("fake", "command", {"command": fake(*arguments), **options}, env=env)
    return registry.build(spec, base=HERE, limits=limits or Limits())


def kind(name: str, limits: Limits | None = None, **options: Any) -> Agent:
    """An agent of any kind, with its own options."""
    return registry.build(AgentSpec("one", name, options), base=HERE, limits=limits or Limits())


def a_task(folder: Path, text: str = "say hello", **more: Any) -> Task:
    """A task in a fresh folder below `folder`, with a fence that no other test on the machine uses."""
    fence = next(_fences)
    own = folder / str(fence)
    own.mkdir(parents=True)
    given: dict[str, Any] = {"folder": own, "bare": text, **more}
    return Task("shop", "2", 1, 1, fence, "k" * 32, "fake", text, **given)


def a_program(*arguments: str, content: bytes | None = None, **more: Any) -> Program:
    """The fake agent as a script of the project."""
    body = Path(FAKE).read_bytes() if content is None else content
    return Program((sys.executable, "-I", "-S"), "tools/fake_agent.py", body, arguments, **more)


def run(agent: Agent, task: Task) -> Outcome:
    """Run a task that nobody interrupts."""
    with ManualControl() as control:
        return agent.run(task, control)


class Background:
    """An agent at work in a thread, and what it hears. `outcome` waits for it."""

    def __init__(self, work: Callable[[Task, ManualControl], Outcome], task: Task) -> None:
        self.control = ManualControl()
        self._found: list[Outcome | BaseException] = []
        self._thread = threading.Thread(target=self._work, args=(work, task))
        self._thread.start()

    def _work(self, work: Callable[[Task, ManualControl], Outcome], task: Task) -> None:
        try:
            self._found.append(work(task, self.control))
        except BaseException as error:
            self._found.append(error)

    @property
    def working(self) -> bool:
        return self._thread.is_alive()

    def outcome(self) -> Outcome:
        self._thread.join(SECONDS)
        assert not self._thread.is_alive(), "the agent did not come back"
        found = self._found[0]
        if isinstance(found, BaseException):
            raise found
        return found


@contextmanager
def in_background(work: Callable[[Task, ManualControl], Outcome], task: Task) -> Iterator[Background]:
    """The work in a thread; cancelled at the end, so that a failed test leaves nothing running."""
    background = Background(work, task)
    try:
        yield background
    finally:
        background.control.cancel()
        background.outcome()
        os.close(background.control.fileno())


def until(condition: Callable[[], bool]) -> None:
    """Wait for what must happen."""
    assert wait_for(condition, seconds=SECONDS), "it did not happen"


def is_running(pid: int) -> bool:
    """Whether there is such a process, and it has not ended (a zombie has)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2]
    except OSError:
        return False
    return not state.startswith(("Z", "X"))
