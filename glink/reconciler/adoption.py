"""Attempts that were in flight when an engine ended: waited for, started again, or called lost.

Called once by the conductor, after the first look at the files.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from glink import __version__
from glink.agents.agent import Adoption, ErrorClass
from glink.clock import Clock
from glink.reconciler.actions import Reason
from glink.reconciler.books import Books
from glink.reconciler.claims import grant
from glink.reconciler.desk import Desk
from glink.reconciler.dispatch import Dispatcher
from glink.reconciler.gates import agent_closed
from glink.reconciler.inbox import Result


def started(epoch: int, clock: Clock) -> dict[str, Any]:
    """What an engine says of itself when it starts: by `boot` the next one tells whether the machine went down since."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return {
        "version": __version__,
        "pid": os.getpid(),
        "epoch": epoch,
        "boot": boot.read_text().strip() if boot.exists() else "",
        "boot_time": getattr(clock, "boot_time", clock.now)(),
    }


def adopt(
    books: Books,
    dispatcher: Dispatcher,
    desks: list[Desk],
    put: Callable[[Result], None],
    now: float,
    *,
    same_boot: bool,
) -> None:
    """Judge what each desk has in flight; a lost attempt is put as a result like any other."""
    for desk in desks:
        if desk.unknown:  # what runs of it goes on, and is judged once its state is known
            continue
        try:
            _adopt_one(books, dispatcher, desk, put, now, same_boot=same_boot)
        except Exception as error:
            books.isolate(desk.name, error)


def _adopt_one(
    books: Books, dispatcher: Dispatcher, desk: Desk, put: Callable[[Result], None], now: float, *, same_boot: bool
) -> None:
    flying = [(name, step) for name, step in desk.state.steps.items() if step.fence]
    if flying and desk.board is not None:
        desk.board.refresh(None, now)
    for name, step in flying:
        closed = agent_closed(books.world, step.agent, now) is Reason.NO_WORKER
        found = None if closed or step.worker else books.jobs.again(desk, name)
        books.world.taken(step.agent, +1)
        if closed:
            put(lost(desk, name, "undeclared", f"{step.agent} is not declared any more, so nobody takes its answer"))
            continue
        if step.worker:
            grant(books, desk, name, now)
            continue
        if found is None:
            put(lost(desk, name, "gone", "its workflow is not on the bus any more"))
            continue
        job, startable = found
        # An engine that had other projects to do may have been here since the machine started.
        match dispatcher.adopt(job, same_boot=same_boot and step.fence > books.world.boot_seq):
            case Adoption.NEVER_STARTED if startable:
                if not books.world.draining:
                    books.present.jobs.append(job)
            case Adoption.NEVER_STARTED:
                put(lost(desk, name, "superseded", "never started, and what it was to be given has changed"))
            case Adoption.LOST:
                put(lost(desk, name, "process-gone", "the engine ended, and so did the agent, with no record"))
            case _:
                pass


def lost(desk: Desk, step: str, code: str, message: str) -> Result:
    """The result of an attempt that nobody will hear of again; `superseded` uses no attempt."""
    past = desk.state.steps[step]
    cls = ErrorClass.CANCELLED if code == "superseded" else ErrorClass.LOST
    data = {"class": cls, "code": code, "message": message}
    return Result(desk.name, step, past.fence, past.agent, "step.failed", data)
