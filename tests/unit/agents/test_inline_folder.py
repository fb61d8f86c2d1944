"""A function called inline has a folder where files go in or out of its step, and none where that would be for nothing."""

from __future__ import annotations

from pathlib import Path

from glink.app import Engine
from glink.config import load_config

CONFIG = 'agents: {look: {type: python, call: "tests.unit.agents.functions:look_around", inline: true}}\n'
STEPS = """steps:
  - {step: bare, agent: look, task: go}
  - {step: makes, agent: look, task: make made.txt, artifacts: ["*.txt"], after: []}
  - {step: takes, agent: look, task: go, after: [makes]}
  - {step: reads, agent: look, task: go, inputs: [x.csv], after: []}
"""


def test_a_folder_only_where_files_go_in_or_out(tmp_path: Path) -> None:
    (tmp_path / "projects" / "p").mkdir(parents=True)
    (tmp_path / "glink-config.yaml").write_text(CONFIG)
    (tmp_path / "projects" / "p" / "workflow.yaml").write_text(STEPS)
    (tmp_path / "projects" / "p" / "x.csv").write_text("1\n")
    engine = Engine.open(load_config(None, environ={}, folder=tmp_path), watch=False)
    try:
        engine.conductor.run(until=lambda: engine.conductor.quiet)
        steps = engine.conductor.desks["p"].state.steps
        answers = {name: step.answer and step.answer.output for name, step in steps.items()}
    finally:
        engine.close()
    assert answers == {
        "bare": "no folder", "makes": "made.txt", "takes": "context.json in/makes/made.txt", "reads": "inputs/x.csv",
    }  # fmt: skip
