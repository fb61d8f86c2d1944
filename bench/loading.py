"""Line 12: loading a workflow."""

from __future__ import annotations

from pathlib import Path

from bench.floor import milliseconds
from glink.limits import Limits
from glink.project import load_project
from glink.templates.template import forget


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
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "p.yaml"
    file.write_text(text)
    return milliseconds(lambda: read(file, Limits()))


def read(file: Path, limits: Limits) -> None:
    """Load a project's file, with nothing remembered of earlier loads."""
    forget()
    loaded = load_project("p", file, file.parent, limits=limits, config=None)
    if loaded.problems:
        raise RuntimeError(str(loaded.problems[0]))
