"""Python's own housekeeping, set for what Glink does: cyclic garbage, and turns between threads."""

from __future__ import annotations

import gc
import sys


def calm() -> None:
    """Leave what is there now out of account for good, and look for garbage a seventieth as often.

    Glink makes little and holds much that lives on: looked for less often, it costs a load or a step nothing.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def share() -> None:
    """For a daemon: a thread that computes gives way after 0.1 ms, so that it does not hold up who only has to answer."""
    sys.setswitchinterval(0.0001)
