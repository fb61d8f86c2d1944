"""The Markdown digest of the step before as an HTML page, notes.html."""

import json
import os
from html import escape
from itertools import groupby
from pathlib import Path

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>body {{ font: 16px/1.6 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; color-scheme: light dark }}</style>
{body}
</html>
"""
ELEMENTS = {"#": "<h1>{}</h1>", "##": "<h2>{}</h2>", "-": "<ul>\n{}\n</ul>"}

context = json.loads(Path(os.environ["GLINK_CONTEXT"]).read_text(encoding="utf-8"))
lines = [line for line in context["steps"]["digest"]["output"].split("\n") if line]
body = []
for mark, alike in groupby(lines, key=lambda line: line.partition(" ")[0]):
    if mark not in ELEMENTS:
        body += [f"<p>{escape(line)}</p>" for line in alike]
        continue
    texts = [escape(line.removeprefix(f"{mark} ")) for line in alike]
    body.append(ELEMENTS[mark].format("\n".join(f"<li>{text}</li>" for text in texts) if mark == "-" else texts[0]))
title = escape(lines[0].removeprefix("# "))
Path("notes.html").write_text(PAGE.format(title=title, body="\n".join(body)), encoding="utf-8")
print(f"notes.html: {len(lines)} lines")
