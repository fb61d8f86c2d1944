"""Functions that the tests of python agents name in `call`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from glink.agents.agent import ErrorClass, Task
from glink.agents.call import AgentFailed


def echo(task: Task) -> str:
    return task.text


def describe(task: Task) -> dict[str, Any]:
    return {"project": task.project, "fence": task.fence, "env": dict(task.env), "folder": str(task.folder)}


def rows(task: Task) -> list[int]:
    return [1, 2]


def infinite(task: Task) -> dict[str, Any]:
    return {"a": [1.5, {"b": float("nan")}]}


def refuse(task: Task) -> str:
    raise AgentFailed("not today", cls=ErrorClass.THROTTLED, code="quota", retry=True, retry_at=12.5)


def break_down(task: Task) -> str:
    raise ValueError("a\x1b[31mred\n")


def leave(task: Task) -> str:
    sys.exit(3)


def vanish(task: Task) -> str:
    os._exit(int(task.text))


def number(task: Task) -> int:
    return 7


def nothing(task: Task) -> str:
    return " \n"


def not_json(task: Task) -> dict[str, Any]:
    return {"x": object()}


def nul(task: Task) -> str:
    return "a\0b\ud800"


def flood(task: Task) -> str:
    return "x" * 5_000


def wait_for_go(task: Task) -> str:
    """Says that it started, then waits for a file beside it. Its working directory is the attempt's folder."""
    Path("started").touch()
    while not Path("go").exists():
        time.sleep(0.01)
    return task.text


NOT_A_FUNCTION = 7


def look_around(task: Task) -> str:
    """Make the file that the task names, if it names one; then the files of the folder."""
    if task.folder is None:
        return "no folder"
    if task.bare.startswith("make "):
        (task.folder / task.bare.removeprefix("make ")).write_text("made")
    return " ".join(sorted(str(one.relative_to(task.folder)) for one in task.folder.rglob("*") if one.is_file()))
