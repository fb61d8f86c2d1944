"""How the projects are. Called by `questions`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from glink.errors import NoState, UsageError
from glink.reconciler.desk import Desk
from glink.reconciler.survey import survey
from glink.view import View

SHORTEST_SHA = 7


def projects(view: View) -> Callable[[], Any]:
    """Every project, with the revision and who holds the bus."""
    now = view.clock.now()
    reports = [survey(view.desks[name], now) for name in sorted(view.desks) if not view.desks[name].state.deleted]
    holder = None if view.holder is None else {"pid": view.holder.pid, "url": view.holder.url}
    answer = {"revision": view.revision, "daemon": holder, "projects": reports}
    return lambda: answer


def project_status(view: View, project: str | None = None) -> Callable[[], Any]:
    """One project; without a name the one whose run settled last."""
    report = survey(view.desk(project) if project is not None else _latest(view), view.clock.now())
    return lambda: report


def _latest(view: View) -> Desk:
    settled = [desk for desk in view.desks.values() if desk.state.settled is not None and not desk.state.deleted]
    if not settled:
        raise NoState("no run has settled yet")
    return max(settled, key=lambda desk: desk.state.settled.seq if desk.state.settled else 0)


def commit(view: View, project: str, commit: str) -> Callable[[], Any]:
    """Whether a commit is in force for a project: applied, pending, failed, superseded, or unknown."""
    sha = commit.lower()
    if len(sha) < SHORTEST_SHA or not set(sha) <= set("0123456789abcdef"):
        raise UsageError(f"{commit!r} is no commit: write {SHORTEST_SHA} or more hex digits")
    report = survey(view.desk(project), view.clock.now())
    if not _names(view.revision, sha):
        seen = any(_names(one, sha) for one in view.world.revisions)
        status = "superseded" if seen else "unknown"
    elif report.errors or (report.run or {}).get("status") == "failed":
        status = "failed"
    else:
        status = "applied" if _names(report.last_applied, sha) else "pending"
    answer = {"project": project, "commit": commit, "status": status, "revision": view.revision}
    return lambda: answer


def _names(revision: str, sha: str) -> bool:
    """Whether a revision is exactly this commit, nothing uncommitted beside it."""
    return "+dirty" not in revision and revision.partition("@sha1:")[2].startswith(sha)
