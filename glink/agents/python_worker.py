"""The process in which a python agent's function runs.

Started by `glink.agents.python` with the function's name and the config's folder as arguments, the task as JSON on
stdin and the attempt's folder as working directory. Its answer is the file `result.json`, written whole or not at all and synced before its name
appears: the final record, which is good also after the engine, or the machine, went down in between. What the function
prints is a transcript, not an answer.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from glink import jsontext
from glink.agents.agent import Task
from glink.agents.call import perform, record_of
from glink.limits import Limits

RECORD = "result.json"


def main() -> None:
    """Do the one task and leave the record."""
    call, base = sys.argv[1:]
    # Not by the working directory: the function may change that.
    folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    given: dict[str, Any] = jsontext.loads(sys.stdin.buffer.read())
    outcome = perform(call, base, Task(**given["task"]), Limits(**given["limits"]))
    _leave(folder, record_of(outcome))


def _leave(folder: int, record: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(f"{RECORD}.tmp", flags, 0o600, dir_fd=folder), "wb") as file:
        file.write(record)
        file.flush()
        os.fsync(file.fileno())
    os.rename(f"{RECORD}.tmp", RECORD, src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)
