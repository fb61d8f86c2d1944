"""Lines 12 and 13: loading a workflow, and starting."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from glink.limits import Limits
from glink.project import load_project


def text_of(count: int = 1_000) -> str:
    """A workflow of about 319 KB for 1,000 steps."""
    lines = ["params: {limit: 5}", "steps:"]
    for number in range(count):
        before = f'{{{{ steps["step-{number - 1}"].output }}}}' if number else "nothing"
        after = ", ".join(f"step-{one}" for one in range(max(0, number - 2), number))
        lines += [
            f"- step: step-{number}",
            f"  agent: {('search', 'code', 'front')[number % 3]}-agent",
            f"  task: |\n    Search for item {number} using {before}\n    and write the answer as JSON.",
            "    Keep it short: {{ params.limit }} lines.",
            f"  after: [{after}]",
            "  retry:\n    attempts: 3\n    factor: 1.5",
            "  timeout: 300",
            "  output:\n    format: text",
            f"  name: Step number {number} of the benchmark",
        ]
    return "\n".join(lines) + "\n"


def load(folder: Path, text: str) -> float:
    """Milliseconds to load and validate the workflow with positions and limits."""
    from glink.templates.template import forget

    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "p.yaml"
    file.write_text(text)
    forget()
    began = time.perf_counter()
    loaded = load_project("p", file, folder, limits=Limits(), config=None)
    took = time.perf_counter() - began
    if loaded.problems:
        raise RuntimeError(str(loaded.problems[0]))
    return took * 1e3


def version() -> float:
    """Milliseconds of `glink --version`."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "glink", "--version"], check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1e3


def ready(folder: Path, examples: Path) -> float:
    """Milliseconds until `glink up` on the examples answers on its channel."""
    import shutil
    import signal

    shutil.copytree(examples / "projects", folder / "projects", ignore=shutil.ignore_patterns("release-notes*"))
    shutil.copy(examples / "glink-config.yaml", folder)
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "glink", "up"], cwd=folder, stdout=subprocess.DEVNULL)
    while not (folder / "bus" / "channel").exists():
        time.sleep(0.002)
    took = time.perf_counter() - began
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    return took * 1e3
