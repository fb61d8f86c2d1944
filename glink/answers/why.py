"""Why a step runs, stays or waits: the reason, who holds it, what differs, the chain before it. Called by `questions`."""

from __future__ import annotations

from collections.abc import Callable
from difflib import unified_diff
from typing import Any

from glink.answers.output import prompt_in
from glink.errors import NotThere
from glink.reconciler.board import Board
from glink.reconciler.fingerprint import differing
from glink.reconciler.plan import prepared
from glink.reconciler.survey import survey
from glink.report import Report, Row
from glink.templates.template import RenderProblem
from glink.view import View
from glink.words import in_words


def why(view: View, project: str, step: str | None = None) -> Callable[[], Any]:
    """Of a step, or of a whole project."""
    desk = view.desk(project)
    report = survey(desk, view.clock.now())
    if step is None:
        answer = _whole(report)
        return lambda: answer
    if desk.board is None or step not in desk.board.workflow.steps:
        known = desk.board.workflow.steps if desk.board is not None else desk.state.steps
        raise NotThere(f"{project} has no step {step}; it has: {', '.join(known)}")
    rows = {row.step: row for row in report.steps}
    cause = {
        "project": project,
        "step": step,
        **_told(rows[step]),
        "revision": desk.state.revision,
        "generation": desk.state.generation,
        "differs": _differs(desk.board, step),
        "chain": [_told(rows[one]) | {"step": one} for one in _chain(desk.board, rows, step)],
    }
    then_and_now = _tasks(view, desk.board, step)
    return lambda: {**cause, "task_diff": _task_diff(view, *then_and_now) if then_and_now is not None else []}


def _whole(report: Report) -> dict[str, Any]:
    return {
        "project": report.project,
        "sync": report.sync,
        "health": report.health,
        "revision": report.revision,
        "run": report.run,
        "steps": [_told(row) | {"step": row.step} for row in report.steps],
        "errors": report.errors,
    }


def _told(row: Row) -> dict[str, Any]:
    return {
        "status": row.status,
        "decision": row.decision,
        "reason": row.reason,
        "holder": row.holder,
        "detail": row.detail,
        "in_words": in_words(row.reason, holder=row.holder, detail=row.detail),
    }


def _differs(board: Board, step: str) -> list[str]:
    """The parts of the fingerprint in which the newest answer and today's task differ."""
    past, known = board.state.steps.get(step), board.memo.get(step)
    if past is None or past.answer is None or known is None:
        return []
    return list(differing(past.answer.fingerprint, known[1]))


def _tasks(view: View, board: Board, step: str) -> tuple[int, str] | None:
    """The event that holds the task of the standing answer, and the task as it would be given now, if it is to run."""
    past, decision = board.state.steps.get(step), board.decisions[step]
    if decision.wish is None or past is None or past.answer is None:
        return None
    try:
        return past.answer.fence, prepared(board, step, 0).text
    except (RenderProblem, KeyError):
        return None


def _task_diff(view: View, fence: int, now: str) -> list[str]:
    """The rendered task then and now, as a unified diff."""
    record = view.past.read(fence) if view.past is not None else None
    if record is not None and record["type"] == "step.claimed" and view.past is not None:
        record = view.past.read(record["data"]["offer"])
    try:
        then = prompt_in(record, view.bodies) if record is not None else ""
    except KeyError:
        return []
    return list(unified_diff(then.splitlines(), now.splitlines(), "as answered", "as wanted", lineterm=""))


def _chain(board: Board, rows: dict[str, Row], step: str) -> list[str]:
    """Steps before this one that are not simply up to date, nearest first."""
    chain: list[str] = []
    queue = list(board.workflow.graph.parents[step])
    while queue and len(chain) < 50:
        one = queue.pop(0)
        if one not in chain and rows[one].reason != "up_to_date":
            chain.append(one)
            queue.extend(board.workflow.graph.parents[one])
    return chain
