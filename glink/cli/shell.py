"""What every verb shares: its options, and the configuration it runs under."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from glink.config import Config, load_config

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
