"""history-agent: reads the history of the repository that the configuration names, by git plumbing.

Its argument is the repository's folder. The task says how many commits (`last N commits`). Answers with JSON:
`{"commits": [{commit, author, date, subject, tags}]}`, newest first. A shallow clone has the commits that it has.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

FIELDS = "%x1e%H%x1f%an%x1f%aI%x1f%s"


def main() -> None:
    folder = Path(sys.argv[1])
    place = folder / ".git" if (folder / ".git").exists() else folder
    wanted = re.search(r"last (\d+) commits", sys.stdin.read())
    count = wanted.group(1) if wanted else "20"
    listed = git(place, "rev-list", f"--max-count={count}", "--encoding=UTF-8", f"--format={FIELDS}", "HEAD")
    tags = tags_by_commit(
        git(place, "for-each-ref", "--format=%(objectname) %(*objectname) %(refname:short)", "refs/tags")
    )
    commits = []
    for record in listed.split("\x1e")[1:]:
        # The line after it is rev-list's own, about the next commit.
        commit, author, date, subject = record.split("\n")[0].split("\x1f", 3)
        commits.append(
            {"commit": commit, "author": author, "date": date, "subject": subject, "tags": tags.get(commit, [])}
        )
    print(json.dumps({"commits": commits}))


def git(place: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "--git-dir", str(place), *arguments], capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"git cannot read {place}: {done.stderr.decode('utf-8', 'replace').strip()}")
    return done.stdout.decode("utf-8", "replace")


def tags_by_commit(listed: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in listed.splitlines():
        # An annotated tag is an object of its own, that names its commit.
        own, tagged, name = line.split(" ", 2)
        found.setdefault(tagged or own, []).append(name)
    return found


if __name__ == "__main__":
    main()
