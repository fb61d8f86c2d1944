"""Workers that pull: a claim is judged by the conductor, a heartbeat keeps it, a result ends it.

Called by the intake with what the API heard. Whoever holds the key of a fence may answer for it: the API checks the
key, the fence is judged here, in the order of the log.
"""

from __future__ import annotations

import hmac
from typing import Any

from glink.agents.pull import PullOptions
from glink.errors import Conflict, NotThere, Refused
from glink.reconciler.actions import Reason
from glink.reconciler.books import Books
from glink.reconciler.desk import Desk
from glink.reconciler.gates import agent_closed, closed_by, closed_to
from glink.reconciler.inbox import Request, Result
from glink.reconciler.policy import timeout_of
from glink.reconciler.verbs import Deed, known_step
from glink.state import StepState


def key_of(secret: bytes, fence: int, epoch: int) -> str:
    """What proves that an answer comes from who was given the step: HMAC-SHA256 over fence and epoch of the giving."""
    return hmac.new(secret, f"{fence}:{epoch}".encode(), "sha256").hexdigest()


def claim(books: Books, desk: Desk, request: Request, now: float) -> Deed:
    """Give an offered step to a worker; the same worker asking again gets the same."""
    step, agent, worker = (str(request.arguments[name]) for name in ("step", "agent", "worker"))
    known_step(desk, step)
    past = desk.state.steps.get(step) or StepState()
    if past.fence:
        if past.worker != worker or past.agent != agent:
            raise Conflict(f"step {step} of {desk.name} is with {past.worker or 'the engine'}", holder=past.worker)
        record = books.bus.read(past.fence)
        return Deed(moves=False, answer=_handed(books, desk, step, record["e"] if record is not None else 0, now))
    if (why := _unclaimable(books, desk, step, agent, now)) is not None:
        raise Conflict(f"step {step} of {desk.name} cannot be claimed by {agent} now: {why}", holder="", reason=why)
    assert past.offer is not None
    data = {"offer": past.offer.seq, "agent": agent, "worker": worker, "by": request.by}
    event = {
        "type": "step.claimed",
        "project": desk.name,
        "run": past.offer.run,
        "step": step,
        "attempt": past.offer.attempt,
        "data": data,
    }

    def answer() -> dict[str, Any]:
        grant(books, desk, step, now)
        books.touch(desk, (step,))
        books.world.taken(agent, +1)
        return _handed(books, desk, step, books.bus.epoch, now)

    return Deed([event], then=answer, moves=False)


def _unclaimable(books: Books, desk: Desk, step: str, agent: str, now: float) -> str | None:
    board, world = desk.board, books.world
    assert board is not None
    offer = (desk.state.steps.get(step) or StepState()).offer
    decision = board.decisions[step]
    if decision.reason is not Reason.NO_WORKER or offer is None or offer.agent != agent:
        return decision.reason
    closed = closed_by(board) or closed_to(board, step) or agent_closed(world, agent, now)
    limit = board.workflow.concurrency
    full = world.in_flight >= world.concurrency or (limit is not None and board.running >= limit)
    return closed or (Reason.NO_SLOT if full else None)


def grant(books: Books, desk: Desk, step: str, now: float) -> None:
    """A claimed step has one full lease, and its whole time, from now on."""
    past = desk.state.steps[step]
    spec = books.world.agent(past.agent)
    lease = PullOptions.model_validate(dict(spec.options)).lease if spec is not None else PullOptions().lease
    own = desk.workflow.steps.get(step) if desk.workflow is not None else None
    run = timeout_of(own, spec)["run"] if own is not None else None
    books.leases.grant(past.fence, desk.name, step, past.agent, seconds=lease, run=run, now=now)


def _handed(books: Books, desk: Desk, step: str, epoch: int, now: float) -> dict[str, Any]:
    """All that a worker needs to do the step: what any other agent of it would be given."""
    past = desk.state.steps[step]
    found = books.jobs.again(desk, step)
    if found is None:
        raise Refused(f"what step {step} was to be given is not on the bus any more")
    job, task = found[0], found[0].task
    return {
        "fence": past.fence,
        "key": key_of(books.bus.secret, past.fence, epoch),
        "lease": books.leases.extend(past.fence, now),
        "project": desk.name,
        "step": step,
        "run": past.run,
        "attempt": past.attempt,
        "agent": past.agent,
        "idempotency_key": task.key,
        "task": task.text,
        "context": task.context,
        "format": task.format,
        "schema": task.schema,
        "with": dict(task.with_),
        "inputs": dict(job.inputs),
        "files": {name: dict(files) for name, files in job.handed.items()},
        "artifacts": list(job.artifacts),
        "timeout": {"run": task.run_seconds, "idle": task.idle_seconds},
    }


def heartbeat(books: Books, desk: Desk, request: Request, now: float) -> Deed:
    """A worker lives; nothing is recorded. `cancel` tells it to stop: the step is not its own any more."""
    step, fence = str(request.arguments["step"]), request.arguments["fence"]
    past = desk.state.steps.get(step) or StepState()
    lease = books.leases.extend(fence, now) if past.fence == fence else None
    return Deed(moves=False, answer={"cancel": lease is None, "lease": lease})


def result(books: Books, desk: Desk, request: Request, now: float) -> Deed:
    """An answer from outside: counts if its fence is current, is kept as stale if not. The same again is no mistake."""
    given = request.arguments
    step, fence, data = str(given["step"]), given["fence"], given["data"]
    past = desk.state.steps.get(step)
    if past is None:
        raise NotThere(f"{desk.name} has no step {step}")
    if past.fence == fence:
        books.present.forgotten.append(fence)
        outcome = Result(desk.name, step, fence, past.agent, given["type"], data)
        return Deed(results=[outcome], answer={"committed": True}, moves=False)
    answer, lapse = past.answer, past.lapse
    again = answer is not None and answer.fence == fence and answer.digest in given["digests"]
    if again or (lapse is not None and lapse.fence == fence and lapse.cls == data.get("class")):
        return Deed(answer={"committed": True}, moves=False)
    stale = {"type": "step.stale", "project": desk.name, "step": step, "fence": fence}
    refusal = Conflict(f"fence {fence} of step {step} is not current any more: kept as stale", holder=past.worker)
    facts = {"type": given["type"], "digest": data.get("digest"), "class": data.get("class")}
    return Deed([{**stale, "data": {name: fact for name, fact in facts.items() if fact}}], refusal=refusal, moves=False)
