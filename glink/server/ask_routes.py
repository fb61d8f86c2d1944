"""What is asked over HTTP: the questions of `glink.answers`, answered by the running engine. Called by `app`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from glink import __version__
from glink.answers.questions import QUESTIONS
from glink.jsontext import dumps, loads
from glink.permit import Scope
from glink.server.auth import Who
from glink.server.engine import Engine
from glink.server.problem import HttpProblem
from glink.server.route import PROJECT, Call, Param, Reply, Route
from glink.view import View

_FLAG = r"[01]"
_OFFSET = (0, 1 << 40)


def ask_routes(engine: Engine) -> Sequence[Route]:
    """Every reading route that answers in JSON."""

    def ask(question: str, call: Call, **arguments: Any) -> Reply:
        finish = engine.look(lambda view: QUESTIONS[question].answer(view, **arguments))
        return Reply.json(finish())

    def projects(call: Call) -> Reply:
        if call.query.get("detail") == "1":
            answer = engine.look(lambda view: QUESTIONS["projects"].answer(view))()
            mine = [one for one in answer["projects"] if call.who.covers(one.project)]
            return Reply.json({**answer, "projects": mine})
        names = engine.look(lambda view: sorted(view.desks))
        return Reply.json({"projects": [name for name in names if call.who.covers(name)]})

    def plans(call: Call) -> Reply:
        answer = loads(dumps(engine.look(lambda view: QUESTIONS["plans"].answer(view))()))
        mine = [one for one in answer["plans"] if call.who.covers(one["project"])]
        invalid = answer["invalid"] if call.who.covers(None) else []
        return Reply.json({**answer, "plans": mine, "invalid": invalid})

    def project_status(call: Call) -> Reply:
        if call.project is None:
            call.who.must_have_all()
            if "commit" in call.query:
                raise HttpProblem(400, "name the project that the commit is to be in force for")
        if "commit" in call.query:
            return ask("commit", call, project=call.project, commit=call.query["commit"])
        return ask("project", call, project=call.project)

    def of_project(question: str) -> Callable[[Call], Reply]:
        return lambda call: ask(question, call, project=call.project)

    def of_step(question: str) -> Callable[[Call], Reply]:
        return lambda call: ask(question, call, project=call.project, step=call.path["step"])

    def logs(call: Call) -> Reply:
        offsets = {name: int(at) for name, at in call.query.items()}
        return ask("logs", call, project=call.project, step=call.path["step"], **offsets)

    read = Scope.READ
    commit = Param("commit", "whether this commit is in force, for a project", pattern=r"[0-9a-fA-F]{7,40}")
    offsets = tuple(Param(name, "only what came after this offset", number=_OFFSET) for name in ("stdout", "stderr"))
    detail = (Param("detail", "1: with everything that is known of each", pattern=_FLAG),)
    step = "/projects/{project}/steps/{step}"
    return [
        Route("GET", "/status", read, lambda call: _engine_status(engine, call.who), "how the engine is"),
        Route(
            "GET",
            "/status/project",
            read,
            project_status,
            "one project, or the one that settled last",
            (PROJECT, commit),
        ),
        Route("GET", "/projects", read, projects, "the projects", detail),
        Route("GET", "/plan", read, plans, "what would run, and why"),
        Route("GET", "/projects/{project}/plan", read, of_project("plan"), "what would run of a project, and why"),
        Route("GET", "/projects/{project}/why", read, of_project("why"), "why a project is as it is"),
        Route("GET", f"{step}/why", read, of_step("why_step"), "why a step runs, stays or waits"),
        Route("GET", f"{step}/output", read, of_step("output"), "the standing answer"),
        Route("GET", f"{step}/prompt", read, of_step("prompt"), "what the newest attempt was given"),
        Route("GET", f"{step}/logs", read, logs, "what the newest attempt wrote", offsets),
    ]


def _engine_status(engine: Engine, who: Who) -> Reply:
    return Reply.json(engine.look(lambda view: _status(engine, view, who)))


def _status(engine: Engine, view: View, who: Who) -> dict[str, Any]:
    world = view.world
    reports = [one for one in QUESTIONS["projects"].answer(view)()["projects"] if who.covers(one.project)]
    return {
        "engine": world.engine,
        "version": __version__,
        "uptime": round(engine.pulse().uptime, 3),
        "epoch": engine.bus.epoch,
        "revision": view.revision,
        "durable_seq": engine.bus.durable_seq,
        "inbox": len(engine.inbox),
        "in_flight": world.in_flight,
        "serve_only": world.serve_only,
        "draining": world.draining,
        "watch": {"mode": engine.source.mode, "missed": engine.source.missed, "trouble": engine.source.trouble},
        "agents": {name: _agent(view, name) for name in sorted(world.agents)},
        "projects": {
            "sync": _counted(one.sync for one in reports),
            "health": _counted(one.health for one in reports),
        },
    }


def _agent(view: View, name: str) -> dict[str, Any]:
    world = view.world
    cooling = world.cooling.get(name, 0.0)
    return {
        "kind": world.agents[name].kind,
        "in_flight": world.by_agent.get(name, 0),
        "cooling_until": cooling if cooling > view.clock.now() else None,
        "paused": name in world.paused and world.paused[name] == world.access(name),
    }


def _counted(words: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for word in map(str, words):
        found[word] = found.get(word, 0) + 1
    return found
