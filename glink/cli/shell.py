"""What every verb shares: its options, the configuration it runs under, and how it speaks."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from glink.config import Config, load_config
from glink.errors import GlinkError, InvalidInput
from glink.jsontext import pretty
from glink.words import escaped_block

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="The configuration; default: glink-config.yaml here.")
]
ServerOption = Annotated[
    str | None, typer.Option("--server", help="Ask this server instead, http://HOST:PORT; default: GLINK_SERVER.")
]
TokenFileOption = Annotated[Path | None, typer.Option("--token-file", help="The file with the server's token.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Project = Annotated[str, typer.Argument(help="A project: its path under projects/.")]
MaybeProject = Annotated[str | None, typer.Argument(help="A project; all without.")]


def configured(path: Path | None) -> Config:
    """The configuration that a verb runs under; raises InvalidInput."""
    return load_config(path, environ=os.environ, folder=Path.cwd())


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
