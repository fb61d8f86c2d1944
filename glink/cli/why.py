"""`glink why`."""

from __future__ import annotations

from difflib import unified_diff
from typing import Annotated, Any

import typer

from glink.app import View
from glink.cli.shell import ConfigOption, JsonOption, Project, configured, say, show
from glink.errors import UsageError
from glink.event import Record
from glink.reconciler.board import Board
from glink.reconciler.fingerprint import differing
from glink.reconciler.plan import prepared
from glink.reconciler.survey import survey
from glink.report import Report, Row
from glink.templates.template import RenderProblem
from glink.words import in_words


def command(
    project: Project,
    step: Annotated[str | None, typer.Argument(help="A step; without it the whole project.")] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Why a step runs, does not run, or waits: the reason, who holds it, what changed, and the chain before it.

    Example: glink why release-notes page
    """
    view = View.take(configured(config), [project])
    desk = view.desks[project]
    report = survey(desk, view.clock.now())
    if step is not None and desk.board is not None and step not in desk.board.workflow.steps:
        raise UsageError(f"{project} has no step {step}; it has: {', '.join(desk.board.workflow.steps)}")
    if step is None or desk.board is None:
        _whole(report, json)
        return
    rows = {row.step: row for row in report.steps}
    cause = {
        "project": project,
        "step": step,
        **_told(rows[step]),
        "revision": desk.state.revision,
        "generation": desk.state.generation,
        "differs": _differs(desk.board, step),
        "task_diff": _task_diff(view, desk.board, step),
        "chain": [_told(rows[one]) | {"step": one} for one in _chain(desk.board, rows, step)],
    }
    if json:
        show(cause)
    else:
        _print(cause)


def _told(row: Row) -> dict[str, Any]:
    return {
        "status": row.status,
        "decision": row.decision,
        "reason": row.reason,
        "holder": row.holder,
        "detail": row.detail,
        "in_words": in_words(row.reason, holder=row.holder, detail=row.detail, due=row.due),
    }


def _whole(report: Report, json: bool) -> None:
    if json:
        show(
            {
                "project": report.project,
                "run": report.run,
                "steps": [_told(row) | {"step": row.step} for row in report.steps],
                "errors": report.errors,
            }
        )
        return
    run = report.run
    say(f"{report.project}: {report.sync}, {report.health}; revision {report.revision or 'none yet'}")
    say(f"last run: #{run['number']} {run['status']}, since {run['since']}" if run else "never ran")
    for error in report.errors:
        say(f"invalid: {error['path']}:{error['line']}:{error['column']}: {error['what']}; {error['cure']}")
    for row in report.steps:
        say(f"  {row.step}: {row.status}: {in_words(row.reason, holder=row.holder, detail=row.detail, due=row.due)}")


def _differs(board: Board, step: str) -> list[str]:
    """The parts of the fingerprint in which the newest answer and today's task differ."""
    past, known = board.state.steps.get(step), board.memo.get(step)
    if past is None or past.answer is None or known is None:
        return []
    return list(differing(past.answer.fingerprint, known[1]))


def _task_diff(view: View, board: Board, step: str) -> list[str]:
    """The rendered task then and now, as a unified diff; empty when nothing is to run or nothing ran."""
    past, decision = board.state.steps.get(step), board.decisions[step]
    if decision.wish is None or past is None or past.answer is None or view.reader is None:
        return []
    record = view.reader.read(past.answer.fence)
    try:
        now = prepared(board, step, 0).text
        then = _prompt(view, record) if record is not None else ""
    except (RenderProblem, KeyError):
        return []
    lines = unified_diff(then.splitlines(), now.splitlines(), "as answered", "as wanted", lineterm="")
    return list(lines)


def _prompt(view: View, record: Record) -> str:
    data = record["data"]
    if "task" in data:
        text: str = data["task"]
        return text
    assert view.reader is not None
    return view.reader.blobs.get(data["prompt"]).decode()


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


def _print(cause: dict[str, Any]) -> None:
    say(f"{cause['project']} step {cause['step']}: {cause['status']}: {cause['in_words']}")
    say(f"  decision: {cause['decision']} ({cause['reason']})")
    say(f"  revision: {cause['revision'] or 'none yet'}, generation {cause['generation']}")
    if cause["differs"]:
        say(f"  differs in: {', '.join(cause['differs'])}")
    for line in cause["task_diff"]:
        say(f"    {line}")
    for one in cause["chain"]:
        say(f"  before it, step {one['step']}: {one['status']}: {one['in_words']}")
