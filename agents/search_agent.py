"""search-agent: reads the task on stdin and answers with the distributions that are installed here.

A task that says `begin with X` gets only those whose name begins with X. Answers one line each: name, version, summary.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import distributions


def main() -> None:
    wanted = re.search(r"begin with (\w+)", sys.stdin.read())
    prefix = wanted.group(1).lower() if wanted else ""
    found = {}
    for one in distributions():
        name = one.metadata["Name"]
        if name and name.lower().startswith(prefix):
            found[name.lower()] = f"{name}\t{one.version}\t{one.metadata['Summary'] or ''}"
    for name in sorted(found):
        print(found[name])
    if not found:
        print(f"no installed distribution begins with {prefix}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
