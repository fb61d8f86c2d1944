"""A Markdown digest of the commits that the step before read, newest first, by day."""

import json
import os
from itertools import groupby
from pathlib import Path

history = json.loads(Path(os.environ["GLINK_CONTEXT"]).read_text())["steps"]["history"]["output"]
print(f"# Release notes\n\n{len(history['commits'])} commits, {len(history['tags'])} tags.")
for day, commits in groupby(history["commits"], key=lambda one: one["date"][:10]):
    print(f"\n## {day}\n")
    for one in commits:
        print(f"- {one['subject']} ({one['commit'][:10]}, {one['author']})")
