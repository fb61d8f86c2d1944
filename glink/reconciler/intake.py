"""What comes out of the inbox becomes events: outcomes, requests, what the files say. The first paragraph of a pass.

Called by the conductor, in its thread. Nothing here leaves the process: the conductor does that once it is durable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from glink.agents.agent import ErrorClass
from glink.digest import of_value
from glink.errors import GlinkError, UsageError
from glink.reconciler.books import Books
from glink.reconciler.desk import Desk
from glink.reconciler.inbox import Request, Result
from glink.reconciler.verbs import VERBS
from glink.state import ProjectState
from glink.watch.source import Observation

_COOLING_SECONDS = 60.0
_COOLING_MOST = 86_400.0


class Intake:
    """`observed` says whether the files were seen since the start; `adopt` is asked for once, after the first look."""

    def __init__(self, books: Books, *, selects: Callable[[str], bool], adopt: Callable[[float], None]) -> None:
        self.observed = False
        self._books, self._selects, self._adopt = books, selects, adopt

    def take(self, item: Result | Request | Observation, now: float) -> None:
        """Stage and fold what one item says."""
        match item:
            case Result():
                self._result(item, now)
            case Request():
                self._request(item, now)
            case Observation():
                self._observe(item, now)

    def _result(self, result: Result, now: float) -> None:
        books = self._books
        books.present.results.append(result)
        desk = books.desks.get(result.project)
        step = desk.state.steps.get(result.step) if desk is not None else None
        if desk is None or step is None or step.fence != result.fence:
            body = {"type": "step.stale", "project": result.project, "step": result.step, "fence": result.fence}
            books.stage({**body, "data": {"type": result.type, "digest": result.data.get("digest")}}, desk)
            return
        data = result.data
        cls = data.get("class")
        if cls == ErrorClass.CANCELLED and books.world.draining:
            data["code"] = "drained"
        body = {
            "type": result.type,
            "project": result.project,
            "run": step.run,
            "step": result.step,
            "attempt": step.attempt,
            "fence": result.fence,
            "data": data,
        }
        books.stage(body, desk)
        books.world.taken(result.agent, -1)
        books.touch(desk, (result.step,))
        if cls is not None:
            self._agent_trouble(result, now)
        elif files := data.get("artifacts"):
            books.publish(result.project, result.step, files)

    def _agent_trouble(self, result: Result, now: float) -> None:
        cls, agent, world = result.data["class"], result.agent, self._books.world
        if cls == ErrorClass.THROTTLED:
            until = min(max(result.data.get("retry_at") or now + _COOLING_SECONDS, now), now + _COOLING_MOST)
            if until > world.cooling.get(agent, 0.0):
                self._books.stage({"type": "agent.cooling", "data": {"agent": agent, "until": until}})
        elif cls == ErrorClass.AUTH and (spec := world.agent(agent)) is not None:
            self._books.stage({"type": "agent.paused", "data": {"agent": agent, "profile": spec.profile}})

    def _request(self, request: Request, now: float) -> None:
        books = self._books
        desk = books.desks.get(request.project)
        try:
            if desk is None:
                raise UsageError(f"no project {request.project}; there are: {', '.join(sorted(books.desks)) or 'none'}")
            if desk.board is not None:
                # A verb is judged by what is thought now, not by what was thought before this pass.
                desk.board.refresh(desk.dirty, now)
                desk.dirty = set()
            deed = VERBS[request.verb](desk, request.arguments, request.by, books.limits)
        except GlinkError as error:
            request.refuse(error)
            return
        params = desk.state.params
        for event in deed.events:
            books.stage(event, desk)
        books.present.kills.extend(deed.kill)
        if desk.state.params != params and desk.workflow is not None:
            books.seat(desk, desk.workflow)
        books.touch(desk, None)
        request.answer = {"project": request.project, **deed.answer}
        books.present.answers.append(request)

    def _observe(self, seen: Observation, now: float) -> None:
        books = self._books
        books.present.seen.append(seen)
        if seen.revision != books.world.revision:
            books.stage({"type": "source.observed", "data": {"revision": seen.revision}})
        for name in sorted(seen.changed):
            self._project(seen, name)
        for name in sorted(seen.gone & books.desks.keys()):
            self._orphan(books.desks[name])
        if not self.observed:
            self.observed = True
            for desk in books.desks.values():
                if desk.name not in seen.projects and self._selects(desk.name):
                    self._orphan(desk)
            self._adopt(now)

    def _project(self, seen: Observation, name: str) -> None:
        """One project whose files are others than at the last look."""
        books, loaded = self._books, seen.projects[name]
        desk = books.desks.get(name)
        if desk is None:
            desk = books.desks[name] = Desk(name, ProjectState(name))
        desk.problems = loaded.problems
        workflow = loaded.workflow
        if workflow is None:
            self._last_good(desk)
            return
        state = desk.state
        if workflow.digest != state.content or state.orphaned:
            data = {
                "generation": state.generation + 1,
                "content": workflow.digest,
                "revision": seen.revision,
                "sources": sources_digest(loaded.sources),
                "params": params_digest(workflow.params),
            }
            books.stage({"type": "workflow.changed", "project": name, "data": data}, desk)
        elif desk.workflow is not None:
            return
        books.seat(desk, workflow)

    def _last_good(self, desk: Desk) -> None:
        """An invalid revision changes nothing that runs: what was last good is used, also after a restart."""
        if desk.workflow is None and desk.state.content:
            workflow = self._books.surroundings.earlier(desk.state.content)
            if workflow is not None:
                self._books.seat(desk, workflow)

    def _orphan(self, desk: Desk) -> None:
        if not desk.state.orphaned and desk.state.generation:
            self._books.stage({"type": "workflow.orphaned", "project": desk.name, "data": {}}, desk)
        desk.board, desk.workflow, desk.dirty = None, None, set()


def sources_digest(sources: Mapping[str, str]) -> str:
    """Digest over the files that a project was read from: equal digests need no reading."""
    return of_value(dict(sources))[:32]


def params_digest(params: Mapping[str, Any]) -> str:
    """Digest of a workflow's declared parameters."""
    return of_value(dict(params))[:32]
