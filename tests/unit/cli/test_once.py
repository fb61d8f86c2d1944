"""What `up --once` ends with."""

from __future__ import annotations

from pathlib import Path

import pytest

from glink.app import Engine
from glink.cli.up import _result
from glink.config import load_config


@pytest.mark.parametrize(("full", "code"), [(False, 0), (True, 74)])
def test_a_full_disk_is_no_success_although_nothing_failed(
    tmp_path: Path, full: bool, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "projects").mkdir()
    (tmp_path / "projects" / "p.yaml").write_text("steps:\n  - {step: 1, agent: a, task: hi}\n")
    (tmp_path / "glink-config.yaml").write_text("agents: {a: {type: echo}}\n")
    engine = Engine.open(load_config(None, environ={}, folder=tmp_path), watch=False)
    engine.conductor.turn(0)
    engine.conductor.world.full = full
    try:
        assert _result(engine, [], False) == code
    finally:
        engine.close()
    assert ("the disk is full" in capsys.readouterr().err) is full
