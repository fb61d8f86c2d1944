"""What the newest attempt of a step wrote to stdout and stderr. Called by `questions`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from glink.errors import NoState, NotThere
from glink.view import View

TAIL = 1 << 20
STREAMS = ("stdout", "stderr")


def logs(view: View, project: str, step: str, stdout: int = 0, stderr: int = 0) -> Callable[[], Any]:
    """Both streams after these offsets, at most the last MiB of each; `running` says whether more may come."""
    past = view.desk(project).state.steps.get(step)
    if past is None:
        raise NotThere(f"step {step} of {project} never ran")
    lapsed = past.lapse.fence if past.lapse is not None else 0
    fence = past.fence or max(lapsed, past.answer.fence if past.answer is not None else 0)
    folder, agent, running = view.work / "attempts" / str(fence), past.agent, bool(past.fence)

    def finish() -> dict[str, Any]:
        if not any((folder / name).exists() for name in STREAMS):
            raise NoState(f"the attempt of step {step} left no logs: agent {agent} has no process of its own here")
        texts = {name: _text(folder / name, at) for name, at in zip(STREAMS, (stdout, stderr), strict=True)}
        ends = {name: end for name, (_, end) in texts.items()}
        return {"fence": fence, "running": running, **{name: text for name, (text, _) in texts.items()}, "ends": ends}

    return finish


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
