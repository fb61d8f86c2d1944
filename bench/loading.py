"""Line 12: loading a workflow."""

from __future__ import annotations

from pathlib import Path

from bench.floor import milliseconds
from glink.errors import Problem
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
    problems: list[Problem] = []
    took = milliseconds(lambda: problems.extend(load_project("p", file, folder, limits=Limits(), config=None).problems))
    if problems:
        raise RuntimeError(str(problems[0]))
    return took
