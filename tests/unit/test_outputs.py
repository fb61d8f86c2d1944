"""Artifacts that an agent made, whatever it called them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from glink.bus.blobs import Blobs
from glink.bus.fsio import Disk
from glink.bus.mask import Mask
from glink.limits import Limits
from glink.outputs import OutputProblem, collect_artifacts, raw_of, shaped
from glink.workflow import Output


def collected(tmp_path: Path, name: bytes) -> dict[str, str]:
    folder, blobs = tmp_path / "attempt", tmp_path / "blobs"
    folder.mkdir()
    blobs.mkdir()
    Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_text("x")
    return collect_artifacts(folder, ("**/*.x",), Blobs(Disk(), blobs, Mask(())), Limits())


@pytest.mark.parametrize("name", [b"a\xff.x", b"a\nb.x", b"a\x1b[31m.x", "a\u202e.x".encode()])
def test_a_name_that_cannot_be_shown_is_an_invalid_answer(tmp_path: Path, name: bytes) -> None:
    """It could be written neither to the bus nor, as it is, to a terminal; the agent is told."""
    with pytest.raises(OutputProblem, match="no character of a name") as caught:
        collected(tmp_path, name)
    assert caught.value.cls == "invalid_output"
    assert str(caught.value).isascii()


def test_any_other_name_is_kept(tmp_path: Path) -> None:
    assert list(collected(tmp_path, "ü $(x) {{ y }}.x".encode())) == ["ü $(x) {{ y }}.x"]


def test_json_that_is_too_deep_to_be_kept_is_an_invalid_answer() -> None:
    """It can be read, to 1,024 levels, but not written: the agent is told, and may be asked again."""
    body = shaped(Output(format="json"), "[" * 300 + "]" * 300)
    with pytest.raises(OutputProblem, match="not JSON that can be kept"):
        raw_of(body)
