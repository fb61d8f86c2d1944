"""`glink why`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict
from difflib import unified_diff
from functools import cache
from typing import Annotated, Any

import typer

from glink.app import View
from glink.cli.shell import ConfigOption, JsonOption, Project, configured, say, show
from glink.config import Config
from glink.errors import Problem, UsageError
from glink.event import Record
from glink.jsontext import dumps
from glink.reconciler.actions import Reason
from glink.reconciler.board import Board
from glink.reconciler.cause import Cause, Ran, passed_over, pending, ran
from glink.reconciler.desk import Desk
from glink.reconciler.plan import prepared
from glink.reconciler.survey import left_over, survey
from glink.report import Report, Row
from glink.templates.template import RenderProblem
from glink.watch.git import Commit, Git
from glink.words import in_words

MAX_CHAIN = 50


def command(
    project: Project,
    step: Annotated[str | None, typer.Argument(help="A step; without it the whole project.")] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Why a step runs, does not run, or waits: the reason, who holds it, what changed, which edit or answer brought it.

    Example: glink why release-notes page
    """
    settings = configured(config)
    view = View.take(settings, [project])
    desk = view.desks[project]
    report = survey(desk, view.clock.now())
    rows = {row.step: row for row in report.steps}
    if step is None or (step not in rows and desk.board is None):
        answer = _whole(desk, report)
        show(answer) if json else _print_whole(report, answer)
        return
    if step not in rows and step in desk.state.steps:
        rows[step] = left_over(desk.state, step, Reason.ORPHANED)
    if step not in rows:
        raise UsageError(f"{project} has no step {step}; it has: {', '.join(rows)}")
    cause = _Telling(settings, view, desk, rows).step(step)
    show(cause) if json else _print(cause)


class _Telling:
    """Tells of steps of one project; what git says of a revision is asked once."""

    def __init__(self, settings: Config, view: View, desk: Desk, rows: dict[str, Row]) -> None:
        self._view, self._desk, self._rows = view, desk, rows
        self._commit = _commits(settings, desk)

    def step(self, step: str) -> dict[str, Any]:
        """All that is known of why a step is what it is."""
        state, board = self._desk.state, self._desk.board
        if board is not None and step not in board.workflow.steps:
            board = None
        causes = pending(board, step) if board is not None else ()
        before = ran(board, step, self._record) if board is not None else None
        return {
            "project": self._desk.name,
            "step": step,
            **_told(self._rows[step]),
            "revision": state.revision,
            "generation": state.generation,
            "differs": [one.part for one in causes],
            "causes": self._causes(causes),
            "task_diff": _task_diff(self._view, board, step) if board is not None else [],
            "ran": self._ran(before),
            "chain": self._chain(board, step, (*causes, *(before.causes if before is not None else ()))),
        }

    def _chain(self, board: Board | None, step: str, causes: Iterable[Cause]) -> list[dict[str, Any]]:
        """The steps before this one that do not simply stand or wait, or whose answer changed it, nearest first."""
        chain: dict[str, dict[str, Any]] = {}
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
            now, before = pending(board, one), ran(board, one, self._record)
            chain[one] = {
                "step": one, **_told(self._rows[one]), "causes": self._causes(now), "ran": self._ran(before)
            }  # fmt: skip
            more = {step for cause in (*now, *(before.causes if before else ())) for step in cause.steps}
            blamed |= more
            queue.extend(more)
        return list(chain.values())

    def _record(self, seq: int) -> Record | None:
        return self._view.reader.read(seq) if self._view.reader is not None else None

    def _causes(self, causes: Iterable[Cause]) -> list[dict[str, Any]]:
        told = []
        for cause in causes:
            commit = self._commit(cause.revision) if cause.by == "edit" else None
            told.append(asdict(cause) | {"commit": asdict(commit) if commit is not None else None})
        return told

    def _ran(self, before: Ran | None) -> dict[str, Any] | None:
        return None if before is None else asdict(before) | {"causes": self._causes(before.causes)}


def _commits(settings: Config, desk: Desk) -> Callable[[str], Commit | None]:
    """Revision -> the commit that brought it to this project's files."""
    git = Git(settings.projects_dir, settings.limits)
    paths = [f"{desk.name}.yaml", f"{desk.name}.yml", desk.name]
    if desk.workflow is not None and any(path.startswith("_shared/") for path in desk.workflow.texts):
        paths.append("_shared")
    return cache(lambda revision: git.commit(revision, paths))


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


def _whole(desk: Desk, report: Report) -> dict[str, Any]:
    state = desk.state
    number = state.run.number + 1 if state.run is not None else 0
    return {
        "project": report.project,
        "run": report.run,
        "asked": state.requested,
        "waiting": [{"run": number + place, **one} for place, one in enumerate(state.queue)],
        "passed_over": passed_over(state),
        "next": report.next,
        "steps": [_told(row) | {"step": row.step} for row in report.steps],
        "errors": report.errors,
    }


def _print_whole(report: Report, answer: dict[str, Any]) -> None:
    run = report.run
    say(f"{report.project}: {report.sync}, {report.health}; revision {report.revision or 'none yet'}")
    say(f"last run: #{run['number']} {run['status']}, since {run['since']}" if run else "never ran")
    if (asked := answer["asked"]) is not None:
        say(f"last asked for: #{asked['run']} by {asked['by'] or 'nobody'}, {asked['time']}: {_request(asked)}")
    for one in answer["waiting"]:
        say(f"waits for its turn: #{one['run']}: {_request(one)}")
    for one in answer["passed_over"]:
        say(f"passed over: generation {one['generation']} of {one['revision']}, replaced before it settled")
    if answer["next"] is not None:
        say(f"looked at again by itself: {answer['next']}")
    for error in report.errors:
        say(f"invalid: {Problem(**error)}")
    for row in report.steps:
        say(f"  {row.step}: {row.status}: {in_words(row.reason, holder=row.holder, detail=row.detail, due=row.due)}")


def _request(asked: dict[str, Any]) -> str:
    what = f"{asked['cause']}, every step" if asked["force"] else str(asked["cause"])
    if asked.get("steps"):
        what = f"{what} of {', '.join(asked['steps'])}"
    return f"{what}, with {dumps(asked['params']).decode()}" if asked["params"] else what


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


def _print(cause: dict[str, Any]) -> None:
    say(f"{cause['project']} step {cause['step']}: {cause['status']}: {cause['in_words']}")
    say(f"  decision: {cause['decision']} ({cause['reason']})")
    say(f"  revision: {cause['revision'] or 'none yet'}, generation {cause['generation']}")
    _print_causes("differs in", cause["causes"], "  ")
    for line in cause["task_diff"]:
        say(f"    {line}")
    _print_ran(cause["ran"], "  ")
    for one in cause["chain"]:
        say(f"  before it, step {one['step']}: {one['status']}: {one['in_words']}")
        _print_causes("differs in", one["causes"], "    ")
        _print_ran(one["ran"], "    ")


def _print_ran(before: dict[str, Any] | None, margin: str) -> None:
    if before is None:
        return
    run, attempt, generation = before["run"], before["attempt"], before["generation"]
    say(f"{margin}its answer is of run #{run}, attempt {attempt}, {before['time']}, generation {generation}")
    say(f"{margin}given away then because: {in_words(before['reason'])}")
    _print_causes("differed in", before["causes"], margin)


def _print_causes(word: str, causes: list[dict[str, Any]], margin: str) -> None:
    for one in causes:
        say(f"{margin}{word} {one['part']}: {_BROUGHT[one['by']](one)}")
        if (commit := one["commit"]) is not None:
            say(f"{margin}  commit {commit['sha']} by {commit['author']}, {commit['time']}: {commit['subject']}")


_BROUGHT: dict[str, Callable[[dict[str, Any]], str]] = {
    "edit": lambda one: f"edited in generation {one['generation']}, {one['revision'] or 'a revision before the log'}",
    "step": lambda one: f"another answer of step {', '.join(one['steps'])}",
    "request": lambda one: f"what run #{one['run']} was asked for with, by {one['who'] or 'nobody'}",
    "": lambda _: "what it reads on the bus",
}
