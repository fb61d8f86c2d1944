"""Which argv would run its task as a program."""

from __future__ import annotations

import pytest

from glink.agents.program_text import reads_program_text


@pytest.mark.parametrize(
    "line",
    [
        "sh",
        "/bin/bash",
        "bash -eu",
        "bash -s",
        "bash -s arg",
        "bash -es",
        "bash -c cat",
        "bash -euc cat",
        "fish --command cat",
        "bash -euo pipefail",
        "bash --rcfile file",
        "bash -- -",
        "bash -",
        "sh /dev/stdin",
        "zsh -o extendedglob",
        "env bash",
        "/usr/bin/env -i PATH=/bin bash -e",
        "timeout 5 sh",
        "busybox sh",
        "nice -n 5 bash -s",
        "python3",
        "python3.11 -",
        "python3 -I -W error",
        "python3 /dev/stdin",
        "perl -w",
        "node",
        "env ruby",
        "ruby -I lib",
        "node -r hook",
    ],
)
def test_it_is_refused(line: str) -> None:
    """Whatever it reads would be run."""
    assert reads_program_text(line.split()) is not None


@pytest.mark.parametrize(
    "line",
    [
        "bash script.sh",
        "bash -euo pipefail ./tool.sh -c",
        "sh -- script.sh",
        "bash --rcfile file script.sh",
        "python3 -m tool",
        "python3 -I -m tool -",
        "python3 -W error tool.py",
        "python3 -Ic pass",
        "perl -ne print",
        "node --eval 1",
        "env MODE=x tool",
        "timeout 5 tool sh",
        "node -r hook app.js",
        "php -r echo",
        "ruff check -",
        "claude -p",
        "grep bash",
        "llm -s sh",
    ],
)
def test_it_is_an_agent(line: str) -> None:
    """It reads its task as data."""
    assert reads_program_text(line.split()) is None
