"""The shipped examples in a git repository of their own, and the command line at work on them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from glink.bus.reader import BusReader
from glink.errors import NoState
from glink.event import Record
from glink.limits import Limits

ROOT = Path(__file__).parents[1]


class Examples:
    """A copy of what a clone has of `projects/`, `agents/` and the configuration, with one commit."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # Attempts have their folders under the state folder of the user: a checkout is no place for them.
        self.environment = os.environ | {"XDG_STATE_HOME": str(path.parent / f"{path.name}-state")}
        for name in ("projects", "agents"):
            shutil.copytree(ROOT / name, path / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "glink-config.yaml", path)
        shutil.copy(ROOT / ".gitignore", path)
        self.git("init", "-q")
        self.commit("The <first> commit")

    def git(self, *arguments: str) -> str:
        command = ["git", "-c", "user.name=Ana", "-c", "user.email=ana@example.org", *arguments]
        return subprocess.run(command, cwd=self.path, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, subject: str) -> str:
        """A commit of everything; its id."""
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", subject)
        return self.git("rev-parse", "HEAD")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "glink", *arguments]
        return subprocess.run(
            command, cwd=self.path, env=self.environment, capture_output=True, text=True, timeout=100, check=False
        )

    def glink(self, *arguments: str) -> str:
        """What a command that must succeed printed."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def up(self) -> list[Record]:
        """Settle, and give the events of the projects that this wrote."""
        before = self.events()
        self.glink("up", "--once")
        return [one for one in self.events()[len(before) :] if "project" in one]

    def events(self) -> list[Record]:
        try:
            return list(BusReader(self.path / "bus", limits=Limits()).replay(0))
        except NoState:
            return []

    def output(self, project: str, step: str) -> Any:
        return json.loads(self.glink("output", project, step, "--json"))["output"]

    def artifact(self, path: str) -> str:
        return (self.path / "bus" / "out" / path).read_text()

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text in a file below projects/, as an editor does it: a whole new file in its place."""
        file = self.path / "projects" / name
        text = file.read_text()
        assert old in text
        temporary = file.with_name(f".{file.name}.tmp")
        temporary.write_text(text.replace(old, new))
        temporary.replace(file)


def steps(written: list[Record], kind: str) -> list[str]:
    """The steps that events of a type are about, in order."""
    return [one["step"] for one in written if one["type"] == kind]
