"""`glink logs`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from glink.app import View
from glink.cli.shell import ConfigOption, JsonOption, Project, configured, show
from glink.clock import wait_for
from glink.errors import NoState, UsageError
from glink.words import escaped_block

TAIL = 1 << 20


def command(
    project: Project,
    step: Annotated[str, typer.Argument(help="A step.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the attempt ends.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Print what the newest attempt of a step wrote to stdout and stderr.

    Example: glink logs dependency-report 1 -f
    """
    settings = configured(config)
    view = View.take(settings, [project], need_bus=True)
    past = view.desks[project].state.steps.get(step)
    if past is None:
        raise UsageError(f"step {step} of {project} never ran")
    lapsed = past.lapse.fence if past.lapse is not None else 0
    fence = past.fence or max(lapsed, past.answer.fence if past.answer is not None else 0)
    folder = settings.work_dir / "attempts" / str(fence)
    streams = [folder / "stdout", folder / "stderr"]
    if not any(one.exists() for one in streams):
        raise NoState(f"the attempt of step {step} left no logs: agent {past.agent} has no process of its own")
    if json:
        show({"fence": fence, **{one.name: _text(one, 0)[0] for one in streams}})
        return
    offsets = dict.fromkeys(streams, 0)
    _print_new(offsets)
    while follow and _runs(settings, project, step, fence):
        wait_for(
            lambda: any(one.exists() and one.stat().st_size > at for one, at in offsets.items()),
            seconds=0.5,
            every=0.05,
        )
        _print_new(offsets)


def _runs(settings: object, project: str, step: str, fence: int) -> bool:
    past = View.take(settings, [project]).desks[project].state.steps.get(step)  # type: ignore[arg-type]
    return past is not None and past.fence == fence


def _print_new(offsets: dict[Path, int]) -> None:
    for stream, at in offsets.items():
        text, offsets[stream] = _text(stream, at)
        target = sys.stderr if stream.name == "stderr" else sys.stdout
        target.write(escaped_block(text) if target.isatty() else text)
        target.flush()


def _text(stream: Path, at: int) -> tuple[str, int]:
    """What stands in the file after `at`, at most its last MiB, and where that ends."""
    try:
        with open(stream, "rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(at, end - TAIL))
            raw = file.read(TAIL)
            return raw.decode("utf-8", "replace"), file.tell()
    except FileNotFoundError:
        return "", at
