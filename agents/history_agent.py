"""history-agent: reads the history of the repository that the configuration names, by git plumbing.

Its argument is the repository's folder. The task says how many commits (`last N commits`). Answers JSON.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys


def git(folder: str, *arguments: str) -> str:
    command = ["git", "--git-dir", f"{folder.rstrip('/')}/.git", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> None:
    folder = sys.argv[1]
    wanted = re.search(r"last (\d+) commits", sys.stdin.read())
    count = wanted.group(1) if wanted else "20"
    fields = "%H%x1f%an%x1f%aI%x1f%s%x1e"
    listed = git(folder, "rev-list", "--no-commit-header", f"--max-count={count}", f"--format={fields}", "HEAD")
    commits = []
    for record in filter(None, (one.strip() for one in listed.split("\x1e"))):
        commit, author, date, subject = record.split("\x1f")
        commits.append({"commit": commit, "author": author, "date": date, "subject": subject})
    tags = git(folder, "for-each-ref", "--format=%(refname:short)", "refs/tags").split()
    print(json.dumps({"tags": tags, "commits": commits}))


if __name__ == "__main__":
    main()
