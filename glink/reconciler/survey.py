"""Makes a project's report out of its desk: the board's decisions in words. Pure; nothing here decides anything."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from glink.clock import seconds_of, text_of
from glink.jsontext import dumps
from glink.reconciler.actions import RUNS, Action, Decision, Fail, Plan, Reason, Status
from glink.reconciler.board import Board
from glink.reconciler.desk import Desk
from glink.reconciler.plan import plan, waits_for
from glink.report import Condition, Health, Report, Row, Sync, worst_health, worst_sync
from glink.state import Answer, ProjectState, StepState
from glink.workflow import Step

PREVIEW = 200
LONELY_SECONDS = 60.0
_STAYS = frozenset(
    {Reason.UP_TO_DATE, Reason.RESTORED, Reason.KEPT, Reason.CONDITION_FALSE, Reason.UPSTREAM_SKIPPED, Reason.ORPHANED}
)
_PEOPLE = frozenset({Reason.UNKNOWN_OUTCOME, Reason.HELD, Reason.SUSPENDED})


def survey(desk: Desk, now: float) -> Report:
    """The report of one project at `now`; what is dirty is decided anew, nothing is dispatched."""
    return surveyed(desk, now)[0]


def surveyed(desk: Desk, now: float) -> tuple[Report, Plan]:
    """The report together with the plan that it tells of."""
    if desk.board is None:
        return _unseated(desk, now), Plan()
    state, errors = desk.state, tuple(problem.as_data() for problem in desk.problems)
    made = plan(desk.board, now=now, dirty=desk.dirty)
    deeds = {action.step: action for action in made.actions}
    rows = [_row(desk.board, step, deeds.get(step)) for step in desk.board.workflow.steps]
    decisions = desk.board.decisions
    sync = worst_sync([Sync.SYNCED if one.synced else Sync.OUT_OF_SYNC for one in decisions.values()])
    applied = sync is Sync.SYNCED and state.run is None and not desk.problems
    observed = state.revision if state.submitted else desk.board.world.revision or state.revision
    report = Report(
        project=desk.name,
        sync=Sync.UNKNOWN if desk.problems else sync,
        description=desk.board.workflow.canonical.get("description", ""),
        health=worst_health([_health(one, row) for one, row in zip(decisions_in_order(desk.board), rows, strict=True)]),
        revision=state.revision,
        generation=state.generation,
        last_attempted=observed,
        last_applied=observed if applied else (state.settled.revision if state.settled else ""),
        run=_run(state),
        conditions=_conditions(desk, rows, now),
        errors=errors,
        steps=tuple(rows),
        waiting=tuple(f"{row.step}: {row.detail or row.reason}" for row in rows if row.reason in _PEOPLE),
        params=desk.board.workflow.params,
        next=text_of(made.wake_at) if made.wake_at is not None else None,
    )
    return report, made


def _unseated(desk: Desk, now: float) -> Report:
    """A project that nothing is decided for: its files are gone, or were never valid, or its state is not known."""
    state = desk.state
    reason = Reason.BUS_CORRUPT if desk.unknown else Reason.ORPHANED if state.orphaned else Reason.SPEC_INVALID
    return Report(
        project=desk.name,
        sync=Sync.UNKNOWN,
        health=Health.MISSING if reason is Reason.ORPHANED else Health.UNKNOWN,
        revision=state.revision,
        generation=state.generation,
        run=_run(state),
        conditions=_conditions(desk, [], now),
        errors=tuple(problem.as_data() for problem in desk.problems),
        steps=tuple(left_over(state, step, reason) for step in state.steps),
    )


def left_over(state: ProjectState, step: str, reason: Reason) -> Row:
    """A step that nothing is decided for: it, or its project, is gone or cannot be read. What it answered is kept."""
    past, word = state.steps[step], "stay" if reason in _STAYS else "wait"
    status = Status.SUCCEEDED if past.answer is not None else Status.WAITING
    if past.fence:
        status, word = Status.RUNNING, "wait"
        reason = reason if reason is Reason.BUS_CORRUPT else Reason.IN_FLIGHT
    return _filled(Row(step, past.agent, status, word, reason), past, past.answer)


def decisions_in_order(board: Board) -> list[Decision]:
    """The decisions in the order of the file."""
    return [board.decisions[step] for step in board.workflow.steps]


def _row(board: Board, step: str, deed: Action | None) -> Row:
    spec, decision = board.workflow.steps[step], board.decisions[step]
    past = board.state.steps.get(step) or StepState()
    reason, holder, word = decision.reason, "", _word(decision)
    detail, due = decision.detail, decision.due if reason is Reason.BACKING_OFF else None
    if isinstance(deed, Fail):
        reason, word, detail = deed.reason, "wait", deed.message
    elif deed is None and not decision.final and reason is not Reason.IN_FLIGHT:
        reason, holder = waits_for(board, step)
        word = "wait"
        due = board.world.cooling[holder] if reason is Reason.AGENT_COOLING else due
    row = Row(
        step=step,
        name=spec.name,
        task=_task(spec),
        agent=spec.agent or f"run:{spec.run.using if spec.run else ''}",
        status=decision.status if word != "wait" or decision.final else _waiting(decision),
        decision=word,
        reason=reason,
        detail=detail,
        holder=holder,
        after=spec.after,
        implied=spec.implied,
        changed=decision.wish.changed if decision.wish is not None else (),
        may_run=decision.reason is Reason.WAITING_FOR,
        tolerated=spec.allow_failure and decision.status is Status.FAILED,
        due=text_of(due) if due is not None else None,
    )
    return _filled(row, past, decision.answer or past.answer)


def _filled(row: Row, past: StepState, answer: Answer | None) -> Row:
    """The row with what the step's history says."""
    return replace(
        row,
        attempts=past.attempt,
        output=None if answer is None else _preview(answer.output, answer.blob),
        digest=answer.digest if answer is not None else None,
        artifacts=tuple(answer.artifacts) if answer is not None else (),
        usage=answer.usage if answer is not None else {},
        seconds=answer.seconds if answer is not None else None,
        since=past.dispatched if past.fence else (answer.time if answer is not None else ""),
        fence=_newest(past),
    )


def _task(spec: Step) -> str:
    if spec.run is not None:
        return spec.run.file or f"{spec.run.using} script"
    return (spec.task or "").strip().partition("\n")[0][:PREVIEW]


def _newest(past: StepState) -> int:
    lapsed = past.lapse.fence if past.lapse is not None else 0
    return past.fence or max(lapsed, past.answer.fence if past.answer is not None else 0)


def _waiting(decision: Decision) -> Status:
    return decision.status if decision.status in (Status.RUNNING, Status.WAITING_PERSON) else Status.WAITING


def _word(decision: Decision) -> str:
    if decision.wish is not None or decision.reason in RUNS:
        return "run"
    return "stay" if decision.reason in _STAYS else "wait"


def _preview(output: Any, blob: str | None) -> str:
    if blob is not None:
        return f"(a body of its own: {blob[:12]})"
    text = output if isinstance(output, str) else dumps(output).decode()
    return text if len(text) <= PREVIEW else f"{text[:PREVIEW]}…"


def _health(decision: Decision, row: Row) -> Health:
    if not decision.sound:
        return Health.SUSPENDED if decision.status is Status.WAITING_PERSON else Health.DEGRADED
    if decision.final:
        return Health.HEALTHY
    if row.reason in (Reason.SUSPENDED, Reason.OTHER_ENGINE):
        return Health.SUSPENDED
    if row.reason is Reason.AGENT_PAUSED:
        return Health.DEGRADED
    return Health.MISSING if row.reason is Reason.NO_WORKER else Health.PROGRESSING


def _lonely(desk: Desk, rows: list[Row], now: float) -> list[str]:
    """Steps that nobody has claimed for a minute."""
    steps = desk.state.steps
    offers = [(row.step, steps[row.step].offer) for row in rows if row.reason == Reason.NO_WORKER and row.step in steps]
    return [step for step, offer in offers if offer is not None and now - seconds_of(offer.time) > LONELY_SECONDS]


def _run(state: ProjectState) -> dict[str, Any] | None:
    if state.run is not None:
        run = state.run
        return {"number": run.number, "status": "running", "cause": run.cause, "force": run.force, "since": run.opened}
    if state.settled is not None:
        ended = state.settled
        return {"number": ended.number, "status": ended.status, "revision": ended.revision, "since": ended.time}
    return None


def _conditions(desk: Desk, rows: list[Row], now: float) -> tuple[Condition, ...]:
    state, generation = desk.state, desk.state.generation
    found = []
    if desk.unknown:
        found.append(Condition("BusCorrupt", True, "EventsLost", f"its state is not known: {desk.unknown}"))
    if desk.problems:
        first = desk.problems[0]
        more = f" (and {len(desk.problems) - 1} more)" if len(desk.problems) > 1 else ""
        found.append(Condition("SpecValid", False, "Invalid", f"{first}{more}", "", generation))
    elif desk.workflow is not None:
        found.append(Condition("SpecValid", True, "Valid", "", state.changed, generation))
    if state.orphaned:
        found.append(Condition("Orphaned", True, "FilesGone", "its files are gone; history and answers are kept"))
    if rows:
        late = [row.step for row in rows if row.decision == "run" or row.may_run or row.status == Status.RUNNING]
        done = not late and state.run is None
        message = "" if done else f"steps to go: {', '.join(late[:10]) or 'none that can run'}"
        found.append(Condition("Applied", done, "Settled" if done else "Pending", message, state.changed, generation))
    if state.suspended or (desk.workflow is not None and desk.workflow.suspend):
        reason, by = ("ByPerson", "a person") if state.suspended else ("ByFile", "the file")
        found.append(Condition("Suspended", True, reason, f"suspended by {by}", "", generation))
    if lonely := _lonely(desk, rows, now):
        found.append(Condition("NoWorker", True, "NobodyCame", f"steps: {', '.join(lonely[:10])}"))
    if state.replaced:
        found.append(Condition("SubmissionReplaced", True, "FileCame", "a file took the place of what was submitted"))
    if state.params_overridden:
        found.append(Condition("ParamsOverridden", True, "FileChanged", "the file's parameters replaced a request's"))
    tolerated = [row.step for row in rows if row.tolerated]
    if tolerated:
        found.append(Condition("ToleratedFailure", True, "AllowFailure", f"steps: {', '.join(tolerated)}"))
    return tuple(found)
