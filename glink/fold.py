"""The fold: what a record does to the state of its project, as a table of transitions.

`fold(state, record)` is pure and total: a record that does not fit (stale fence, unknown shape) changes nothing but
`state.ignored`. It changes in place the state that its one owner holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from glink.clock import seconds_of
from glink.event import ENGINE_TYPES, Record
from glink.state import Key, ProjectState, Run, Settled
from glink.stepfold import STEP_TRANSITIONS, enter_run
from glink.world import closing, opening

MAX_NOTES = 100
MAX_GENERATIONS = 1_000
MAX_KEYS = 1_000
KEY_SECONDS = 86_400.0


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
    data = record.get("data", {})
    _remember(state, record, data.get("_key"), data.get("_body"), record["seq"])
    notes = state.notes.setdefault(record["type"], [])
    notes.append({"seq": record["seq"], "time": record["time"], "data": data})
    if len(notes) > MAX_NOTES:
        del notes[0]


def _remember(state: ProjectState, record: Record, key: str | None, body: str | None, run: int) -> None:
    """Keep an idempotency key for a day, by the times of the records: the fold has no clock."""
    if key is None or body is None:
        return
    now = seconds_of(record["time"])
    keys = state.keys
    while keys:
        oldest = next(iter(keys))
        if len(keys) < MAX_KEYS and now - seconds_of(keys[oldest].time) < KEY_SECONDS:
            break
        del keys[oldest]
    keys[key] = Key(body, record["time"], run)


def _workflow_changed(state: ProjectState, record: Record) -> bool:
    data = record["data"]
    if data["generation"] <= state.generation:
        return False
    sources = data["sources"]
    _want(state, record, data["params"])
    state.replaced, state.submitted, state.sources = state.submitted or state.replaced, False, sources
    return True


def _want(state: ProjectState, record: Record, declared: str) -> None:
    """Another workflow is wanted, whoever brought it. `declared` digests its parameters."""
    data = record["data"]
    generation, content, revision = data["generation"], data["content"], data["revision"]
    if state.params and declared != state.declared_params:
        state.params, state.params_overridden = {}, True
    state.generation, state.content = generation, content
    state.declared_params, state.revision, state.changed = declared, revision, record["time"]
    state.contents[str(generation)], state.revisions[str(generation)] = content, revision
    if len(state.contents) > MAX_GENERATIONS:
        oldest = next(iter(state.contents))
        del state.contents[oldest]
        state.revisions.pop(oldest, None)
    state.orphaned = state.deleted = False


def _submitted(state: ProjectState, record: Record) -> bool:
    """Desired state and request in one; the same workflow again is a request alone."""
    data = record["data"]
    if not isinstance(data["force"], bool) or not isinstance(data["params"], dict):
        return False
    if data["generation"] > state.generation:
        _want(state, record, data["declared"])
        state.submitted, state.replaced, state.sources = True, False, ""
    return _requested(state, record)


def _workflow_orphaned(state: ProjectState, record: Record) -> bool:
    state.orphaned = True
    return True


def _deleted(state: ProjectState, record: Record) -> bool:
    state.orphaned = state.deleted = True
    state.submitted = False
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
    _remember(state, record, data.get("key"), data.get("body"), record["run"])
    if data.get("joined"):
        return True
    steps = data.get("steps")
    request = {"seq": record["seq"], "force": data["force"], "params": data["params"], "cause": data["cause"]}
    state.requested = {
        **request, "run": record["run"], "time": record["time"], "by": data.get("by", ""), "steps": steps
    }  # fmt: skip
    if steps is not None:
        enter_run(state, record)
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


def _carried(state: ProjectState, record: Record) -> bool:
    """The whole state as it was: whatever of its history was still on the bus before this adds nothing to it."""
    carried = ProjectState.of(record["data"]["state"])
    carried.project, carried.seq = state.project, record["seq"]
    state.become(carried)
    return True


TRANSITIONS: Mapping[str, Callable[[ProjectState, Record], bool]] = {
    **STEP_TRANSITIONS,
    "workflow.changed": _workflow_changed,
    "workflow.submitted": _submitted,
    "workflow.orphaned": _workflow_orphaned,
    "project.carried": _carried,
    "project.suspended": _suspended,
    "project.resumed": _resumed,
    "project.released": _released,
    "project.deleted": _deleted,
    "run.requested": _requested,
    "run.settled": _run_settled,
}
