"""`glink run`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from glink.app import View
from glink.cli.attend import attend
from glink.cli.shell import ConfigOption, JsonOption, Project, configured
from glink.config import Config
from glink.errors import UsageError
from glink.jsontext import JSONError, loads


def command(
    project: Project,
    force: Annotated[bool, typer.Option("--force", "-f", help="Run every step, up to date or not.")] = False,
    param: Annotated[list[str] | None, typer.Option("--param", "-p", help="NAME=VALUE; may be repeated.")] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> int:
    """Ask for a run and follow it to its end.

    Example: glink run hello-world --force
    """
    settings = configured(config)
    arguments = {"force": force, "params": _params(settings, project, param or [])}
    return attend(settings, project, "run", arguments, as_json=json)


def _params(settings: Config, project: str, given: list[str]) -> dict[str, Any]:
    if not given:
        return {}
    workflow = View.take(settings, [project]).desks[project].workflow
    values = {}
    for one in given:
        name, equals, text = one.partition("=")
        if not equals:
            raise UsageError(f"--param {one}: write NAME=VALUE")
        values[name] = _value(text, workflow.params.get(name, {}) if workflow is not None else {})
    return values


def _value(text: str, declared: Mapping[str, Any]) -> Any:
    """A parameter's value from the command line, by its declared type."""
    if declared.get("type", "string") == "string":
        return text
    try:
        return loads(text)
    except JSONError:
        raise UsageError(f"{text!r} is no {declared['type']}") from None
