"""code-agent: turns the tab-separated lines of the steps before it into JSON.

A task that says `begin with X` gets only the packages whose name begins with X.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path


def main() -> None:
    own_words = sys.stdin.read().split("<data-")[0]
    wanted = re.search(r"begin with (\w+)", own_words)
    prefix = wanted.group(1).lower() if wanted else ""
    context = json.loads(Path(os.environ["GLINK_CONTEXT"]).read_text(encoding="utf-8"))
    packages = []
    for step in context["steps"].values():
        for line in step["output"].splitlines():
            name, version, summary = [*line.split("\t"), "", ""][:3]
            if name.lower().startswith(prefix):
                packages.append({"name": name, "version": version, "summary": summary})
    print(json.dumps({"count": len(packages), "packages": packages}))


if __name__ == "__main__":
    main()
