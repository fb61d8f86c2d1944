"""frontend-agent: builds `card.html`, a page with a card for each package in the JSON of the step before it.

The page's title is what stands between double quotes in the task, if anything does.
"""

from __future__ import annotations

import json
import os
import re
import sys
from html import escape
from pathlib import Path

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem; color-scheme: light dark }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); gap: 1rem }}
article {{ border: 1px solid #8884; border-radius: .5rem; padding: 1rem; overflow-wrap: anywhere }}
h2 {{ font-size: 1rem; margin: 0 }} p {{ margin: .5rem 0 0 }}
</style>
<h1>{title}</h1><p>{count} packages</p>
<main>
{cards}
</main></html>
"""


def main() -> None:
    own_words = sys.stdin.read().split("<data-")[0]
    quoted = re.search(r'"([^"]+)"', own_words)
    context = json.loads(Path(os.environ["GLINK_CONTEXT"]).read_text(encoding="utf-8"))
    reports = [step["output"] for step in context["steps"].values() if isinstance(step["output"], dict)]
    if not reports:
        sys.exit("no step before this one answered with JSON")
    cards = [card(package) for report in reports for package in report["packages"]]
    title = escape(quoted.group(1) if quoted else "Installed packages")
    page = PAGE.format(title=title, count=len(cards), cards="\n".join(cards))
    Path("card.html").write_text(page, encoding="utf-8")
    print(f"card.html: {len(cards)} cards")


def card(package: dict[str, str]) -> str:
    head = escape(f"{package['name']} {package['version']}")
    return f"<article><h2>{head}</h2><p>{escape(package['summary'])}</p></article>"


if __name__ == "__main__":
    main()
