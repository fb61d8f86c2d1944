"""search-agent: the distributions that are installed beside the engine, read from their own metadata.

A line for each: name, version and summary, with tabs between. A task that says `begin with X` gets only those whose
name begins with X. It is a function that the configuration names (kind `python`), so it runs with the engine's Python.
"""

from __future__ import annotations

import re
from importlib.metadata import distributions

from glink.agents.agent import Task
from glink.agents.call import AgentFailed


def search(task: Task) -> str:
    wanted = re.search(r"begin with (\w+)", task.text)
    prefix = wanted.group(1).lower() if wanted else ""
    found: dict[str, str] = {}
    for one in distributions():
        name, summary = one.metadata["Name"], one.metadata["Summary"] or ""
        if name and name.lower().startswith(prefix):
            # What is found first is what Python imports.
            found.setdefault(name.lower(), f"{name}\t{one.version}\t{' '.join(summary.split())}")
    if not found:
        raise AgentFailed(f"no installed distribution begins with {prefix}")
    return "\n".join(found[name] for name in sorted(found))
