"""Who among the workers still has a claim: leases live in memory, on the engine's clock. Pure.

Called by the conductor: a claim grants one, a heartbeat extends it, a result ends it. After a restart each claimed step
gets one full lease; so it does after a time in which the engine itself stood still and could hear nobody.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from glink.agents.agent import ErrorClass
from glink.reconciler.inbox import Result

DEAF_SECONDS = 1.0  # the conductor wakes when a lease runs out; if it is later than that, it was not there to hear


@dataclass(slots=True)
class Lease:
    """`until` and `end` are seconds since 1970: of the lease, and of the whole attempt (None: no bound)."""

    project: str
    step: str
    agent: str
    seconds: float
    until: float
    end: float | None


class Leases:
    """Leases by fence. What a pass ended comes back if the pass does not become durable."""

    def __init__(self) -> None:
        self._leases: dict[int, Lease] = {}
        self._ended: dict[int, Lease] = {}

    def begin(self) -> None:
        """A new pass: what the one before ended is over."""
        self._ended.clear()

    def grant(
        self, fence: int, project: str, step: str, agent: str, *, seconds: float, run: float | None, now: float
    ) -> None:
        """A claim holds from now on."""
        end = None if run is None else now + run
        self._leases[fence] = Lease(project, step, agent, seconds, now + seconds, end)

    def extend(self, fence: int, now: float) -> float | None:
        """The worker lives: seconds until it must be heard of again; None when there is no such lease."""
        lease = self._leases.get(fence)
        if lease is None:
            return None
        lease.until = now + lease.seconds
        return lease.seconds

    def end(self, fence: int) -> None:
        """The claim is over."""
        if (lease := self._leases.pop(fence, None)) is not None:
            self._ended[fence] = lease

    def keep(self, fences: Container[int]) -> None:
        """The pass did not become durable: these claims are as before, and all others are over."""
        found = {**self._leases, **self._ended}
        self._leases = {fence: lease for fence, lease in found.items() if fence in fences}
        self._ended.clear()

    def next(self) -> float | None:
        """When the next one runs out."""
        return min((_over(lease) for lease in self._leases.values()), default=None)

    def overdue(self, now: float) -> list[Result]:
        """What became of those that have run out; their leases are gone."""
        if not self._leases:
            return []
        for lease in self._leases.values():
            if now - _over(lease) > DEAF_SECONDS:
                lease.until = now + lease.seconds
                lease.end = None if lease.end is None else max(lease.end, lease.until)
        over = [fence for fence, lease in self._leases.items() if _over(lease) <= now]
        return [_result(fence, self._leases.pop(fence), now) for fence in over]


def _over(lease: Lease) -> float:
    return lease.until if lease.end is None else min(lease.until, lease.end)


def _result(fence: int, lease: Lease, now: float) -> Result:
    if lease.end is not None and lease.end <= now:
        data = {"class": ErrorClass.TIMEOUT, "code": "run", "message": "its worker took longer than the step may"}
    else:
        data = {
            "class": ErrorClass.LOST,
            "code": "lease",
            "message": f"its worker was not heard of for {lease.seconds:g} s",
        }
    return Result(lease.project, lease.step, fence, lease.agent, "step.failed", data)
