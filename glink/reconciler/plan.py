"""`plan`: what closes the gap between the steps wanted and the steps done. Pure: no I/O, no clock, no randomness.

The conductor performs it, `glink plan` prints it, and a test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush

from glink.reconciler.actions import Action, Dispatch, Fail, Plan, Reason, Restore, Settle, Skip
from glink.reconciler.board import Board
from glink.reconciler.decide import UNRENDERABLE
from glink.reconciler.fingerprint import Rendered, why_gone
from glink.reconciler.gates import agent_closed, closed_by, closed_to
from glink.state import fingerprint_key

MAX_DISPATCHES = 1_000


def plan(board: Board, *, now: float, dirty: Iterable[str] | None = None) -> Plan:
    """Refresh the board (`dirty` None: all of it) and say what is to be done now; `now` in seconds since 1970."""
    board.refresh(dirty, now)
    state = board.state
    number = state.run.number if state.run is not None else state.runs + 1
    actions: list[Action] = []
    for step in board.acting():
        action = board.decisions[step].action
        if action is not None:
            action.run = number
            actions.append(action)
    opened = state.run is not None or any(isinstance(action, Restore | Skip | Fail) for action in actions)
    if board.open:
        actions.extend(_dispatches(board, number))
    elif opened:
        actions.append(_settle(board, number))
    return Plan(actions, _wake_at(board))


def _settle(board: Board, number: int) -> Settle:
    bad = tuple(step for step, one in board.decisions.items() if not one.sound)
    failed = tuple(step for step in bad if board.decisions[step].reason in (Reason.EXHAUSTED, Reason.STALLED))
    return Settle(number, "failed" if bad else "succeeded", failed)


def _wake_at(board: Board) -> float | None:
    cooling = board.world.cooling
    times = [until for agent, until in cooling.items() if _first_ready(board, agent) is not None] if cooling else []
    if (due := board.next_due()) is not None:
        times.append(due)
    return min((one for one in times if one > board.now), default=None) if times else None


def _dispatches(board: Board, number: int) -> list[Action]:
    """Give out the slots that are free, in topological order over all agents that can take one."""
    if closed_by(board) is not None:
        return []
    world = board.world
    free = min(world.concurrency - world.in_flight, MAX_DISPATCHES)
    if board.workflow.concurrency is not None:
        free = min(free, board.workflow.concurrency - board.running)
    taken: dict[str, int] = {}
    seen: set[str] = set()
    kept: list[tuple[str, tuple[int, str]]] = []
    granted: list[Action] = []
    while free > 0 and (agent := _next_agent(board, taken)) is not None:
        entry = heappop(board.ready[agent])
        step = entry[1]
        if step in seen:
            continue
        seen.add(step)
        wish = board.decisions[step].wish
        assert wish is not None
        kept.append((agent, entry))
        if closed_to(board, step):
            continue
        try:
            granted.append(prepared(board, step, number))
        except UNRENDERABLE as problem:
            granted.append(Fail(step, "template", "render", why_gone(problem), wish.key, wish.floor, number))
            continue
        if not world.pulls(agent):
            taken[agent] = taken.get(agent, 0) + 1
            free -= 1
    for agent, entry in kept:
        # A plan only proposes: the entries leave the heap when the dispatch is folded (`Board.dispatched`).
        heappush(board.ready.setdefault(agent, []), entry)
    return granted


def _next_agent(board: Board, taken: dict[str, int]) -> str | None:
    """The agent with the first ready step among those that can take one now."""
    best: tuple[int, str] | None = None
    for agent in list(board.ready):
        first = _first_ready(board, agent)
        if first is None or (best is not None and best[0] < first):
            continue
        if agent_closed(board.world, agent, board.now, taken.get(agent, 0)) is None:
            best = (first, agent)
    return best[1] if best is not None else None


def _first_ready(board: Board, agent: str) -> int | None:
    """The rank of the first step that still wants this agent; None when none does."""
    heap = board.ready.get(agent)
    while heap and not _still_wanted(board, heap[0][1], agent):
        heappop(heap)
    if not heap:
        board.ready.pop(agent, None)
        return None
    return heap[0][0]


def _still_wanted(board: Board, step: str, agent: str) -> bool:
    wish = board.decisions[step].wish
    return wish is not None and wish.agent == agent


def prepared(board: Board, step: str, number: int) -> Dispatch:
    """A dispatch with everything the agent is handed; raises RenderProblem."""
    decision = board.decisions[step]
    wish = decision.wish
    assert wish is not None
    recipe = board.recipe(step)
    if wish.released:
        past = board.state.steps[step].answer
        recipe = board.released_recipe(step, past.generation if past else 0) or recipe
    values = board.moment(attempt=wish.attempt, run=number) if recipe.volatile or recipe.handed else board.values
    rendered = recipe.render(values)
    text, lapse = rendered.text, board.state.steps[step].lapse if step in board.state.steps else None
    if wish.reask and lapse is not None:
        text = f"{text}\n\nYour last answer could not be used: {lapse.message}\nAnswer again, with this mended."
    return Dispatch(
        step, wish, number, text, rendered.bare, rendered.context, rendered.args, rendered.env, rendered.stdin
    )


def waits_for(board: Board, step: str) -> tuple[Reason, str]:
    """Why a step that is not final does not run at this moment, and who holds it: for people."""
    decision = board.decisions[step]
    offered = decision.reason is Reason.NO_WORKER
    if decision.wish is None and not offered:
        return decision.reason, board.holder(step) if decision.reason is Reason.WAITING_FOR else ""
    if (closed := closed_by(board) or closed_to(board, step)) is not None:
        return closed, "the disk is full" if closed is Reason.NO_SLOT else ""
    agent = decision.wish.agent if decision.wish is not None else board.workflow.steps[step].agent or ""
    if offered:
        return Reason.NO_WORKER, agent
    return agent_closed(board.world, agent, board.now) or Reason.NO_SLOT, agent


def may_run(board: Board, step: str) -> bool:
    """Whether the step stands behind one that will run, so that its own answer decides."""
    return board.decisions[step].reason is Reason.WAITING_FOR


def given_again(board: Board, step: str, run: int, key: str) -> Rendered | None:
    """What an attempt in flight was handed, if it would be handed the same now; else None."""
    if step not in board.workflow.steps:
        return None
    recipe = board.recipe(step)
    values = board.moment(attempt=1, run=run)
    try:
        same = fingerprint_key(recipe.fingerprint(values)) == key
        return recipe.render(values) if same else None
    except UNRENDERABLE:
        return None
