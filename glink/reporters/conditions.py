"""One alert for each time that an agent is in trouble, however often it says so again. Pure; asked by `Reporters`.

An agent that is asked too much is throttled, cools, is asked, and is throttled again: that is one condition, until it
answers.
"""

from __future__ import annotations

from collections.abc import Sequence

from glink.event import Record

_BEGINS = frozenset(("agent.cooling", "agent.paused"))
_ENDS = frozenset(("step.failed", "step.cancelled", "step.stale"))


class Conditions:
    """Which agents are in trouble, and which of their attempts could tell that it is over."""

    def __init__(self) -> None:
        self._told: dict[str, set[str]] = {}
        self._asked: dict[int, str] = {}

    def repeated(self, records: Sequence[Record]) -> frozenset[int]:
        """The seqs among these records that tell again of a condition that was told."""
        again: list[int] = []
        for record in records:
            kind = record["type"]
            if kind in _BEGINS:
                told = self._told.setdefault(record["data"]["agent"], set())
                if kind in told:
                    again.append(record["seq"])
                told.add(kind)
            elif self._told:
                self._follow(kind, record)
        return frozenset(again)

    def _follow(self, kind: str, record: Record) -> None:
        fence = record.get("fence", 0)
        match kind:
            case "step.dispatched" if record["data"]["agent"] in self._told:
                self._asked[record["seq"]] = record["data"]["agent"]
            case "step.succeeded" if fence in self._asked:
                self._over(self._asked[fence])
            case "agent.ready":
                self._over(record["data"]["agent"])
            case _ if kind in _ENDS:
                self._asked.pop(fence, None)

    def _over(self, agent: str) -> None:
        self._told.pop(agent, None)
        self._asked = {fence: one for fence, one in self._asked.items() if one != agent}
