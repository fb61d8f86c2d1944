"""What an agent's process finds in its environment: an allow-list, never what the engine happens to have.

Called by the kinds that start processes (`command`, `script`, `python`), and by `http` for the trace.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path

from glink.agents.agent import Task

_PASSED = ("PATH", "HOME", "LANG", "TZ", "TMPDIR")
_NEVER = "GLINK_API_TOKEN"

# Names by which whoever sets them decides what program, library or plug-in is run. The operator alone says that, so
# the `env` of a step cannot hold them.
_STEERING_PREFIXES = ("GLINK_", "LD_", "DYLD_", "PYTHON", "GIT_", "BASH_", "PERL5", "RUBY", "NODE_", "JAVA_", "LC_")
_STEERING = frozenset(
    (
        *("ENV", "IFS", "SHELLOPTS", "BASHOPTS", "PS4", "PROMPT_COMMAND", "ZDOTDIR", "GCONV_PATH", "LOCPATH"),
        *("EDITOR", "VISUAL", "PAGER", "BROWSER", "LESSOPEN", "LESSCLOSE", "SSH_ASKPASS"),
        *("JDK_JAVA_OPTIONS", "CLASSPATH", "TRACEPARENT"),
    )
)


def inherited(declared: Iterable[str]) -> dict[str, str]:
    """The engine's own variables that are passed on: PATH HOME LANG LC_* TZ TMPDIR and the declared ones, if set."""
    wanted = {*_PASSED, *declared} - {_NEVER}
    return {name: value for name, value in os.environ.items() if name in wanted or name.startswith("LC_")}


def steering(names: Iterable[str]) -> list[str]:
    """Those of a step's variables that would decide which program runs: a workflow may not set them."""
    return sorted(name for name in names if _is_steering(name.upper()))


def _is_steering(name: str) -> bool:
    return name in _STEERING or name in _PASSED or name.startswith(_STEERING_PREFIXES)


def of_attempt(task: Task, folder: Path, passed: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of one attempt: the step's `own` variables, then those that it cannot change.

    GLINK_CONTEXT names the place of the context file; the file is there when context was handed over.
    GIT_CEILING_DIRECTORIES keeps git from finding a work tree above.
    """
    return {
        **own,
        **passed,
        "GLINK_PROJECT": task.project.partition("@")[0],
        "GLINK_INSTANCE": task.project,
        "GLINK_STEP": task.step,
        "GLINK_FENCE": str(task.fence),
        "GLINK_IDEMPOTENCY_KEY": task.key,
        "GLINK_CONTEXT": f"{folder}/context.json",
        "TRACEPARENT": traceparent(task, folder),
        "GIT_CEILING_DIRECTORIES": str(folder.parent),
    }


def traceparent(task: Task, folder: Path) -> str:
    """W3C Trace Context: one trace id a run, one span id an attempt."""
    trace = sha256(f"{folder.parent}\0{task.project}\0{task.run}".encode("utf-8", "surrogateescape")).hexdigest()[:32]
    span = sha256(f"{folder}\0{task.fence}".encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return f"00-{trace}-{span}-01"


def marks(folder: Path, fence: int) -> tuple[bytes, bytes]:
    """The two entries that together only the processes of one attempt carry.

    The fence alone is a small number that another engine on the machine uses as well.
    """
    return b"GLINK_FENCE=%d" % fence, b"GLINK_CONTEXT=" + os.fsencode(f"{folder}/context.json")
