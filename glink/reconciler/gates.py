"""What keeps a step that is ready from being given away: its engine, its project, its agent. Pure.

Asked by the plan for every slot, by `decide` for how long a place in the queue is waited for, by the conductor when it
adopts. Time in which a gate was closed is not time in the queue: the agent could not have worked then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from glink.clock import seconds_of
from glink.reconciler.actions import Reason
from glink.state import StepState
from glink.world import World

if TYPE_CHECKING:
    from glink.reconciler.board import Board

_COUNTS = (None, Reason.NO_SLOT)
_NEVER = StepState()


def closed_by(board: Board) -> Reason | None:
    """Why nothing of this project is dispatched at all; None when it is."""
    if board.world.draining:
        return Reason.DRAINING
    if board.world.full:
        return Reason.NO_SLOT
    if board.state.suspended or board.workflow.suspend:
        return Reason.SUSPENDED
    if board.world.serve_only and (board.state.run is None or not board.state.run.floor):
        return Reason.SERVE_ONLY
    if board.state.orphaned:
        return Reason.ORPHANED
    return None


def closed_to(board: Board, step: str) -> Reason | None:
    """Why this engine does not do this step; None when it does."""
    if board.world.engine is None and board.workflow.steps[step].side_effects:
        return Reason.OTHER_ENGINE
    return None


def agent_closed(world: World, agent: str, now: float, taken: int = 0) -> Reason | None:
    """Why an agent (or `run:INTERPRETER`) takes nothing now; None when it does."""
    if agent.startswith("run:"):
        return None if agent[4:] in world.commands else Reason.NO_WORKER
    spec = world.agent(agent)
    if spec is None:
        return Reason.NO_WORKER
    if agent in world.paused and world.paused[agent] == spec.access:
        return Reason.AGENT_PAUSED
    if world.cooling.get(agent, 0.0) > now:
        return Reason.AGENT_COOLING
    if spec.concurrency is not None and world.by_agent.get(agent, 0) + taken >= spec.concurrency:
        return Reason.NO_SLOT
    return None


def queue_end(board: Board, step: str, agent: str, most: float) -> float | None:
    """When the step has waited `most` seconds for a place; None while only somebody's deed can open its gate."""
    now, world = board.now, board.world
    closed = closed_by(board) or closed_to(board, step) or agent_closed(world, agent, now)
    if closed not in (*_COUNTS, Reason.AGENT_COOLING):
        return None
    since = _ready_since(board, step)
    shut = _covered([*world.closed.get(agent, ()), *board.state.suspensions], since, now, world.started)
    begins = world.cooling[agent] if closed is Reason.AGENT_COOLING else now
    return begins + most - max(now - since - shut, 0.0)


def _ready_since(board: Board, step: str) -> float:
    """The newest of all that could have made the step ready."""
    state = board.state
    past = state.steps.get(step, _NEVER)
    times = [state.changed, board.world.started, past.ended, past.asked, state.run.opened if state.run else ""]
    seen, waits = set(), list(board.workflow.graph.parents[step])
    while waits:
        one = waits.pop()
        if one not in seen:
            seen.add(one)
            times.append(state.steps.get(one, _NEVER).ended)
            waits.extend(board.workflow.graph.parents[one])
    return max((seconds_of(one) for one in times if one), default=board.now)


def _covered(spans: Iterable[Sequence[float | None]], since: float, now: float, started: str) -> float:
    """Seconds between `since` and `now` that lie in a span; one without an end was ended by a new configuration."""
    total, reached, renewed = 0.0, since, seconds_of(started) if started else since
    for begin, end in sorted((span[0] or 0.0, renewed if span[1] is None else span[1]) for span in spans):
        begins, ends = max(begin, reached), min(end, now)
        if ends > begins:
            total, reached = total + ends - begins, ends
    return total
