"""Text whose characters take six bytes each as JSON: what is short for people may be long for a record."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glink.app import Engine
from glink.config import load_config
from glink.jsontext import dumps, is_short

ESCAPE = "\x1b"


@pytest.mark.parametrize("length", [2_700, 10_000, 16_000])
def test_answers_and_tasks_full_of_control_characters_are_kept(tmp_path: Path, length: int) -> None:
    (tmp_path / "projects").mkdir()
    program = f"import sys; sys.stdout.write(chr(27) * {length})"
    (tmp_path / "glink-config.yaml").write_text(
        f"agents: {{colourful: {{type: command, command: [{sys.executable}, -c, '{program}']}}, a: {{type: echo}}}}\n"
    )
    (tmp_path / "projects" / "p.yaml").write_text(
        "steps:\n  - {step: 1, agent: colourful, task: go}\n"
        "  - {step: 2, agent: a, after: [1], context: none, task: '{{ steps[\"1\"].output }}!'}\n"
    )
    engine = Engine.open(load_config(None, environ={}, folder=tmp_path), watch=False)
    try:
        engine.conductor.run(until=lambda: engine.conductor.quiet)
        desk = engine.conductor.desks["p"]
        assert desk.problems == ()
        answers = {name: step.answer for name, step in desk.state.steps.items()}
        for name, text in (("1", ESCAPE * length), ("2", ESCAPE * length + "!")):
            answer = answers[name]
            assert answer is not None
            kept = answer.output if answer.blob is None else engine.conductor.bus.blobs.get(answer.blob).decode()
            assert kept == text
    finally:
        engine.close()


@given(st.text(st.characters(codec=None), max_size=60), st.integers(0, 400))
def test_short_is_what_it_takes_as_json(text: str, most: int) -> None:
    clean = text.encode("utf-8", "replace").decode()
    assert is_short(text, most) is (len(dumps(clean)) - 2 <= most)


def test_names_of_artifacts_that_no_record_has_room_for_are_told_of(tmp_path: Path) -> None:
    (tmp_path / "projects").mkdir()
    program = 'for n in range(300): open(f"{n:0200}.txt", "w"); print(n)'
    (tmp_path / "glink-config.yaml").write_text(
        f"agents: {{many: {{type: command, command: [{sys.executable}, -c, '{program}']}}}}\n"
    )
    (tmp_path / "projects" / "p.yaml").write_text(
        "steps:\n  - {step: 1, agent: many, task: go, artifacts: ['*.txt']}\n"
    )
    engine = Engine.open(load_config(None, environ={}, folder=tmp_path), watch=False)
    try:
        engine.conductor.run(until=lambda: engine.conductor.quiet)
        lapse = engine.conductor.desks["p"].state.steps["1"].lapse
        assert lapse is not None
        assert (lapse.cls, lapse.code) == ("too_large", "artifacts")
        assert "shorter names" in lapse.message
    finally:
        engine.close()
