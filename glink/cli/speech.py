"""How verbs speak: text for people, JSON for programs, errors for both."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from glink.errors import GlinkError, InvalidInput
from glink.jsontext import pretty
from glink.words import escaped_block


def say(text: str) -> None:
    """A line (or lines) for people, with control characters shown. One write: others write to the stream as well."""
    sys.stdout.write(f"{escaped_block(text)}\n")


def show(value: Any) -> None:
    """JSON on standard output."""
    print(pretty(value))


def complain(error: GlinkError, *, as_json: bool) -> None:
    """An error on standard error; under --json its data on standard output."""
    if as_json:
        problems = [one.as_data() for one in error.problems] if isinstance(error, InvalidInput) else []
        show({"error": type(error).__name__, "message": str(error), "problems": problems})
    elif isinstance(error, InvalidInput):
        for problem in error.problems:
            print(escaped_block(problem.with_caret()), file=sys.stderr)
    else:
        print(f"glink: {escaped_block(str(error))}", file=sys.stderr)


def table(rows: Sequence[tuple[str, ...]], heads: tuple[str, ...]) -> str:
    """Columns aligned with spaces: reads well on a terminal and in a pipe; the last column is not padded."""
    whole = [heads, *rows]
    widths = [max(len(row[column]) for row in whole) for column in range(len(heads))]
    lines = []
    for row in whole:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths[:-1], strict=True)]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    return "\n".join(lines)
