"""`glink run`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from glink.cli.attend import attend
from glink.cli.shell import ConfigOption, JsonOption, Project, ServerOption, TokenFileOption, configured
from glink.cli.source import Source, source_of
from glink.errors import UsageError
from glink.jsontext import JSONError, loads


def command(
    project: Project,
    force: Annotated[bool, typer.Option("--force", "-f", help="Run every step, up to date or not.")] = False,
    param: Annotated[list[str] | None, typer.Option("--param", "-p", help="NAME=VALUE; may be repeated.")] = None,
    config: ConfigOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    json: JsonOption = False,
) -> int:
    """Ask for a run and follow it to its end.

    Example: glink run hello-world --force
    """
    source = source_of(configured(config), server, token_file)
    arguments = {"force": force, "params": _params(source, project, param or [])}
    return attend(source, project, "run", arguments, as_json=json)


def _params(source: Source, project: str, given: list[str]) -> dict[str, Any]:
    if not given:
        return {}
    declared = source.ask("project", project=project)["params"]
    values = {}
    for one in given:
        name, equals, text = one.partition("=")
        if not equals:
            raise UsageError(f"--param {one}: write NAME=VALUE")
        values[name] = _value(text, declared.get(name, {}))
    return values


def _value(text: str, declared: Mapping[str, Any]) -> Any:
    """A parameter's value from the command line, by its declared type."""
    if declared.get("type", "string") == "string":
        return text
    try:
        return loads(text)
    except JSONError:
        raise UsageError(f"{text!r} is no {declared['type']}") from None
