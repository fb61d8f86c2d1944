"""A Markdown digest of the commits that the step before read, newest first, by day. Its argument is the title."""

import json
import os
import sys
from itertools import groupby
from pathlib import Path

context = json.loads(Path(os.environ["GLINK_CONTEXT"]).read_text(encoding="utf-8"))
commits = context["steps"]["history"]["output"]["commits"]
print(f"# {sys.argv[1]}\n\n{len(commits)} commit{'s' * (len(commits) != 1)}")
for day, of_day in groupby(commits, key=lambda one: one["date"][:10]):
    print(f"\n## {day}\n")
    for one in of_day:
        tags = "".join(f" [{tag}]" for tag in one["tags"])
        print(f"- {one['subject']}{tags} ({one['commit'][:10]}, {one['author']})")
