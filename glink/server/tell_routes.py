"""What is told over HTTP: workflows and runs, notes, control verbs, workers' words. Called by `app`.

Control verbs share the table of the command line (`glink.reconciler.verbs`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import Field

from glink import digest
from glink.errors import InvalidInput
from glink.event import ENGINE_TYPES, is_free_type
from glink.loading.vocabulary import Strict
from glink.permit import Scope
from glink.project import load_submission
from glink.server.engine import Engine
from glink.server.problem import HttpProblem
from glink.server.route import Call, Reply, Route
from glink.server.work import Work

MOST_EVENTS: Final = 100
_VERBS: Final[Mapping[str, str]] = {
    "project.sync": "sync",
    "project.release": "release",
    "project.suspend": "suspend",
    "project.resume": "resume",
    "project.delete": "delete",
    "step.retry": "retry",
    "step.cancel": "cancel",
}
_ARGUMENTS: Final[Mapping[str, frozenset[str]]] = {"release": frozenset({"generation"})}
Id = Annotated[str, Field(min_length=1, max_length=64)] | Annotated[int, Field(ge=0)]
Word = Annotated[str, Field(min_length=1, max_length=200)]


class Submission(Strict):
    """What `POST /workflow/run` takes. With `steps` a workflow, without them a run of what is declared."""

    project: Annotated[str, Field(min_length=1, max_length=300)] | None = None
    steps: list[dict[str, Any]] | None = None
    name: Annotated[str, Field(max_length=200)] | None = None
    params: dict[str, Any] | None = None
    force: bool = False


class Said(Strict):
    """One event of `POST /write`; which fields it needs follows from its type."""

    type: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}$")]
    project: Annotated[str, Field(min_length=1, max_length=300)] | None = None
    step: Id | None = None
    data: dict[str, Any] | None = None
    agent: Word | None = None
    worker: Word | None = None
    fence: Annotated[int, Field(ge=1, le=10**18)] | None = None
    key: Annotated[str, Field(max_length=128)] | None = None
    status: Annotated[str, Field(pattern=r"^(ok|failed)$")] | None = None
    output: Any = None
    blob: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    error: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None
    artifacts: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]] | None = None


Events = Said | Annotated[list[Said], Field(min_length=1, max_length=MOST_EVENTS)]


def tell_routes(engine: Engine, default: str | None = None) -> Sequence[Route]:
    """The writing routes; `default` is the project of requests that name none."""
    work = Work(engine)

    def run(call: Call) -> Reply:
        given: Submission = call.body
        project = given.project or default
        if project is None:
            raise HttpProblem(422, "name a project: this server has none by default")
        if given.project is None:
            call.who.must(Scope.WRITE if given.steps is not None else Scope.CONTROL, project)
        answer = (
            _submitted(engine, call, project, given) if given.steps is not None else _run(engine, call, project, given)
        )
        return Reply.json(_accepted(project, answer), 202)

    def write(call: Call) -> Reply:
        if isinstance(call.body, list):
            return _notes(engine, call, call.body)
        one: Said = call.body
        if one.type in _VERBS:
            return _control(engine, call, one)
        if one.type in work.words:
            return work.words[one.type](call, one)
        return _notes(engine, call, [one])

    scopes = (Scope.WRITE, Scope.CONTROL)
    return [
        Route("POST", "/workflow/run", scopes, run, "submit a workflow, or ask for a run", body=Submission, replies={202: {}}, keyed=True),
        Route(
            "POST", "/write", (*scopes, Scope.WORK), write, "notes, control verbs, workers' words",
            body=Events, replies={200: {}, 201: {}}, keyed=True,
        ),
    ]  # fmt: skip


def _accepted(project: str, answer: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: answer.get(name) for name in ("run", "generation", "joined", "since") if name in answer}
    return {"project": project, "instance": "", **told, "url": f"/status/project?project={project}"}


def _keyed(call: Call) -> dict[str, Any]:
    if call.key is None:
        return {}
    return {"key": digest.of_text(f"{call.who.name}\0{call.key}")[:32], "body": call.body_digest[:32]}


def _submitted(engine: Engine, call: Call, project: str, given: Submission) -> dict[str, Any]:
    call.must(Scope.WRITE)
    value: dict[str, Any] = {"steps": given.steps}
    if given.name is not None:
        value["name"] = given.name
    if given.params:
        value["params"] = given.params
    config = engine.config
    loaded = load_submission(project, value, config.projects_dir, limits=config.limits, config=config)
    if loaded.workflow is None:
        raise InvalidInput(list(loaded.problems))
    for content in loaded.blobs.values():
        assert isinstance(content, bytes)
        engine.bus.blobs.put(content)
    arguments = {"workflow": loaded.workflow, "force": given.force, "values": given.params or {}, **_keyed(call)}
    return engine.ask("submit", project, arguments, by=call.who.name)


def _run(engine: Engine, call: Call, project: str, given: Submission) -> dict[str, Any]:
    call.must(Scope.CONTROL)
    arguments = {"force": given.force, "params": given.params or {}, **_keyed(call)}
    return engine.tell_seeing("run", project, arguments, call.who.name)


def _control(engine: Engine, call: Call, said: Said) -> Reply:
    call.must(Scope.CONTROL)
    verb = _VERBS[said.type]
    project = _named(said, "project")
    data = dict(said.data or {})
    if unknown := sorted(data.keys() - _ARGUMENTS.get(verb, frozenset())):
        raise HttpProblem(422, f"{said.type} takes no {', '.join(unknown)} in data")
    if said.type.startswith("step."):
        data["step"] = str(said.step) if said.step is not None else None
    return Reply.json(engine.tell_seeing(verb, project, data, call.who.name))


def _notes(engine: Engine, call: Call, events: list[Said]) -> Reply:
    call.must(Scope.WRITE)
    for one in events:
        if not is_free_type(one.type):
            known = one.type in ENGINE_TYPES or one.type in _VERBS
            raise HttpProblem(
                403, f"{one.type} is {'for the engine alone, or not for lists' if known else 'reserved for the engine'}"
            )
        _named(one, "project")
    bodies = [{"project": one.project, "type": one.type, "step": one.step, "data": one.data} for one in events]
    arguments = {"events": bodies, **{name: key for name, key in _keyed(call).items() if name == "key"}}
    answer = engine.ask("write", str(events[0].project), arguments, by=call.who.name)
    if not isinstance(call.body, list):
        return Reply.json({"seq": answer["seq"]}, 201)
    return Reply.json({"seq": answer["seqs"][-1], "seqs": answer["seqs"]}, 201)


def _named(said: Said, field: str) -> Any:
    value = getattr(said, field)
    if value is None:
        raise HttpProblem(422, f"{said.type} needs {field}")
    return value
