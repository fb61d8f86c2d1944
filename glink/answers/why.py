"""Why a step runs, stays or waits: reason, holder, what differs, which edit or answer brought it, the chain before it.

Called by `questions`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict
from difflib import unified_diff
from functools import cache
from typing import Any

from glink.answers.output import prompt_in
from glink.errors import BusCorrupt, NotThere
from glink.event import Record
from glink.reconciler.actions import Reason
from glink.reconciler.board import Board
from glink.reconciler.cause import Cause, Ran, passed_over, pending, ran
from glink.reconciler.desk import Desk
from glink.reconciler.plan import prepared
from glink.reconciler.survey import left_over, survey
from glink.report import Report, Row
from glink.templates.template import RenderProblem
from glink.view import View
from glink.words import in_words

MAX_CHAIN = 50


def why(view: View, project: str, step: str | None = None) -> Callable[[], Any]:
    """Of a step, or of a whole project; of that too where no step is known for certain."""
    desk, now = view.desk(project), view.clock.now()
    if desk.board is not None:
        desk.board.refresh(None, now)  # a board that has settled has forgotten what its steps would be given
    report = survey(desk, now)
    rows = {row.step: row for row in report.steps}
    if step is None or desk.unknown or (step not in rows and desk.board is None):
        answer = _whole(desk, report)
        return lambda: answer
    if step not in rows and step in desk.state.steps:
        rows[step] = left_over(desk.state, step, Reason.ORPHANED)
    if step not in rows:
        raise NotThere(f"{project} has no step {step}; it has: {', '.join(rows)}")
    return _Telling(view, desk, rows).step(step)


def _whole(desk: Desk, report: Report) -> dict[str, Any]:
    state = desk.state
    number = state.run.number + 1 if state.run is not None else 0
    return {
        "project": report.project,
        "sync": report.sync,
        "health": report.health,
        "revision": report.revision,
        "run": report.run,
        "asked": state.requested,
        "waiting": [{"run": number + place, **one} for place, one in enumerate(state.queue)],
        "passed_over": passed_over(state),
        "next": report.next,
        "steps": [_told(row) | {"step": row.step} for row in report.steps],
        "conditions": report.conditions,
        "errors": report.errors,
    }


class _Telling:
    """Tells of steps of one project; what git says of a revision is asked once, and last."""

    def __init__(self, view: View, desk: Desk, rows: dict[str, Row]) -> None:
        self._view, self._desk, self._rows = view, desk, rows
        self._commit = cache(lambda revision: view.commits(revision, _paths(desk)))

    def step(self, step: str) -> Callable[[], Any]:
        """All that is known of why a step is what it is."""
        state, board = self._desk.state, self._desk.board
        if board is not None and step not in board.workflow.steps:
            board = None
        causes = tuple(pending(board, step)) if board is not None else ()
        before = ran(board, step, self._record) if board is not None else None
        told = {
            "project": self._desk.name,
            "step": step,
            **_told(self._rows[step]),
            "revision": state.revision,
            "generation": state.generation,
            "differs": [one.part for one in causes],
        }
        tasks = _tasks(board, step) if board is not None else None
        chain = self._chain(board, step, (*causes, *(before.causes if before is not None else ())))
        return lambda: {
            **told,
            "causes": self._causes(causes),
            "task_diff": self._task_diff(*tasks) if tasks is not None else [],
            "ran": self._ran(before),
            "chain": [one | {"causes": self._causes(now), "ran": self._ran(then)} for one, now, then in chain],
        }

    def _chain(
        self, board: Board | None, step: str, causes: Iterable[Cause]
    ) -> list[tuple[dict[str, Any], tuple[Cause, ...], Ran | None]]:
        """The steps before this one that do not simply stand or wait, or whose answer changed it, nearest first."""
        chain: dict[str, tuple[dict[str, Any], tuple[Cause, ...], Ran | None]] = {}
        if board is None:
            return []
        blamed = {one for cause in causes for one in cause.steps}
        queue = deque([*board.workflow.graph.parents[step], *blamed])
        seen: set[str] = set()
        while queue and len(chain) < MAX_CHAIN:
            one = queue.popleft()
            reason = self._rows[one].reason
            if one in seen or (one not in blamed and reason == "up_to_date"):
                continue
            seen.add(one)
            queue.extend(board.workflow.graph.parents[one])
            if reason == "waiting_for":
                continue  # whom it waits for says more
            now, before = tuple(pending(board, one)), ran(board, one, self._record)
            chain[one] = ({"step": one, **_told(self._rows[one])}, now, before)
            more = {step for cause in (*now, *(before.causes if before else ())) for step in cause.steps}
            blamed |= more
            queue.extend(more)
        return list(chain.values())

    def _record(self, seq: int) -> Record | None:
        """What a step was given: the dispatch, or the offer that was claimed."""
        if self._view.past is None:
            return None
        try:
            record = self._view.past.read(seq)
            if record is not None and record["type"] == "step.claimed":
                return self._view.past.read(record["data"]["offer"])
        except BusCorrupt:  # as if it were past its time
            return None
        return record

    def _causes(self, causes: Iterable[Cause]) -> list[dict[str, Any]]:
        told = []
        for cause in causes:
            commit = self._commit(cause.revision) if cause.by == "edit" else None
            told.append(asdict(cause) | {"commit": asdict(commit) if commit is not None else None})
        return told

    def _ran(self, before: Ran | None) -> dict[str, Any] | None:
        return None if before is None else asdict(before) | {"causes": self._causes(before.causes)}

    def _task_diff(self, fence: int, now: str) -> list[str]:
        """The rendered task then and now, as a unified diff."""
        record = self._record(fence)
        try:
            then = prompt_in(record, self._view.bodies) if record is not None else ""
        except KeyError:
            return []
        return list(unified_diff(then.splitlines(), now.splitlines(), "as answered", "as wanted", lineterm=""))


def _paths(desk: Desk) -> list[str]:
    """Where the project's files lie, below `projects/`."""
    paths = [f"{desk.name}.yaml", f"{desk.name}.yml", desk.name]
    if desk.workflow is not None and any(path.startswith("_shared/") for path in desk.workflow.texts):
        paths.append("_shared")
    return paths


def _told(row: Row) -> dict[str, Any]:
    return {
        "status": row.status,
        "decision": row.decision,
        "reason": row.reason,
        "holder": row.holder,
        "detail": row.detail,
        "due": row.due,
        "in_words": in_words(row.reason, holder=row.holder, detail=row.detail, due=row.due),
    }


def _tasks(board: Board, step: str) -> tuple[int, str] | None:
    """The fence of the standing answer, and the task as it would be given now, if the step is to run."""
    past, decision = board.state.steps.get(step), board.decisions[step]
    if decision.wish is None or past is None or past.answer is None:
        return None
    try:
        return past.answer.fence, prepared(board, step, 0).text
    except (RenderProblem, KeyError):
        return None
