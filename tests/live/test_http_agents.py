"""A real engine with agents behind HTTP that is stopped while they work, and started again."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glink.app import Engine
from glink.clock import wait_for
from glink.config import load_config
from tests.unit.web import Asked, Service, reply

SECONDS = 30.0


@contextmanager
def engine(folder: Path, done: Callable[[], bool] = lambda: False) -> Iterator[Engine]:
    """An engine at work over the folder; stopped without grace at the end."""
    running = Engine.open(load_config(None, environ={"HOME": str(folder)}, folder=folder), watch=False)
    thread = running.run_in_background(done)
    try:
        yield running
    finally:
        running.stop(grace=0)
        thread.join(SECONDS)
        running.close()


def project(folder: Path, url: str) -> None:
    (folder / "projects").mkdir()
    (folder / "projects/p.yaml").write_text("steps:\n  - step: 1\n    agent: far\n    task: say hello\n")
    (folder / "glink-config.yaml").write_text(
        f'agents:\n  far: {{type: http, url: "{url}/ask"}}\nlimits: {{poll: 0.02}}\n'
    )


def step(running: Engine) -> Any:
    return running.conductor.desks["p"].state.steps["1"]


def test_a_polled_attempt_outlives_the_engine(tmp_path: Path) -> None:
    """The task is sent once; the next engine polls on and commits the answer."""
    ready: list[bool] = []

    def behave(asked: Asked, connection: socket.socket) -> None:
        first = reply(202, {"poll": "/jobs/7"})
        connection.sendall(first if asked.method == "POST" else reply(200, b"hello") if ready else reply(202))

    with Service(behave) as service:
        project(tmp_path, service.url)
        with engine(tmp_path) as first:
            service.heard(2)
        assert step(first).fence
        ready.append(True)
        with engine(tmp_path) as second:
            assert wait_for(lambda: step(second).answer is not None, seconds=SECONDS)
        assert (step(second).answer.output, step(second).attempt) == ("hello", 1)
        assert [one.method for one in service.asked].count("POST") == 1


def test_a_plain_attempt_is_made_again_and_none_is_used(tmp_path: Path) -> None:
    """It was cancelled with its engine: the same question, with the same key, is attempt 1 once more."""
    ready: list[bool] = []

    def behave(asked: Asked, connection: socket.socket) -> None:
        if ready:
            connection.sendall(reply(200, b"hello"))
        else:
            connection.recv(1)

    with Service(behave) as service:
        project(tmp_path, service.url)
        with engine(tmp_path) as first:
            service.heard(1)
        assert not step(first).fence
        assert (step(first).lapse.cls, step(first).lapse.code) == ("cancelled", "drained")
        ready.append(True)
        with engine(tmp_path) as second:
            assert wait_for(lambda: step(second).answer is not None, seconds=SECONDS)
        assert (step(second).answer.output, step(second).attempt) == ("hello", 1)
        keys = [one.headers["idempotency-key"] for one in service.asked]
        assert (len(keys), len(set(keys))) == (2, 1)
