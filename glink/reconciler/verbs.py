"""The control verbs: each looks at the state and says which events it comes to, or refuses with the reason. Pure.

One table for the command line, the daemon's channel and the API; each verb is idempotent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from glink.errors import Conflict, GlinkError, NotThere, Refused, Reused
from glink.limits import Limits
from glink.loading.params import check_params
from glink.reconciler.actions import Decision, Reason, Status
from glink.reconciler.board import Board
from glink.reconciler.desk import Desk
from glink.reconciler.gates import agent_closed
from glink.reconciler.inbox import Result
from glink.state import StepState
from glink.workflow import Workflow


@dataclass(slots=True)
class Deed:
    """What a verb comes to: bodies of events, outcomes to take in, attempts to end, a workflow to seat, what to answer.

    `kill` maps fences to their steps. `then` makes the answer once the events are folded; `refusal` is the answer
    instead, once they are durable. `moves`: whether the project is to be looked at anew.
    """

    events: list[dict[str, Any]] = field(default_factory=list)
    kill: dict[int, StepState] = field(default_factory=dict)
    answer: dict[str, Any] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    seat: Workflow | None = None
    then: Callable[[], dict[str, Any]] | None = None
    refusal: GlinkError | None = None
    moves: bool = True


Verb = Callable[[Desk, Mapping[str, Any], str, Limits], Deed]


def sync(desk: Desk, arguments: Mapping[str, Any], by: str, limits: Limits) -> Deed:
    """Settle what is out of date: nothing to record, the look itself is the deed."""
    _board(desk)
    return Deed(answer={"run": _open_run(desk)})


def run(desk: Desk, arguments: Mapping[str, Any], by: str, limits: Limits) -> Deed:
    """Ask for a run: joins the open one that is alike, queues behind another, or opens one."""
    workflow = _board(desk).workflow
    if (known := answered(desk, arguments)) is not None:
        return known
    force, params = bool(arguments.get("force")), dict(arguments.get("params") or {})
    check_params(workflow, params)
    state = desk.state
    current = state.run
    if current is not None:
        if params and params != state.params:
            raise Conflict(
                f"run {current.number} of {desk.name} is open with other parameters: wait for it or cancel it"
            )
        if current.floor and current.force == force and not params:
            return _joined(desk, current.number, arguments, by)
        alike = [number for number, one in enumerate(state.queue, current.number + 1) if _alike(one, force, params)]
        if alike and not force:
            return _joined(desk, alike[0], arguments, by)
        if len(state.queue) >= limits.queued_runs:
            raise Refused(f"{desk.name} has {limits.queued_runs} runs waiting already")
    number = state.runs + len(state.queue) + 1
    data = {"cause": arguments.get("cause", "request"), "force": force, "params": params, "by": by}
    event = {"type": "run.requested", "project": desk.name, "run": number, "data": data | _keyed(arguments)}
    return Deed([event], answer={"run": number, "joined": False, "generation": state.generation})


def answered(desk: Desk, arguments: Mapping[str, Any]) -> Deed | None:
    """The answer to a request that came before with the same idempotency key."""
    known = desk.state.keys.get(arguments.get("key") or "")
    if known is None:
        return None
    if known.body != arguments["body"]:
        raise Reused("this Idempotency-Key came with another body before")
    return Deed(answer={"run": known.run, "joined": True, "generation": desk.state.generation})


def _joined(desk: Desk, number: int, arguments: Mapping[str, Any], by: str) -> Deed:
    """A request that another run answers; only its idempotency key is worth an event."""
    answer = {"run": number, "joined": True, "generation": desk.state.generation}
    if not (keyed := _keyed(arguments)):
        return Deed(answer=answer)
    data = {"cause": "joined", "joined": True, "by": by, **keyed}
    return Deed([{"type": "run.requested", "project": desk.name, "run": number, "data": data}], answer=answer)


def _keyed(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {"key": arguments["key"], "body": arguments["body"]} if arguments.get("key") is not None else {}


def _alike(request: Mapping[str, Any], force: bool, params: Mapping[str, Any]) -> bool:
    return bool(request["force"]) == force and request["params"] == params


def release(desk: Desk, arguments: Mapping[str, Any], by: str, limits: Limits) -> Deed:
    """Let held steps of this generation go."""
    _board(desk)
    current, wanted = desk.state.generation, arguments.get("generation")
    if wanted is not None and wanted != current:
        raise Conflict(f"{desk.name} is at generation {current} by now, not {wanted}: look at `glink plan {desk.name}`")
    if desk.state.released >= current:
        return Deed(answer={"generation": current})
    event = {"type": "project.released", "project": desk.name, "data": {"generation": current, "by": by}}
    return Deed([event], answer={"generation": current})


def retry(desk: Desk, arguments: Mapping[str, Any], by: str, limits: Limits) -> Deed:
    """Run a step again from attempt 1, whatever it answered; without a step all that failed or were cancelled.

    An agent that cools down, or was refused its credentials, is asked again: whoever says so has seen to it.
    """
    board = _board(desk)
    decisions = board.decisions
    if (step := arguments.get("step")) is not None:
        steps = [known_step(desk, step)]
        _refuse_unless(decisions[step], step, "retry", _RETRY)
    else:
        steps = [name for name, one in decisions.items() if _wants_help(board, name, one)]
        if not steps:
            raise Refused(f"nothing in {desk.name} failed or was cancelled: name a step to run it again")
    agents = sorted({board.workflow.steps[name].agent or "" for name in steps if _shut(board, name)})
    number = desk.state.run.number if desk.state.run else desk.state.runs + 1
    data = {"cause": "retry", "force": False, "params": {}, "steps": steps[:500], "by": by}
    event = {"type": "run.requested", "project": desk.name, "run": number, "data": data}
    ready = [{"type": "agent.ready", "data": {"agent": agent, "by": by}} for agent in agents]
    return Deed([*ready, event], answer={"run": number, "steps": steps})


def _wants_help(board: Board, step: str, decision: Decision) -> bool:
    """Whether the step failed, was cancelled, backs off or waits for an agent that is not asked now."""
    if decision.status in _BROKEN or decision.reason is Reason.BACKING_OFF:
        return True
    return decision.wish is not None and _shut(board, step)


def _shut(board: Board, step: str) -> bool:
    """Whether the step's agent cools down or was refused its credentials."""
    agent = board.workflow.steps[step].agent
    return agent is not None and agent_closed(board.world, agent, board.now) in (
        Reason.AGENT_COOLING, Reason.AGENT_PAUSED
    )  # fmt: skip


def cancel(desk: Desk, arguments: Mapping[str, Any], by: str, limits: Limits) -> Deed:
    """End a step that runs or waits; without a step all of them. One that is gone from the files may still run."""
    steps = [name for name, past in desk.state.steps.items() if past.fence and not _wanted(desk, name)]
    if (step := arguments.get("step")) is not None:
        if step not in steps:
            _refuse_unless(_board(desk).decisions[known_step(desk, step)], step, "cancel", _CANCEL)
        steps = [step]
    elif desk.board is not None or not steps:
        steps += [name for name, one in _board(desk).decisions.items() if not one.final]
    deed = Deed(answer={"steps": steps})
    for name in steps:
        past = desk.state.steps.get(name)
        if past is not None and _is_cancelled(desk, past):
            continue
        event: dict[str, Any] = {"type": "step.cancelled", "project": desk.name, "step": name}
        if past is not None and past.fence:
            event["fence"] = past.fence
            deed.kill[past.fence] = past
        deed.events.append({**event, "data": {"by": by}})
    return deed


def _wanted(desk: Desk, step: str) -> bool:
    """Whether the step stands in the files."""
    return desk.board is not None and step in desk.board.workflow.steps


def _is_cancelled(desk: Desk, past: StepState) -> bool:
    """Whether a cancel stands already, also one that the step still has to come to."""
    run = desk.state.run
    floor = max(past.floor, run.floor if run is not None else 0)
    return past.cancelled is not None and past.cancelled[0] == desk.state.generation and past.cancelled[1] > floor


def suspend(desk: Desk, arguments: Mapping[str, Any], by: str, limits: Limits) -> Deed:
    """Dispatch nothing more until `resume`."""
    if desk.state.suspended:
        return Deed()
    return Deed([{"type": "project.suspended", "project": desk.name, "data": {"by": by}}])


def resume(desk: Desk, arguments: Mapping[str, Any], by: str, limits: Limits) -> Deed:
    """Go on after `suspend`."""
    if desk.workflow is not None and desk.workflow.suspend:
        raise Refused(f"{desk.name} is suspended by its file: take out `suspend: true`")
    if not desk.state.suspended:
        return Deed()
    return Deed([{"type": "project.resumed", "project": desk.name, "data": {"by": by}}])


def delete(desk: Desk, arguments: Mapping[str, Any], by: str, limits: Limits) -> Deed:
    """Forget a project that no file wants any more: nothing of it is dispatched, its history stays on the bus."""
    state = desk.state
    if desk.problems or not (state.submitted or state.orphaned):
        raise Refused(f"the files of {desk.name} want it: delete them")
    if state.deleted:
        return Deed()
    return Deed([{"type": "project.deleted", "project": desk.name, "data": {"by": by}}])


VERBS: Mapping[str, Verb] = {
    "sync": sync,
    "run": run,
    "release": release,
    "retry": retry,
    "cancel": cancel,
    "suspend": suspend,
    "resume": resume,
    "delete": delete,
}

_BROKEN = frozenset({Status.FAILED, Status.CANCELLED, Status.WAITING_PERSON})
_RETRY: Mapping[Status, str] = {
    Status.RUNNING: "it is running: cancel it first",
    Status.SKIPPED: "its condition, or a step before it, skips it",
}
_CANCEL: Mapping[Status, str] = {
    Status.SUCCEEDED: "it has succeeded",
    Status.FAILED: "it has failed already",
    Status.SKIPPED: "it is skipped",
}


def _refuse_unless(decision: Decision, step: str, verb: str, table: Mapping[Status, str]) -> None:
    if (why := table.get(decision.status)) is not None:
        raise Refused(f"cannot {verb} step {step}: {why}")
    if decision.reason is Reason.UPSTREAM_FAILED:
        what = "retry that one" if verb == "retry" else "it does not run anyway"
        raise Refused(f"cannot {verb} step {step}: {decision.detail}; {what}")


def known_step(desk: Desk, step: str) -> str:
    """The step, if the project has it."""
    from difflib import get_close_matches

    steps = _board(desk).workflow.steps
    if step not in steps:
        close = get_close_matches(step, steps, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise NotThere(f"{desk.name} has no step {step}{hint}")
    return step


def _board(desk: Desk) -> Board:
    if desk.board is None:
        if desk.state.orphaned:
            raise Refused(f"the files of {desk.name} are gone: put them back")
        first = f": {desk.problems[0]}" if desk.problems else ""
        raise Refused(f"{desk.name} has no valid workflow yet{first}")
    return desk.board


def _open_run(desk: Desk) -> int | None:
    return desk.state.run.number if desk.state.run is not None else None
