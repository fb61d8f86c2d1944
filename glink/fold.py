"""The fold: what a record does to the state of its project, as a table of transitions.

`fold(state, record)` is pure and total: a record that does not fit (stale fence, unknown shape) changes nothing but
`state.ignored`. It changes in place the state that its one owner holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from glink.clock import seconds_of
from glink.event import ENGINE_TYPES, Record
from glink.state import Answer, Lapse, ProjectState, Run, Settled, StepState
from glink.world import closing, opening

MAX_ANSWERS = 100
MAX_NOTES = 100
MAX_GENERATIONS = 1_000


def fold(state: ProjectState, record: Record) -> None:
    """Take one record of this project into `state`; see the module's docstring."""
    seq = record["seq"]
    if seq <= state.seq:
        return
    state.seq = seq
    kind = record["type"]
    transition = TRANSITIONS.get(kind)
    try:
        if transition is not None:
            if not transition(state, record):
                state.ignored += 1
        elif kind not in ENGINE_TYPES:
            _note(state, record)
    except (KeyError, TypeError, ValueError, AttributeError):
        # A record of the right type and the wrong shape: nobody may lose a project to it, and it is counted.
        state.ignored += 1


def _note(state: ProjectState, record: Record) -> None:
    notes = state.notes.setdefault(record["type"], [])
    notes.append({"seq": record["seq"], "time": record["time"], "data": record.get("data", {})})
    if len(notes) > MAX_NOTES:
        del notes[0]


def _enter_run(state: ProjectState, record: Record) -> None:
    number = record["run"]
    if state.run is None and number > state.runs:
        state.runs = number
        state.run = Run(number, record["time"])


def _dispatched(state: ProjectState, record: Record) -> bool:
    data = record["data"]
    step = state.step(record["step"])
    if step.fence:
        return False
    attempt, run, fingerprint, key = record["attempt"], record["run"], data["fingerprint"], data["key"]
    reason, generation, definition, agent = data["reason"], data["generation"], data["definition"], data["agent"]
    _enter_run(state, record)
    _asked(step, key)
    step.fence = record["seq"]
    step.attempt, step.reask = attempt, data.get("reask", 0)
    step.reason, step.agent, step.dispatched = reason, agent, record["time"]
    step.run, step.generation, step.definition = run, generation, definition
    step.fingerprint, step.key, step.tried_floor = fingerprint, key, data.get("floor", 0)
    step.cancelled = step.skipped = None
    return True


def _asked(step: StepState, key: str) -> None:
    """Another question than the last: what was counted towards parking is no longer in a row."""
    if key != step.key:
        step.lost, step.spent = 0, ("", 0)


def _succeeded(state: ProjectState, record: Record) -> bool:
    step = state.steps.get(record["step"])
    if step is None or not step.fence or step.fence != record["fence"]:
        return False
    data = record["data"]
    answer = Answer(
        step.fence,
        record["seq"],
        record["time"],
        step.run,
        step.generation,
        step.definition,
        step.fingerprint,
        step.key,
        data["digest"],
        data.get("output"),
        data.get("blob"),
        data.get("json", False),
        data.get("artifacts") or {},
        data.get("usage") or {},
        data.get("seconds", 0.0),
    )
    _stand(step, answer)
    step.fence = 0
    step.ended = record["time"]
    step.restored = False
    step.spent = ("", 0)
    step.lost = 0
    return True


def _stand(step: StepState, answer: Answer) -> None:
    answers = step.answers
    answers.pop(answer.key, None)
    answers[answer.key] = answer
    if len(answers) > MAX_ANSWERS:
        del answers[next(iter(answers))]
    step.answer = answer
    step.lapse = step.skipped = step.parked = step.held = step.cancelled = None


def _failed(state: ProjectState, record: Record) -> bool:
    data = record["data"]
    cls, fence = data["class"], record.get("fence", 0)
    step = state.step(record["step"])
    if fence != step.fence:
        return False
    if not fence:
        # Failed before anybody was asked: a task that cannot be rendered, a place in the queue that came too late.
        _enter_run(state, record)
        _asked(step, data["key"])
        step.key, step.tried_floor, step.attempt, step.reask = data["key"], data.get("floor", 0), 0, 0
        step.run = record["run"]
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
    step.fence = 0
    step.ended = record["time"]
    step.cancelled = (state.generation, record["seq"])
    return True


def _skipped(state: ProjectState, record: Record) -> bool:
    step = state.step(record["step"])
    if step.fence:
        return False
    data = record["data"]
    key = data["key"]
    _enter_run(state, record)
    step.skipped, step.skip_seq, step.lapse = key, record["seq"], None
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
    _enter_run(state, record)
    _stand(step, answer)
    step.restored = True
    step.ended = record["time"]
    return True


def _held(state: ProjectState, record: Record) -> bool:
    state.step(record["step"]).held = record["data"]["key"]
    return True


def _parked(state: ProjectState, record: Record) -> bool:
    state.step(record["step"]).parked = record["data"]["key"]
    return True


def _workflow_changed(state: ProjectState, record: Record) -> bool:
    data = record["data"]
    generation, content = data["generation"], data["content"]
    if generation <= state.generation:
        return False
    if state.params and data["params"] != state.declared_params:
        state.params, state.params_overridden = {}, True
    state.generation, state.content, state.sources = generation, content, data["sources"]
    state.declared_params, state.revision, state.changed = data["params"], data["revision"], record["time"]
    state.contents[str(generation)], state.revisions[str(generation)] = content, data["revision"]
    if len(state.contents) > MAX_GENERATIONS:
        oldest = next(iter(state.contents))
        del state.contents[oldest]
        state.revisions.pop(oldest, None)
    state.orphaned = False
    return True


def _workflow_orphaned(state: ProjectState, record: Record) -> bool:
    state.orphaned = True
    return True


def _suspended(state: ProjectState, record: Record) -> bool:
    if not state.suspended:
        closing(state.suspensions, seconds_of(record["time"]), None)
    state.suspended = True
    return True


def _resumed(state: ProjectState, record: Record) -> bool:
    state.suspended = False
    opening(state.suspensions, seconds_of(record["time"]))
    return True


def _released(state: ProjectState, record: Record) -> bool:
    state.released = record["data"]["generation"]
    return True


def _requested(state: ProjectState, record: Record) -> bool:
    """A request for some steps sets their own floor in the open run; any other opens a run, now or in its turn."""
    data = record["data"]
    steps = data.get("steps")
    request = {"seq": record["seq"], "force": data["force"], "params": data["params"], "cause": data["cause"]}
    state.requested = {
        **request, "run": record["run"], "time": record["time"], "by": data.get("by", ""), "steps": steps
    }  # fmt: skip
    if steps is not None:
        _enter_run(state, record)
        for name in steps:
            step = state.step(name)
            step.floor, step.lost, step.spent, step.cancelled, step.parked = record["seq"], 0, ("", 0), None, None
            step.asked = record["time"]
        return True
    if state.run is not None:
        state.queue.append(request)
    else:
        _open(state, request, record["time"])
    return True


def _open(state: ProjectState, request: dict[str, Any], time: str) -> None:
    state.runs += 1
    state.params, state.params_overridden = request["params"], False
    state.run = Run(state.runs, time, request["seq"], request["force"], request["cause"])


def _run_settled(state: ProjectState, record: Record) -> bool:
    if state.run is None or state.run.number != record["run"]:
        return False
    data = record["data"]
    state.settled = Settled(
        record["run"], record["seq"], record["time"], data["status"], data["revision"], data["generation"]
    )
    state.run = None
    for name in data.get("failed", ()):
        step = state.step(name)
        if (lapse := step.lapse) is not None:
            what = f"{lapse.key} {lapse.cls} {lapse.code}"
            step.spent = (what, step.spent[1] + 1 if step.spent[0] == what else 1)
    if state.queue:
        _open(state, state.queue.pop(0), record["time"])
    return True


def _counted(state: ProjectState, record: Record) -> bool:
    """An event that is there to be read and changes no decision."""
    return True


TRANSITIONS: Mapping[str, Callable[[ProjectState, Record], bool]] = {
    "step.dispatched": _dispatched,
    "step.succeeded": _succeeded,
    "step.failed": _failed,
    "step.cancelled": _cancelled,
    "step.skipped": _skipped,
    "step.restored": _restored,
    "step.held": _held,
    "step.parked": _parked,
    "step.stale": _counted,
    "workflow.changed": _workflow_changed,
    "workflow.orphaned": _workflow_orphaned,
    "project.suspended": _suspended,
    "project.resumed": _resumed,
    "project.released": _released,
    "run.requested": _requested,
    "run.settled": _run_settled,
}
