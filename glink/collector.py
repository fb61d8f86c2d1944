"""Python's collector of cyclic garbage, calmed. Called once by each process of Glink, before it loads anything.

Glink makes little such garbage and holds much that lives on: looked for less often, it costs a load or a step nothing.
"""

from __future__ import annotations

import gc


def calm() -> None:
    """Leave what is there now out of account for good, and look for garbage a seventieth as often."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
