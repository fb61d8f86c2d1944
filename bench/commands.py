"""Line 13, and what it takes to run `glink` as its users do: compiled once, from the command line."""

from __future__ import annotations

import compileall
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import glink as package
from bench.floor import milliseconds

# An installed Glink is compiled; here nobody may keep it from being so.
_ENVIRON = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def compiled() -> None:
    """Compile Glink, as its installation does."""
    compileall.compile_dir(str(Path(package.__file__).parent), quiet=2)


def glink(*arguments: str, folder: Path | None = None) -> None:
    """Run the command and wait for its end."""
    command = [sys.executable, "-m", "glink", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=_ENVIRON, cwd=folder)


def version() -> float:
    """Milliseconds of `glink --version`."""
    return milliseconds(lambda: glink("--version"))


def ready(folder: Path, examples: Path) -> float:
    """Milliseconds until `glink up` on the examples answers on its channel."""
    folder.mkdir(parents=True)
    shutil.copytree(examples / "projects", folder / "projects", ignore=shutil.ignore_patterns("release-notes*"))
    shutil.copy(examples / "glink-config.yaml", folder)
    began = time.perf_counter()
    command = [sys.executable, "-m", "glink", "up"]
    process = subprocess.Popen(command, cwd=folder, env=_ENVIRON, stdout=subprocess.DEVNULL)
    while not (folder / "bus" / "channel").exists():
        time.sleep(0.002)
    took = time.perf_counter() - began
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    return took * 1e3
