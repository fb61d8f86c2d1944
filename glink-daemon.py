#!/usr/bin/env python3
"""Glink as it was first described: python3 glink-daemon.py PROJECT [--serve].

The same as `glink up PROJECT`, and with --serve `glink up --serve-only PROJECT`: nothing runs but what is asked for over
the API, and PROJECT is the project of requests that name none.
"""

import os
import sys
from pathlib import Path


def main() -> None:
    """Run under the virtual environment beside this file where the interpreter at hand has no Glink."""
    try:
        from glink.__main__ import main as glink
    except ImportError as error:
        python = Path(__file__).resolve().parent / ".venv" / "bin" / "python"
        if not python.exists() or Path(sys.prefix).resolve() == python.parent.parent.resolve():
            sys.exit(f"glink-daemon: {error}; set up with: python3 -m venv .venv && .venv/bin/pip install -e .")
        os.execv(python, [str(python), *sys.argv])
    arguments = ["--serve-only" if one == "--serve" else one for one in sys.argv[1:]]
    sys.argv = ["glink", "up", *arguments]
    glink()


if __name__ == "__main__":
    main()
