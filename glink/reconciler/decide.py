"""The decision on one step: may it start, need it run, what became of its last try. Pure; called by the board.

The order is the order of the rules: what is in flight stays; parents first; the condition; the fingerprint; a failure
that stands; the answer that stands; policy (hold, keep); an earlier answer; and only then a wish for a slot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from glink import digest
from glink.agents.agent import ErrorClass
from glink.jsontext import canonical
from glink.reconciler.actions import Decision, Fail, Hold, Park, Reason, Restore, Skip, Status, Wish
from glink.reconciler.fingerprint import Recipe, differing, reason_of, why_gone
from glink.reconciler.gates import queue_end
from glink.reconciler.policy import STALLED_AFTER, after_failure, needs_a_person, timeout_of
from glink.state import Answer, Lapse, StepState, fingerprint_key
from glink.templates.template import RenderProblem
from glink.workflow import Join, OnChange, Step

if TYPE_CHECKING:
    from glink.reconciler.board import Board

IN_FLIGHT = Decision(Reason.IN_FLIGHT, Status.RUNNING, final=False, synced=False)
WAITING_FOR = Decision(Reason.WAITING_FOR, Status.WAITING, final=False, synced=False)
UNRENDERABLE = (RenderProblem, KeyError)
_NEVER = StepState()


def decide(board: Board, step: str) -> Decision:
    """What is to be thought of `step` now."""
    past = board.state.steps.get(step, _NEVER)
    if past.fence:
        return IN_FLIGHT
    if board.unmet[step]:
        return WAITING_FOR
    spec = board.workflow.steps[step]
    recipe = board.recipe(step)
    floor = _floor(board, spec, recipe, past)
    if spec.after and (gate := _join(board, spec, past, floor)) is not None:
        return gate
    try:
        if recipe.when is not None and not recipe.when.holds(board.values):
            return _skip(spec, past, Reason.CONDITION_FALSE, _verdict_key(board, recipe), floor)
        fingerprint, key = fingerprint_of(board, step, recipe)
    except UNRENDERABLE as problem:
        return _unrenderable(board, spec, recipe, past, floor, problem)
    return _judge(board, spec, recipe, past, floor, fingerprint, key)


def _floor(board: Board, spec: Step, recipe: Recipe, past: StepState) -> int:
    """The seq below which an answer is too old for the open run (design: runs and triggers)."""
    run = board.state.run
    if run is None or not run.floor:
        return past.floor
    subject = run.force or not spec.after or recipe.requested or spec.side_effects or not spec.reuse
    return max(past.floor, run.floor) if subject else past.floor


def _join(board: Board, spec: Step, past: StepState, floor: int) -> Decision | None:
    """Whether the ends of the parents let the step start: None when they do."""
    failed = skipped = ""
    good = 0
    decisions = board.decisions
    for parent in spec.after:
        decision = decisions[parent]
        if decision.status is Status.SUCCEEDED:
            good += 1
        elif decision.status is Status.SKIPPED:
            skipped = parent
        elif not (decision.status is Status.FAILED and decision.sound):
            failed = parent
    if good == len(spec.after):
        return None
    match spec.join:
        case Join.ALL_DONE:
            return None
        case Join.ONE_SUCCESS if good:
            return None
        case Join.NONE_FAILED if not failed:
            return None
        case Join.ALL_SUCCESS if not failed and not skipped:
            return None
    if failed:
        detail = f"step {failed} {decisions[failed].status}"
        return Decision(Reason.UPSTREAM_FAILED, Status.WAITING, final=True, synced=False, sound=False, detail=detail)
    if skipped:
        return _skip(spec, past, Reason.UPSTREAM_SKIPPED, f"upstream {skipped}", floor)
    return None


def _skip(spec: Step, past: StepState, reason: Reason, key: str, floor: int) -> Decision:
    known = past.skipped == key and past.skip_seq >= floor
    action = None if known else Skip(spec.id, reason, key)
    return Decision(reason, Status.SKIPPED, final=True, action=action)


def _verdict_key(board: Board, recipe: Recipe) -> str:
    assert recipe.when is not None
    decisions = board.decisions
    values = [[one, decisions[one].status, _digest(decisions[one])] for one in sorted(recipe.when.names.steps)]
    return digest.brief(canonical([recipe.step.when, values, board.values["params"]]))


def _digest(decision: Decision) -> str | None:
    return decision.answer.digest if decision.answer is not None else None


def fingerprint_of(board: Board, step: str, recipe: Recipe) -> tuple[dict[str, str], str]:
    """The parts and their key, remembered for these ingredients; raises RenderProblem, KeyError for a body that is gone."""
    ingredients = recipe.ingredients(board.decisions)
    known = board.memo.get(step)
    if known is not None and known[0] == ingredients:
        return known[1], known[2]
    values = board.moment(attempt=1, run=board.state.runs) if recipe.volatile else board.values
    fingerprint = recipe.fingerprint(values)
    key = fingerprint_key(fingerprint)
    board.memo[step] = (ingredients, fingerprint, key)
    return fingerprint, key


def _unrenderable(
    board: Board, spec: Step, recipe: Recipe, past: StepState, floor: int, problem: Exception
) -> Decision:
    message = why_gone(problem)
    key = digest.brief(canonical([spec.definition, recipe.ingredients(board.decisions), message]))
    lapse = past.lapse
    known = lapse is not None and lapse.key == key and lapse.floor >= floor
    action = None if known else Fail(spec.id, ErrorClass.TEMPLATE, "render", message, key, floor)
    return _ended_badly(spec, Reason.EXHAUSTED, message, action)


def _judge(
    board: Board,
    spec: Step,
    recipe: Recipe,
    past: StepState,
    floor: int,
    fingerprint: dict[str, str],
    key: str,
) -> Decision:
    """The step is ready and what it would be given is known: does it stand, or must it run?"""
    cancelled, lapse, answer = past.cancelled, past.lapse, past.answer
    if cancelled is not None or (lapse is not None and lapse.key == key):
        # What ended badly has no answer that could be cut off by: a run asks for it again, wherever it stands.
        floor = max(floor, board.state.run.floor if board.state.run is not None else 0)
    if cancelled is not None and cancelled[0] == board.state.generation and cancelled[1] > floor:
        return Decision(Reason.CANCELLED, Status.CANCELLED, final=True, synced=False, sound=False)
    if answer is not None and lapse is None and answer.key == key and answer.fence >= floor:
        return _stands(past, answer, fingerprint)
    wish = Wish(Reason.NEVER_RAN, _agent_of(spec), key, fingerprint, spec.definition, floor=floor)
    if lapse is not None and lapse.key == key and not _other_profile(lapse, past, fingerprint):
        decision = _after_lapse(board, spec, past, lapse, wish)
        if decision is not None:
            return decision
    if answer is not None:
        changed = differing(answer.fingerprint, fingerprint) if answer.key != key else ()
        if not changed and answer.fence >= floor:
            return _stands(past, answer, fingerprint)
        wish.changed = changed
        wish.reason = _why(board, answer, changed, spec.definition, floor)
        if changed and spec.on_change is not OnChange.RUN and answer.definition != spec.definition:
            decision = _by_policy(board, spec, past, answer, wish)
            if decision is not None:
                return decision
    elif past.fingerprint:
        wish.changed = differing(past.fingerprint, fingerprint)
        wish.reason = _why_anew(board, past, wish, floor)
    if spec.reuse and (restored := _earlier(board, spec, past, key, floor)) is not None:
        return restored
    return _wanted(board, spec, wish)


def _agent_of(spec: Step) -> str:
    return spec.agent if spec.agent is not None else f"run:{spec.run.using if spec.run else ''}"


def _other_profile(lapse: Lapse, past: StepState, fingerprint: dict[str, str]) -> bool:
    """A failure that the configuration caused is over when the agent's profile is another."""
    return lapse.cls == ErrorClass.CONFIG and past.fingerprint.get("profile") != fingerprint.get("profile")


def _stands(past: StepState, answer: Answer, fingerprint: dict[str, str]) -> Decision:
    reason = Reason.UP_TO_DATE
    if answer.fingerprint.get("profile") != fingerprint.get("profile"):
        reason = Reason.KEPT
    elif past.restored:
        reason = Reason.RESTORED
    return Decision(reason, Status.SUCCEEDED, final=True, answer=answer)


def _why(board: Board, answer: Answer, changed: tuple[str, ...], definition: str, floor: int) -> Reason:
    if answer.fence < floor:
        return _by_request(board, floor)
    return reason_of(changed, same_definition=answer.definition == definition)


def _by_request(board: Board, floor: int) -> Reason:
    run = board.state.run
    return Reason.TRIGGERED if run is not None and run.floor == floor and not run.force else Reason.FORCED


def _why_anew(board: Board, past: StepState, wish: Wish, floor: int) -> Reason:
    """The step was given away before and never answered: what is new since then."""
    if wish.changed:
        return reason_of(wish.changed, same_definition=past.definition == wish.definition)
    return _by_request(board, floor) if past.tried_floor < floor else Reason.NEVER_RAN


def _by_policy(board: Board, spec: Step, past: StepState, answer: Answer, wish: Wish) -> Decision | None:
    """An edit of a step that is done, under `hold` or `keep`. None: it runs like any other."""
    below = answer.fence < wish.floor
    if spec.on_change is OnChange.KEEP:
        return None if below else Decision(Reason.KEPT, Status.SUCCEEDED, final=True, answer=answer)
    if board.state.released >= board.state.generation:
        return None
    tried = below or past.lapse is not None
    if tried and (decision := _as_released(board, spec, past, answer, wish, below=below)) is not None:
        return decision
    action = Hold(spec.id, wish.key) if past.held != wish.key else None
    return Decision(
        Reason.HELD, Status.SUCCEEDED, final=True, answer=answer, action=action, synced=False,
        detail="an edit waits for `glink release`",
    )  # fmt: skip


def _as_released(
    board: Board, spec: Step, past: StepState, answer: Answer, wish: Wish, *, below: bool
) -> Decision | None:
    """A held step below a floor runs as last released, and a failure of that stands; None when neither can be."""
    recipe = board.released_recipe(spec.id, answer.generation)
    if recipe is None:
        return None
    try:
        fingerprint = recipe.fingerprint(board.moment(attempt=1, run=board.state.runs))
    except UNRENDERABLE:
        return None
    key, lapse = fingerprint_key(fingerprint), past.lapse
    if lapse is not None and (lapse.key != key or _other_profile(lapse, past, fingerprint)):
        lapse = None
    if lapse is None and not below:
        return None
    wish.key, wish.fingerprint = key, fingerprint
    wish.definition, wish.released, wish.changed = answer.definition, True, ()
    if lapse is not None:
        wish.floor = max(wish.floor, board.state.run.floor if board.state.run is not None else 0)
        if (decision := _after_lapse(board, spec, past, lapse, wish)) is not None:
            return decision
    return _wanted(board, spec, wish)


def _earlier(board: Board, spec: Step, past: StepState, key: str, floor: int) -> Decision | None:
    found, source = past.answers.get(key), ""
    if found is None and not past.answers and (other := board.takeover(spec.id, key)) is not None:
        source, found = other
    if found is None or (found.fence < floor and not source) or (source and floor):
        return None
    return Decision(
        Reason.RESTORED, Status.SUCCEEDED, final=True, answer=found, action=Restore(spec.id, found, source=source)
    )


def _after_lapse(board: Board, spec: Step, past: StepState, lapse: Lapse, wish: Wish) -> Decision | None:
    """A failure with this very fingerprint stands. None when it is below the floor: tried anew, from 0."""
    agent = board.world.agent(spec.agent) if spec.agent is not None else None
    if past.spent[1] >= STALLED_AFTER or past.lost >= STALLED_AFTER:
        action = Park(spec.id, wish.key, lapse.message) if past.parked != wish.key else None
        return _ended_badly(spec, Reason.STALLED, lapse.message, action)
    if lapse.floor < wish.floor:
        return None
    if needs_a_person(spec, lapse):
        return Decision(
            Reason.UNKNOWN_OUTCOME, Status.WAITING_PERSON, final=False, synced=False, sound=False, detail=lapse.message
        )
    if lapse.cls == ErrorClass.AUTH and agent is not None:
        wish.reason, wish.attempt = Reason.RETRY_DUE, max(lapse.attempt, 1)
        return _wanted(board, spec, wish)
    again = after_failure(spec, lapse, agent)
    if again is None:
        return _ended_badly(spec, Reason.EXHAUSTED, lapse.message, None)
    if again.due > board.now:
        return Decision(
            Reason.BACKING_OFF, Status.WAITING, final=False, due=again.due, synced=False, detail=lapse.message
        )
    wish.reason = Reason.LOST if lapse.cls == ErrorClass.LOST else Reason.RETRY_DUE
    wish.attempt, wish.reask = again.attempt, again.reask
    return _wanted(board, spec, wish)


def _ended_badly(spec: Step, reason: Reason, detail: str, action: Fail | Park | None) -> Decision:
    tolerated = spec.allow_failure
    return Decision(reason, Status.FAILED, final=True, action=action, synced=tolerated, sound=tolerated, detail=detail)


def _wanted(board: Board, spec: Step, wish: Wish) -> Decision:
    """A wish for a slot, with the moment at which it has waited too long."""
    agent = board.world.agent(spec.agent) if spec.agent is not None else None
    most = timeout_of(spec, agent)["queue"] if "queue" in spec.timeout or (agent and "queue" in agent.timeout) else None
    due = None
    if most is not None:
        due = queue_end(board, spec.id, wish.agent, most)
        if due is not None and due <= board.now:
            message = f"no place with agent {wish.agent} within {most:g} s"
            fail = Fail(spec.id, ErrorClass.QUEUE_TIMEOUT, "queue", message, wish.key, wish.floor)
            return _ended_badly(spec, Reason.EXHAUSTED, message, fail)
    if _is_offered(board, spec, wish):
        return Decision(Reason.NO_WORKER, Status.QUEUED, final=False, due=due, synced=False)
    return Decision(wish.reason, Status.QUEUED, final=False, wish=wish, due=due, synced=False)


def _is_offered(board: Board, spec: Step, wish: Wish) -> bool:
    """Whether workers have been offered just this: then only a claim is waited for."""
    offer = board.state.steps.get(spec.id, _NEVER).offer
    if offer is None or not board.world.pulls(wish.agent):
        return False
    asked = (wish.agent, wish.key, wish.floor, wish.attempt, wish.reask)
    return asked == (offer.agent, offer.key, offer.floor, offer.attempt, offer.reask)
