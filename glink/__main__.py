"""`glink` and `python -m glink`. The version is answered before anything heavy is imported."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from glink import __version__

        print(f"glink {__version__}")  # noqa: T201
        return
    # Looking for pydantic's plug-ins reads the metadata of every installed distribution; Glink has none.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        from glink.cli.main import run
        from glink.collector import calm

        calm()

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # also while all that is imported
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
