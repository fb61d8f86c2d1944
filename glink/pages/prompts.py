"""The prompts that pages show, by the fence of the dispatch that stands on the bus. Called by `files` and `glink page`.

What was given under a fence never changes, so it is read once and its beginning kept, for a bounded number of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from glink.errors import BusCorrupt
from glink.event import Record
from glink.limits import Limits

KEPT = 1_000


@dataclass(frozen=True, slots=True)
class Prompt:
    """The beginning of a prompt, and how many characters of it are not shown."""

    text: str
    cut: int = 0


def prompt_of(record: Record, bodies: Callable[[str], bytes], limits: Limits) -> Prompt | None:
    """What a dispatch or an offer holds; None for another record and where the body is not on the bus any more."""
    data = record.get("data", {})
    if record["type"] not in ("step.dispatched", "step.offered"):
        return None
    try:
        text = data["task"] if "task" in data else bodies(data["prompt"]).decode("utf-8", "replace")
    except KeyError:
        return None
    return Prompt(text[: limits.page_characters], max(len(text) - limits.page_characters, 0))


class Prompts:
    """Prompts by fence, over a bus. `read` gives one record; both lookups serve any thread."""

    def __init__(self, read: Callable[[int], Record | None], bodies: Callable[[str], bytes], limits: Limits) -> None:
        @lru_cache(maxsize=KEPT)
        def find(fence: int) -> Prompt | None:
            try:
                record = read(fence)
                if record is not None and record["type"] == "step.claimed":
                    record = read(record["data"]["offer"])
            except BusCorrupt:  # its page has the rest
                return None
            return None if record is None else prompt_of(record, bodies, limits)

        self._find = find

    def __call__(self, fences: Sequence[int]) -> Mapping[int, Prompt]:
        """Those that there are."""
        return {fence: found for fence in fences if (found := self._find(fence)) is not None}
