"""Layouts of large graphs, each made by a process of its own: graphlay would hold this one's interpreter for seconds.

Called in the threads that make pages, before they make one, and by `glink page` and `glink graph`; never by the
conductor. A process that takes too long or ends badly leaves our own layout in the place of the better one.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import glink
from glink.jsontext import JSONError, dumps, loads
from glink.limits import Limits
from glink.pages.layering import Laid, Size, by_graphlay, is_kept, is_light, keep, own
from glink.pages.picture import sizes_of
from glink.pages.sketch import Sketch, sketch_of
from glink.report import Row

# -P: no module is taken from the working directory; Glink is found as this process found it.
_START = "import sys; sys.path.append(sys.argv.pop(1)); from glink.pages.layouts import main; main()"
_HOME = str(Path(glink.__file__).parents[1])


def prepare(rows: Sequence[Row], limits: Limits) -> None:
    """See to it that the picture of these steps has its layout; does nothing for small graphs and for those done before."""
    sketch = sketch_of(rows)
    sizes = sizes_of(sketch)
    if not is_light(sketch) and not is_kept(sketch, sizes):
        keep(sketch, sizes, _elsewhere(sketch, sizes, limits.page_layout) or own(sketch, sizes))


def _elsewhere(sketch: Sketch, sizes: tuple[Size, ...], seconds: float) -> Laid | None:
    argv = (sys.executable, "-P", "-c", _START, _HOME)
    try:
        done = subprocess.run(
            argv, input=dumps([asdict(sketch), sizes]), capture_output=True, timeout=seconds, check=True
        )
        found = loads(done.stdout)
    except (OSError, subprocess.SubprocessError, JSONError):
        return None
    if found is None:
        return None
    corners = tuple((x, y) for x, y in found["corners"])
    return Laid(found["width"], found["height"], corners, tuple(found["paths"]))


def main() -> None:
    """The other process: a sketch and sizes as JSON on stdin, the layout or null on stdout."""
    given, sizes = loads(sys.stdin.buffer.read())
    sketch = Sketch(
        tuple(map(tuple, given["nodes"])),
        tuple((source, target) for source, target in given["edges"]),
        tuple(given["layers"]),
        given["left_out"],
    )
    laid = by_graphlay(sketch, [(width, height) for width, height in sizes])
    sys.stdout.buffer.write(dumps(laid))
