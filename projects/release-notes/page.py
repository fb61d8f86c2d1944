"""The digest as an HTML page, notes.html."""

import json
import os
from html import escape
from pathlib import Path

digest = json.loads(Path(os.environ["GLINK_CONTEXT"]).read_text())["steps"]["digest"]["output"]
body = []
for line in digest.splitlines():
    if line.startswith("#"):
        level = len(line) - len(line.lstrip("#"))
        body.append(f"<h{level}>{escape(line[level:].strip())}</h{level}>")
    elif line.startswith("- "):
        body.append(f"<p>• {escape(line[2:])}</p>")
    elif line:
        body.append(f"<p>{escape(line)}</p>")
style = (
    "<style>body{font:16px/1.6 system-ui,sans-serif;max-width:46rem;margin:2rem auto;color-scheme:light dark}</style>"
)
page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Release notes</title>{style}'
Path("notes.html").write_text(page + "\n".join(body) + "</html>\n")
print(f"notes.html: {len(body)} blocks")
