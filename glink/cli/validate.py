"""`glink validate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from glink.cli.shell import ConfigOption, JsonOption, configured
from glink.cli.speech import say, show
from glink.config import Config
from glink.errors import Problem, UsageError
from glink.project import find_projects, load_project


def command(
    paths: Annotated[list[str] | None, typer.Argument(help="Projects, or files and folders below projects/.")] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> int:
    """Check workflow files with the daemon's own loader; nothing is run.

    Example: glink validate projects/hello-world.yaml
    """
    settings = configured(config)
    names, problems = _wanted(settings, paths or [])
    for name, file in names.items():
        loaded = load_project(name, file, settings.projects_dir, limits=settings.limits, config=settings)
        problems.extend(loaded.problems)
    problems.sort()
    if json:
        show({"valid": not problems, "projects": sorted(names), "problems": [one.as_data() for one in problems]})
    else:
        for problem in problems:
            say(problem.with_caret() if sys.stdout.isatty() else str(problem))
        unchecked = "" if settings.agents else " (no agents are declared in the configuration: agents were not checked)"
        say(f"{len(names)} projects, {len(problems)} problems{unchecked}")
    return 2 if problems else 0


def _wanted(settings: Config, paths: list[str]) -> tuple[dict[str, Path], list[Problem]]:
    found, by_name = find_projects(settings.projects_dir, settings.limits)
    if not paths:
        return found, [problem for problems in by_name.values() for problem in problems]
    names: dict[str, Path] = {}
    problems: list[Problem] = []
    for given in paths:
        chosen = [name for name in {*found, *by_name} if _matches(given, name, found.get(name), settings.projects_dir)]
        if not chosen:
            raise UsageError(f"no project at {given}; there are: {', '.join(sorted(found)) or 'none'}")
        names |= {name: found[name] for name in chosen if name in found}
        problems += [problem for name in chosen for problem in by_name.get(name, [])]
    return names, problems


def _matches(given: str, name: str, file: Path | None, root: Path) -> bool:
    if given == name:
        return True
    path = Path(given).absolute()
    return file is not None and (
        path == file.absolute() or (path in file.absolute().parents and root.absolute() in (path, *path.parents))
    )
