"""`glink` and `python -m glink`. The version is answered before anything heavy is imported."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from glink import __version__

        print(f"glink {__version__}")  # noqa: T201
        return
    from glink.cli.main import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
