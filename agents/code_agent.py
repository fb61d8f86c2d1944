"""code-agent: turns the tab-separated lines of the step before it into JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path


def main() -> None:
    context = json.loads(Path(os.environ["GLINK_CONTEXT"]).read_text())
    packages = []
    for step in context["steps"].values():
        for line in step["output"].splitlines():
            name, version, summary = [*line.split("\t"), "", ""][:3]
            packages.append({"name": name, "version": version, "summary": summary})
    print(json.dumps({"count": len(packages), "packages": packages}))


if __name__ == "__main__":
    main()
