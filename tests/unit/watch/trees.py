"""Projects folders for the tests of watching: real files, and a loader that is as simple as one can be.

A file is valid unless it holds `BROKEN`; one that holds `BOMB` makes the loader itself fail. A folder project is
all files that its folder holds, as the loader of a project with `inputs: ["**"]` reads them.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

from glink.errors import Problem
from glink.project import Loaded


class Tree:
    """A projects folder with the two functions that a source is given; `loads` counts what was loaded."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.root.mkdir(parents=True, exist_ok=True)
        self.loads: list[str] = []
        self.finds = 0
        self.before_load = lambda name: None

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def replace(self, path: str, text: str) -> Path:
        """Save as careful editors do: a temporary file elsewhere, then one rename."""
        spare = self.root.parent / "spare"
        spare.write_text(text)
        file = self.root / path
        os.replace(spare, file)
        return file

    def find(self) -> tuple[dict[str, Path], dict[str, list[Problem]]]:
        self.finds += 1
        found: dict[str, Path] = {}
        faulty: dict[str, list[Problem]] = {}
        for file in sorted(self.root.rglob("*.y*ml")):
            path = file.relative_to(self.root)
            homes = [above for above in path.parents if (self.root / above / "workflow.yaml").exists()]
            if any(part[0] in "._" for part in path.parts) or (homes and path.name != "workflow.yaml"):
                continue
            name = (path.parent if homes else path.with_suffix("")).as_posix()
            if name in found:
                faulty[name] = [Problem(str(path), 0, 0, "", f"two sources for {name}")]
            found[name] = file
        return {name: file for name, file in found.items() if name not in faulty}, faulty

    def load(self, name: str, file: Path) -> Loaded:
        self.loads.append(name)
        self.before_load(name)
        files = [file]
        if file.name == "workflow.yaml":
            files = [one for one in sorted(file.parent.rglob("*")) if one.is_file() and one.name[0] not in "._"]
        contents = {one.relative_to(self.root).as_posix(): one.read_bytes() for one in files}
        whole = b"".join(contents.values())
        if b"BOMB" in whole:
            raise RecursionError("maximum recursion depth exceeded")
        problems = (Problem(str(file), 1, 1, "", "broken"),) if b"BROKEN" in whole or not whole else ()
        sources = {path: hashlib.sha256(data).hexdigest() for path, data in contents.items()}
        return Loaded(
            project=name, workflow=None, problems=problems, sources=sources, blobs={"body of " + name: b"body"}
        )


def git(folder: Path, *arguments: str) -> str:
    """Run the real git in `folder`, as somebody, without anybody's configuration."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@example.com",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@example.com",
    }
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def repository(top: Path) -> Tree:
    """A repository with one committed project, `one`, in its folder `projects`."""
    top.mkdir(exist_ok=True)
    git(top, "init", "-q", "-b", "main")
    tree = Tree(top / "projects")
    tree.write("one.yaml", "first")
    git(top, "add", "-A")
    git(top, "commit", "-q", "-m", "one")
    return tree
