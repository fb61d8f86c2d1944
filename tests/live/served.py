"""`glink up` with its API, over a folder of a test: started, spoken to, stopped."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from glink.bus.reader import BusReader
from glink.clock import wait_for
from glink.errors import NoState
from glink.limits import Limits

TOKEN = "your-key"


@dataclass
class Served:
    """A folder with projects and a configuration, and the daemon over it."""

    path: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    url: str = ""

    def __post_init__(self) -> None:
        (self.path / "projects").mkdir(parents=True, exist_ok=True)
        own = {"GLINK_API_TOKEN": TOKEN, "GLINK_PORT": "0", "XDG_STATE_HOME": str(self.path / "state")}
        self.environment = os.environ | own | self.environment

    def config(self, text: str) -> None:
        (self.path / "glink-config.yaml").write_text(text)

    def project(self, name: str, text: str) -> None:
        file = self.path / "projects" / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(".tmp")
        fresh.write_text(text)
        fresh.replace(file)

    def start(self, *arguments: str, program: tuple[str, ...] = ("-m", "glink", "up")) -> None:
        """The daemon; returns once it listens."""
        with open(self.path / "up.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *program, *arguments], cwd=self.path, env=self.environment, stdout=log, stderr=log
            )
        assert wait_for(lambda: self._reached() or self.process.poll() is not None, seconds=60, every=0.05)  # type: ignore[union-attr]
        assert self.process.poll() is None, (self.path / "up.log").read_text()

    def _reached(self) -> bool:
        try:
            holder = BusReader(self.path / "bus", limits=Limits()).holder()
        except NoState:
            return False
        ours = holder is not None and self.process is not None and holder.pid == self.process.pid
        self.url = holder.url if ours and holder is not None else ""
        return bool(self.url)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(60)

    def ask(self, method: str, path: str, body: Any = None, *, token: str | None = TOKEN, **headers: str) -> Any:
        """(status, decoded JSON or text) of one request."""
        own = {} if token is None else {"X-API-Key": token}
        data = None if body is None else json.dumps(body).encode()
        if body is not None:
            own["Content-Type"] = "application/json"
        request = Request(self.url + path, data=data, method=method, headers=own | headers)
        try:
            with urlopen(request, timeout=60) as answer:
                return answer.status, _decoded(answer.read())
        except HTTPError as refusal:
            return refusal.code, _decoded(refusal.read())

    def settled(self, project: str, run: int = 1) -> dict[str, Any]:
        """The project once this run has settled."""
        found: dict[str, Any] = {}

        def is_settled() -> bool:
            status, answer = self.ask("GET", f"/status/project?project={project}")
            found.update(answer if status == 200 else {})
            told = found.get("run") or {}
            return status == 200 and told.get("number", 0) >= run and told.get("status") != "running"

        assert wait_for(is_settled, seconds=60, every=0.1), found
        return found

    def glink(self, *arguments: str, server: bool = False) -> subprocess.CompletedProcess[str]:
        """A verb, here or through the server."""
        environment = dict(self.environment)
        if server:
            environment |= {"GLINK_SERVER": self.url, "GLINK_BUS_DIR": str(self.path / "no-bus-here")}
        return subprocess.run(
            [sys.executable, "-m", "glink", *arguments],
            cwd=self.path, env=environment, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip


@contextmanager
def served(path: Path, config: str, **projects: str) -> Iterator[Served]:
    """A running daemon over these projects."""
    found = Served(path)
    found.config(config)
    for name, text in projects.items():
        found.project(name, text)
    found.start()
    try:
        yield found
    finally:
        found.stop(signal.SIGKILL if found.process is None else signal.SIGTERM)


def needs(*programs: str) -> None:
    """Skip where a program of the documents is not installed; where all tests are required, fail."""
    for program in programs:
        if shutil.which(program) is None:
            message = f"{program} is not installed: apt-get install {program}"
            if os.environ.get("BROWSER_TESTS") == "required":
                pytest.fail(message)
            pytest.skip(message)


def _decoded(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode()
