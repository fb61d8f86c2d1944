"""What the machine can do at all, measured in the same run as Glink."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path


def two_records_one_sync(folder: Path, count: int = 300) -> float:
    """F: milliseconds for two records of about 300 bytes written and one fdatasync."""
    path = folder / "floor"
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    began = time.perf_counter()
    for number in range(count):
        for kind in ("start", "done"):
            event = {"seq": number, "kind": kind, "step": f"s{number}", "agent": "noop", "pad": "x" * 200}
            os.write(fd, json.dumps(event).encode() + b"\n")
        os.fdatasync(fd)
    took = time.perf_counter() - began
    os.close(fd)
    path.unlink()
    return took * 1e3 / count


def python_start() -> float:
    """Milliseconds to start this environment's interpreter and end it."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return (time.perf_counter() - began) * 1e3


def yaml_events(text: str) -> float:
    """Milliseconds for libyaml's events of a text."""
    import yaml

    began = time.perf_counter()
    for _ in yaml.parse(text, Loader=yaml.CLoader):
        pass
    return (time.perf_counter() - began) * 1e3
