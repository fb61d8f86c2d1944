"""`glink output`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from glink.app import View
from glink.cli.shell import ConfigOption, JsonOption, Project, configured, show
from glink.errors import NoState, UsageError
from glink.jsontext import pretty
from glink.reconciler.fingerprint import value_of
from glink.words import escaped_block


def command(
    project: Project,
    step: Annotated[str, typer.Argument(help="A step.")],
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Print the standing answer of a step: as it is into a pipe, with control characters shown on a terminal.

    Example: glink output hello-world 1
    """
    view = View.take(configured(config), [project], need_bus=True)
    desk = view.desks[project]
    past = desk.state.steps.get(step)
    if past is None and (desk.workflow is None or step not in desk.workflow.steps):
        known = desk.workflow.steps if desk.workflow is not None else desk.state.steps
        raise UsageError(f"{project} has no step {step}; it has: {', '.join(known)}")
    if past is None or past.answer is None:
        raise NoState(f"step {step} of {project} has no answer yet; see `glink why {project} {step}`")
    answer = past.answer
    value = value_of(answer, view.surroundings.bodies)
    if json:
        show(
            {
                "project": project,
                "step": step,
                "output": value,
                "digest": answer.digest,
                "artifacts": answer.artifacts,
                "time": answer.time,
            }
        )
        return
    text = value if isinstance(value, str) else pretty(value)
    sys.stdout.write(escaped_block(text) if sys.stdout.isatty() else text)
    if not text.endswith("\n"):
        sys.stdout.write("\n")
