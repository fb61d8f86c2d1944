"""The fold of one step's events: given away, claimed, answered, failed, restored. Called by `glink.fold` alone.

Each transition says whether the record fits; one that does not changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from glink.event import Record
from glink.state import NOTHING, Answer, Lapse, Offer, ProjectState, Run, StepState

MAX_ANSWERS = 100


def enter_run(state: ProjectState, record: Record) -> None:
    """The first action of an edit opens a run."""
    number = record["run"]
    if state.run is None and number > state.runs:
        state.runs = number
        state.run = Run(number, record["time"])


def _dispatched(state: ProjectState, record: Record) -> bool:
    data, name = record["data"], record["step"]
    step = state.steps.get(name) or state.step(name)
    if step.fence:
        return False
    attempt = record["attempt"]
    run = record["run"]
    fingerprint = data["fingerprint"]
    key = data["key"]
    reason = data["reason"]
    generation = data["generation"]
    definition = data["definition"]
    agent = data["agent"]
    if state.run is None:
        enter_run(state, record)
    if key != step.key:
        _asked(step, key)
    step.fence = step.given = record["seq"]
    step.attempt = attempt
    step.reask = data.get("reask", 0)
    step.reason = reason
    step.agent = agent
    step.dispatched = record["time"]
    step.run = run
    step.generation = generation
    step.definition = definition
    step.fingerprint = fingerprint
    step.key = key
    step.tried_floor = data.get("floor", 0)
    step.cancelled = step.skipped = step.offer = None
    step.worker = ""
    return True


def _offered(state: ProjectState, record: Record) -> bool:
    data = record["data"]
    step = state.step(record["step"])
    if step.fence:
        return False
    offer = Offer(
        seq=record["seq"],
        time=record["time"],
        run=record["run"],
        attempt=record["attempt"],
        reask=data.get("reask", 0),
        reason=data["reason"],
        agent=data["agent"],
        generation=data["generation"],
        definition=data["definition"],
        fingerprint=data["fingerprint"],
        key=data["key"],
        floor=data.get("floor", 0),
    )
    enter_run(state, record)
    step.offer = offer
    step.skipped = None
    return True


def _claimed(state: ProjectState, record: Record) -> bool:
    """A worker took an offer: from here on it is as if it had been dispatched, and the claim's seq is the fence."""
    step = state.steps.get(record["step"])
    offer = step.offer if step is not None else None
    if step is None or offer is None or step.fence or record["data"]["offer"] != offer.seq:
        return False
    _asked(step, offer.key)
    step.worker, step.given = record["data"]["worker"], offer.seq
    step.fence, step.dispatched = record["seq"], record["time"]
    step.attempt, step.reask, step.reason, step.agent = offer.attempt, offer.reask, offer.reason, offer.agent
    step.run, step.generation, step.definition = offer.run, offer.generation, offer.definition
    step.fingerprint, step.key, step.tried_floor = offer.fingerprint, offer.key, offer.floor
    step.offer = step.cancelled = None
    return True


def _asked(step: StepState, key: str) -> None:
    """Another question than the last: what was counted towards parking is no longer in a row."""
    if key != step.key:
        step.lost, step.spent = 0, ("", 0)


def _succeeded(state: ProjectState, record: Record) -> bool:
    step = state.steps.get(record["step"])
    if step is None or not step.fence or step.fence != record["fence"]:
        return False
    data, time = record["data"], record["time"]
    get = data.get
    answer = Answer(
        step.fence,
        record["seq"],
        time,
        step.run,
        step.generation,
        step.definition,
        step.fingerprint,
        step.key,
        data["digest"],
        get("output"),
        get("blob"),
        get("json", False),
        get("artifacts") or NOTHING,
        get("usage") or NOTHING,
        get("seconds", 0.0),
    )
    _stand(step, answer, time)
    step.fence = step.lost = 0
    step.ended = time
    step.restored = False
    step.spent = ("", 0)
    return True


def _stand(step: StepState, answer: Answer, time: str) -> None:
    """The answer that stands is the last one of its step's `answers`."""
    answers, key, former = step.answers, answer.key, step.answer
    if former is not None:
        former.displaced = time
    answer.displaced = ""
    if former is None or former.key != key:
        answers.pop(key, None)
    answers[key] = answer
    if len(answers) > MAX_ANSWERS:
        del answers[next(iter(answers))]
    step.answer = answer
    step.lapse = step.skipped = step.parked = step.held = step.cancelled = step.offer = None


def _failed(state: ProjectState, record: Record) -> bool:
    data = record["data"]
    cls, fence = data["class"], record.get("fence", 0)
    step = state.step(record["step"])
    if fence != step.fence:
        return False
    if not fence:
        # Failed before anybody was asked: a task that cannot be rendered, a place in the queue that came too late.
        enter_run(state, record)
        _asked(step, data["key"])
        step.key, step.tried_floor, step.attempt, step.reask = data["key"], data.get("floor", 0), 0, 0
        step.run, step.cancelled = record["run"], None
    step.fence = 0
    step.ended = record["time"]
    step.lost = step.lost + 1 if cls == "lost" else 0
    step.lapse = Lapse(
        seq=record["seq"],
        fence=fence,
        time=record["time"],
        cls=cls,
        code=data["code"],
        message=data["message"],
        key=step.key,
        floor=step.tried_floor,
        attempt=step.attempt,
        reask=step.reask,
        retry=bool(data.get("retry")),
        retry_at=data.get("retry_at"),
    )
    return True


def _cancelled(state: ProjectState, record: Record) -> bool:
    step = state.step(record["step"])
    if record.get("fence", 0) != step.fence:
        return False
    step.fence, step.offer = 0, None
    step.ended = record["time"]
    step.cancelled = (state.generation, record["seq"])
    return True


def _skipped(state: ProjectState, record: Record) -> bool:
    step = state.step(record["step"])
    if step.fence:
        return False
    data = record["data"]
    key = data["key"]
    enter_run(state, record)
    step.skipped, step.skip_seq, step.lapse, step.offer = key, record["seq"], None, None
    step.ended = record["time"]
    return True


def _restored(state: ProjectState, record: Record) -> bool:
    step = state.step(record["step"])
    data = record["data"]
    if step.fence:
        return False
    answer = Answer(**data["answer"]) if "answer" in data else step.answers.get(data["key"])
    if answer is None:
        return False
    enter_run(state, record)
    _stand(step, answer, record["time"])
    step.restored = True
    step.ended = record["time"]
    return True


def _held(state: ProjectState, record: Record) -> bool:
    state.step(record["step"]).held = record["data"]["key"]
    return True


def _parked(state: ProjectState, record: Record) -> bool:
    state.step(record["step"]).parked = record["data"]["key"]
    return True


def _counted(state: ProjectState, record: Record) -> bool:
    """A result that no longer counts is there to be read."""
    return True


STEP_TRANSITIONS: Mapping[str, Callable[[ProjectState, Record], bool]] = {
    "step.dispatched": _dispatched,
    "step.offered": _offered,
    "step.claimed": _claimed,
    "step.succeeded": _succeeded,
    "step.failed": _failed,
    "step.cancelled": _cancelled,
    "step.skipped": _skipped,
    "step.restored": _restored,
    "step.held": _held,
    "step.parked": _parked,
    "step.stale": _counted,
}
