"""JSON bytes that are kept."""

from __future__ import annotations

import tracemalloc

from glink.jsontext import compact, dumps, loads


def test_bytes_that_are_kept_take_what_they_are_long() -> None:
    """orjson's own stand at the head of the room they were written in."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = [compact({"number": number}) for number in range(1_000)]
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken < 150 * len(kept)
    assert kept[7] == dumps({"number": 7}) and loads(kept[7]) == {"number": 7}
