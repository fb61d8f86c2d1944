"""A home of two projects for tests of what is known of projects at rest, with both ways to their plan."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from glink.answers.questions import answer
from glink.app import Engine
from glink.cli.control import perform
from glink.cli.unchanged import planned
from glink.config import Config, load_config
from glink.errors import GlinkError
from glink.project import load_submission
from glink.view import View

ENVIRON = {"HOME": "/nowhere"}
CONFIG = """
limits: {steps: 50, inline_bytes: 600}
agents:
  good: {type: echo}
  other: {type: echo}
  bad: {type: echo, fail: agent_failed}
  late: {type: echo, fail: transient}
"""


class Home:
    """A folder project `p`, whose workflow file is still to be written, and a single file `q`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.projects = folder / "projects"
        (self.projects / "p" / "data").mkdir(parents=True)
        (self.projects / "_shared").mkdir()
        self.write("glink-config.yaml", CONFIG)
        self.write("projects/p/style.md", "style")
        self.write("projects/p/_own", "own")
        self.write("projects/p/data/a", "a")
        self.write("projects/_shared/s.md", "s")
        self.write("projects/q.yaml", "steps:\n  - {step: 1, agent: good, task: one}\n")

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)

    def config(self) -> Config:
        return load_config(None, environ=ENVIRON, folder=self.folder)

    def run(self, *names: str) -> None:
        """An engine over these projects (all for none), until it is quiet or waits for a time."""
        engine = Engine.open(self.config(), names, watch=False, sync=False)
        _settle(engine)
        engine.close()

    @property
    def rest(self) -> Path:
        """The file with what is known of projects at rest."""
        return self.folder / "bus" / "checkpoints" / ".rest"

    def tell(self, verb: str, project: str, **arguments: Any) -> None:
        """A verb without a daemon."""
        perform(self.config(), verb, project, arguments)

    def submit(self, project: str, agent: str = "good") -> None:
        """As the API does it, by an engine that then runs what was submitted."""
        config = self.config()
        engine = Engine.open(config, watch=False, sync=False)
        steps = {"steps": [{"step": 1, "agent": agent, "task": "submitted"}]}
        loaded = load_submission(project, steps, config.projects_dir, limits=config.limits, config=config)
        for content in loaded.blobs.values():
            assert isinstance(content, bytes)
            engine.bus.blobs.put(content)
        with suppress(GlinkError):  # its files may own it
            engine.tell("submit", project, {"workflow": loaded.workflow, "force": False, "values": {}})
        _settle(engine)
        engine.close()

    def said(self, project: str | None) -> Any:
        """The long way's answer; None where it raises."""
        question, arguments = ("plans", {}) if project is None else ("plan", {"project": project})
        try:
            view = View.take(self.config(), [project] if project else [])
            return answer(view, question, **arguments)
        except GlinkError:
            return None

    def short(self, project: str | None) -> Any:
        found = planned(self.folder, ENVIRON, project, with_revision=True)
        return None if found is None else json.loads(json.dumps(found))


def _settle(engine: Engine) -> None:
    """Pass after pass until nothing is at work; what waits for a time goes on waiting."""
    turns = 0
    while turns < 30 or engine.conductor.world.in_flight:
        engine.conductor.turn(10 if engine.conductor.world.in_flight else 0)
        turns += 1
