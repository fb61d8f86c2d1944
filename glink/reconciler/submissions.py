"""Submitted workflows: desired state that came by a request instead of a file. Called by the intake.

One event is acknowledgement, desired state and request in one. What `projects/` owns is not overwritten: equal steps
are a run of what is declared there, others are refused.
"""

from __future__ import annotations

from typing import Any

from glink.errors import Conflict
from glink.reconciler.books import Books
from glink.reconciler.desk import Desk
from glink.reconciler.inbox import Request
from glink.reconciler.verbs import Deed, answered, run
from glink.reconciler.wanted import params_digest
from glink.state import ProjectState
from glink.workflow import Workflow


def submit(books: Books, request: Request, now: float) -> Deed:
    """Want this workflow (`arguments["workflow"]`, its blob is durable) and run it."""
    given, name = request.arguments, request.project
    workflow: Workflow = given["workflow"]
    desk = books.desks.get(name)
    if desk is not None and (known := answered(desk, given)) is not None:
        return known
    if desk is not None and owned(desk):
        return _declared(desk, workflow, request, books)
    if desk is None:
        desk = books.desks[name] = Desk(name, ProjectState(name))
    state = desk.state
    fresh = workflow.digest != state.content or state.orphaned
    number = state.runs + len(state.queue) + 1
    data: dict[str, Any] = {
        "generation": state.generation + fresh,
        "content": workflow.digest,
        "revision": f"submitted@sha256:{workflow.digest[:16]}",
        "declared": params_digest(workflow.params),
        "cause": "request",
        "force": bool(given.get("force")),
        "params": {},
        "by": request.by,
    }
    if given.get("key") is not None:
        data |= {"key": given["key"], "body": given["body"]}
    event = {"type": "workflow.submitted", "project": name, "run": number, "data": data}
    return Deed([event], seat=workflow, answer={"run": number, "generation": state.generation + fresh})


def owned(desk: Desk) -> bool:
    """Whether files under `projects/` have this name, valid or not."""
    state = desk.state
    return bool(desk.problems) or bool(state.generation and not state.orphaned and not state.submitted)


def _declared(desk: Desk, workflow: Workflow, request: Request, books: Books) -> Deed:
    declared = desk.workflow
    if declared is None or declared.canonical["steps"] != workflow.canonical["steps"]:
        raise Conflict(
            f"projects/ says what {desk.name} is, and its steps are others: change the file, or take another name"
        )
    return run(desk, {**request.arguments, "params": request.arguments.get("values") or {}}, request.by, books.limits)
