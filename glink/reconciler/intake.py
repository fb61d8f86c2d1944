"""What comes out of the inbox becomes events: outcomes, requests, what the files say. The first paragraph of a pass.

Called by the conductor, in its thread. Nothing here leaves the process: the conductor does that once it is durable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from glink.agents.agent import ErrorClass
from glink.errors import BusRefused, GlinkError, NotThere
from glink.reconciler import claims, notes, submissions
from glink.reconciler.books import Books
from glink.reconciler.desk import Desk
from glink.reconciler.inbox import Look, Request, Result
from glink.reconciler.memory import LONGEST_COOLING
from glink.reconciler.verbs import VERBS, Deed
from glink.reconciler.wanted import params_digest, sources_digest
from glink.state import ProjectState
from glink.watch.source import Observation

_COOLING_SECONDS, _LEAST_COOLING_SECONDS = 60.0, 1.0
# An attempt that is under way ends as any other, whatever became of its project.
_OF_A_CLAIM = frozenset(("heartbeat", "result"))


class Intake:
    """`observed` says whether the files were seen since the start; `adopt` is asked for once, after the first look."""

    def __init__(self, books: Books, *, selects: Callable[[str], bool], adopt: Callable[[float], None]) -> None:
        self.observed = self._adopted = False
        self._books, self._selects, self._adopt = books, selects, adopt

    def take(self, item: Result | Request | Observation | Look, now: float) -> None:
        """Stage and fold what one item says."""
        match item:
            case Result():
                self._result(item, now)
            case Request():
                self._request(item, now)
            case Observation():
                self._observe(item, now)
            case Look():
                self._books.present.looks.append(item)

    def _result(self, result: Result, now: float) -> None:
        books = self._books
        books.present.results.append(result)
        desk = books.desks.get(result.project)
        step = desk.state.steps.get(result.step) if desk is not None else None
        if desk is None or step is None or step.fence != result.fence:
            if (agent := books.ending.pop(result.fence, None)) is not None:
                books.world.taken(agent, -1)
            if result.data.get("class") == ErrorClass.CANCELLED:
                return  # it was ended, and that is on the bus
            body = {"type": "step.stale", "project": result.project, "step": result.step, "fence": result.fence}
            books.stage({**body, "data": {"type": result.type, "digest": result.data.get("digest")}}, desk)
            return
        books.leases.end(result.fence)
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
        try:
            books.stage(body, desk)
        except BusRefused as error:
            cls = ErrorClass.INTERNAL
            body["data"] = result.data = {"class": cls, "code": "unwritable", "message": str(error)}
            books.stage({**body, "type": "step.failed"}, desk)
        books.world.taken(result.agent, -1)
        is_wanted = desk.board is not None and result.step in desk.board.workflow.steps
        books.touch(desk, (result.step,) if is_wanted else None)  # else another step may take its answer over
        if desk.state.orphaned:
            books.present.stirred = True
        if cls is not None:
            self._agent_trouble(result, now)
        elif files := data.get("artifacts"):
            books.publish(result.project, result.step, files)

    def _agent_trouble(self, result: Result, now: float) -> None:
        cls, agent, world = result.data["class"], result.agent, self._books.world
        if cls == ErrorClass.THROTTLED:
            until = max(result.data.get("retry_at") or now + _COOLING_SECONDS, now + _LEAST_COOLING_SECONDS)
            until = min(until, now + LONGEST_COOLING)
            if until > world.cooling.get(agent, 0.0):
                self._books.stage({"type": "agent.cooling", "data": {"agent": agent, "until": until}})
        elif cls == ErrorClass.AUTH and (access := world.access(agent)) != world.paused.get(agent):
            self._books.stage({"type": "agent.paused", "data": {"agent": agent, "access": access}})

    def _request(self, request: Request, now: float) -> None:
        books = self._books
        try:
            deed = self._deed(request, now)
            desk = books.desks.get(request.project)
            params = desk.state.params if desk is not None else None
            for event in deed.events:
                books.stage(event, books.desks.get(event.get("project", "")))
        except GlinkError as error:  # before anything was staged: of several events only the first can be refused
            request.refuse(error)
            return
        except (
            Exception
        ) as error:  # a bug in one verb, or in one project: whoever asked hears of it, the engine goes on
            request.refuse(GlinkError(f"{request.verb} of {request.project}: {type(error).__name__}: {error}"))
            return
        for result in deed.results:
            self._result(result, now)
        if desk is not None and deed.moves:
            self._follow(desk, deed, anew=desk.state.params != params)
        # Where whoever asked may begin to follow what comes of it.
        since = {"since": books.bus.durable_seq} if deed.moves else {}
        request.answer = {"project": request.project, **since, **deed.answer}
        request.error = deed.refusal
        try:
            request.answer |= deed.then() if deed.then is not None else {}
        except GlinkError as error:
            request.error = error
        books.present.answers.append(request)

    def _deed(self, request: Request, now: float) -> Deed:
        """What the request comes to; raises the refusal."""
        books = self._books
        books.must_know(request.project)
        if (beyond := BEYOND.get(request.verb)) is not None:
            return beyond(books, request, now)
        desk = books.desks.get(request.project)
        if desk is None or (desk.state.deleted and request.verb not in _OF_A_CLAIM):
            known = ", ".join(sorted(name for name, one in books.desks.items() if not one.state.deleted))
            raise NotThere(f"no project {request.project}; there are: {known or 'none'}")
        if desk.board is not None:
            # A verb is judged by what is thought now, not by what was thought before this pass.
            desk.board.refresh(desk.dirty, now)
            desk.dirty = set()
        if (pulled := PULLED.get(request.verb)) is not None:
            return pulled(books, desk, request, now)
        return VERBS[request.verb](desk, request.arguments, request.by, books.limits)

    def _follow(self, desk: Desk, deed: Deed, *, anew: bool) -> None:
        """What an accepted request means for the project that it named. `anew`: it changed the parameters."""
        books = self._books
        for fence, step in deed.kill.items():
            if step.worker:
                books.leases.end(fence)
                books.world.taken(step.agent, -1)
                books.present.opened = True
            else:
                books.end(fence, step.agent)
        wanted = deed.seat or (desk.workflow if anew else None)
        if wanted is not None:
            books.seat(desk, wanted)
        elif desk.state.deleted:
            books.present.stirred = True
            desk.unseat()
        books.touch(desk, None)

    def _observe(self, seen: Observation, now: float) -> None:
        books = self._books
        books.present.seen.append(seen)
        if seen.revision != books.world.revision:
            books.stage({"type": "source.observed", "data": {"revision": seen.revision}})
        for name in sorted(seen.changed):
            try:
                self._project(seen, name)
            except Exception as error:
                books.isolate(name, error)
        for name in sorted(seen.gone & books.desks.keys()):
            self._orphan(books.desks[name])
        if not self.observed:
            self.observed = books.present.first = True
            for desk in books.desks.values():
                if desk.name in seen.projects or desk.unknown or not self._selects(desk.name):
                    continue
                if desk.state.submitted:
                    self._last_good(desk)
                else:
                    self._orphan(desk)
            if not self._adopted:
                self._adopted = True
                self._adopt(now)

    def _project(self, seen: Observation, name: str) -> None:
        """One project whose files are others than at the last look."""
        books, loaded = self._books, seen.projects[name]
        desk = books.desks.get(name)
        if desk is None:
            desk = books.desks[name] = Desk(name, ProjectState(name), unknown=books.doubt.of(name))
        desk.problems, desk.loaded = loaded.problems, loaded
        if desk.unknown:
            return
        workflow = loaded.workflow
        if workflow is None:
            self._last_good(desk)
            return
        state = desk.state
        if workflow.digest != state.content or state.orphaned or state.submitted:
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
            else:
                desk.lacks_workflow()

    def _orphan(self, desk: Desk) -> None:
        if desk.unknown:
            return
        if not desk.state.orphaned and desk.state.generation:
            self._books.stage({"type": "workflow.orphaned", "project": desk.name, "data": {}}, desk)
            self._books.present.stirred = True
        self._books.touch(desk, ())
        desk.unseat()


Beyond = Callable[[Books, Request, float], Deed]
Pulled = Callable[[Books, Desk, Request, float], Deed]
BEYOND: Mapping[str, Beyond] = {"submit": submissions.submit, "write": notes.write}
PULLED: Mapping[str, Pulled] = {"claim": claims.claim, "heartbeat": claims.heartbeat, "result": claims.result}
