"""The interpreter's own housekeeping, set for what Glink does: cyclic garbage, turns between threads, freed memory."""

from __future__ import annotations

import gc
import sys
from typing import Final

# <malloc.h>
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8


def calm() -> None:
    """Leave what is there now out of account for good, and look for garbage a seventieth as often.

    Glink makes little and holds much that lives on: looked for less often, it costs a load or a step nothing.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def share() -> None:
    """For a daemon: a thread that computes gives way after 0.1 ms, so that it does not hold up who only has to answer."""
    sys.setswitchinterval(0.0001)


def give_back() -> None:
    """For a daemon: what is freed goes back to the system, however many threads there are and however large it was.

    The C library would keep a heap for each thread and, once a page of 10 MB was freed, keep such sizes for the next.
    """
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc has it
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)
        mallopt(_MMAP_THRESHOLD, 128 << 10)
        mallopt(_TRIM_THRESHOLD, 128 << 10)
