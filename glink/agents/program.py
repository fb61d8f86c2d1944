"""What the kinds that run a named program have in common: its argv, files for it, its adoption by exit code.

Called by `command` and `script`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from glink.agents import adoption
from glink.agents.agent import Control, ErrorClass, Outcome
from glink.agents.process import Ended
from glink.agents.waiting import Attempt, Ending


def anchored(argv: Sequence[str], base: Path) -> tuple[str, ...]:
    """The argv with every entry that begins with `./` taken from the config's folder."""
    return tuple(os.path.join(base, word[2:]) if word.startswith("./") else word for word in argv)


def written(folder: Path, name: str, content: bytes) -> str:
    """The path of a new file in the attempt's folder."""
    path = f"{folder}/{name}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    return path


def refused_variables(names: list[str]) -> Outcome:
    """A workflow tried to steer which program runs."""
    return Outcome.failed(
        ErrorClass.CONFIG, "env", f"a step cannot set {', '.join(names)}; only the configuration can, under `env`"
    )


def adopted(attempt: Attempt, control: Control, record: str | None) -> Ended:
    """The end of an adopted program, with the exit code that it wrote down."""
    ended = adoption.adopt(attempt, control, record=record)
    if record is None or ended.ending is not Ending.EXITED:
        return ended
    code = (adoption.read_record(attempt.folder, record, 8) or b"").strip()
    return ended.with_status(int(code) if code.isdigit() and len(code) <= 3 else None)
