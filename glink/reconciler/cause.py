"""Where a difference came from: the edit, the request or the answer that made a step's fingerprint another. Pure.

Called by `glink why`. The text of an edit is compared generation by generation, back to the one that the step had last
answered for: the newest in which a part became what it is brought the change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from glink import digest
from glink.event import Record
from glink.jsontext import canonical
from glink.reconciler.board import Board
from glink.reconciler.fingerprint import Recipe, differing, recipe_of
from glink.state import ProjectState
from glink.templates.problems import TemplateProblem
from glink.workflow import Workflow

Records = Callable[[int], Record | None]

GIVEN = frozenset({"step.dispatched", "step.offered"})


@dataclass(frozen=True, slots=True)
class Cause:
    """What brought a difference in one part. `by`: edit, step, request, or "" where nobody can say.

    `generation` and `revision` are those of the edit, `steps` those that answered anew, `run` the one that was asked for
    with other parameters and `who` asked.
    """

    part: str
    by: str
    generation: int = 0
    revision: str = ""
    steps: tuple[str, ...] = ()
    run: int = 0
    who: str = ""


@dataclass(frozen=True, slots=True)
class Ran:
    """Why a step was given away the last time that it answered. `changed` are parts of its fingerprint."""

    run: int
    attempt: int
    time: str
    reason: str
    generation: int
    revision: str
    changed: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = field(default=())


def pending(board: Board, step: str) -> tuple[Cause, ...]:
    """What brought each part in which the newest answer (or try) and today's task differ."""
    past, known = board.state.steps.get(step), board.memo.get(step)
    if past is None or known is None or not past.fingerprint:
        return ()
    answer = past.answer
    old, since, at = past.fingerprint, past.generation, past.dispatched
    if answer is not None:
        old, since, at = answer.fingerprint, answer.generation, answer.time
    parts = differing(old, known[1])
    return tuple(_causes(board, step, parts, _Span(since, board.state.generation, at)))


def ran(board: Board, step: str, records: Records) -> Ran | None:
    """Why the standing answer was asked for; None when there is none, or its dispatch is not on the bus any more."""
    past = board.state.steps.get(step)
    record = records(past.answer.fence) if past is not None and past.answer is not None else None
    if record is None or record["type"] not in GIVEN:
        return None
    data = record["data"]
    parts, generation = tuple(data.get("changed", ())), data["generation"]
    before = records(data["since"]) if "since" in data else None
    causes: Iterable[Cause] = ()
    if before is not None and step in board.workflow.steps:
        since = before["data"].get("generation", generation)
        causes = _causes(board, step, parts, _Span(since, generation, before["time"], record["run"]))
    return Ran(
        record["run"],
        record["attempt"],
        record["time"],
        data["reason"],
        generation,
        board.state.revisions.get(str(generation), ""),
        parts,
        tuple(causes),
    )


def passed_over(state: ProjectState) -> list[dict[str, Any]]:
    """Generations since the last settled one that were replaced before they settled, oldest first."""
    first = state.settled.generation + 1 if state.settled is not None else 1
    return [
        {"generation": one, "revision": state.revisions[str(one)]}
        for one in range(max(first, state.generation - 100), state.generation)
        if str(one) in state.revisions
    ]


@dataclass(frozen=True, slots=True)
class _Span:
    """Between which generations a change is looked for; only what happened after `at` counts, and no run after `run`."""

    since: int
    until: int
    at: str
    run: float = float("inf")


def _causes(board: Board, step: str, parts: tuple[str, ...], span: _Span) -> Iterable[Cause]:
    # Answers that are handed over have a part of their own; where it is equal they brought nothing.
    by_answers = "context" in parts or not board.recipe(step).handed
    asked = board.state.requested
    for part in parts:
        edited = _edited(board, step, part, span)
        if edited is not None:
            yield Cause(part, "edit", edited, board.state.revisions.get(str(edited), ""))
        elif by_answers and (steps := _answered(board, step, span.at)):
            yield Cause(part, "step", steps=steps)
        elif asked is not None and asked["time"] > span.at and asked["run"] <= span.run:
            yield Cause(part, "request", run=asked["run"], who=asked["by"])
        else:
            yield Cause(part, "")


def _edited(board: Board, step: str, part: str, span: _Span) -> int | None:
    """The generation in which the part's own text became what it is at the span's end; None: it was so at its begin."""
    wanted = _piece(board, step, part, span.until)
    for generation in range(span.until, span.since, -1):
        if _piece(board, step, part, generation - 1) != wanted:
            return generation
    return None


def _piece(board: Board, step: str, part: str, generation: int) -> str | None:
    """Digest of what an edit can change of this part; None when the step, or the workflow, is not there."""
    workflow = _workflow(board, generation)
    if workflow is None or step not in workflow.steps:
        return None
    try:
        recipe = recipe_of(workflow.steps[step], workflow, board.world, board.limits)
    except TemplateProblem:
        return None
    own: list[Any] = [recipe.fixed.get(part)]
    if part in ("task", "script"):
        own += _texts(recipe, workflow)
    if part == "context" or recipe.appends:
        own += [recipe.uses, recipe.handed, recipe.step.context]
    return digest.brief(canonical(own))


def _texts(recipe: Recipe, workflow: Workflow) -> list[Any]:
    names = recipe.names
    params = {name: one for name, one in workflow.params.items() if name in names.params or "*" in names.params}
    texts = {path: workflow.texts.get(path) for path in sorted(names.files | names.includes)}
    return [recipe.step.templates, params, texts]


def _workflow(board: Board, generation: int) -> Workflow | None:
    if generation == board.state.generation:
        return board.workflow
    content = board.state.contents.get(str(generation))
    return board.surroundings.earlier(content) if content is not None else None


def _answered(board: Board, step: str, at: str) -> tuple[str, ...]:
    """The steps whose answers are handed over and that came to an end after `at`."""
    steps = board.state.steps
    return tuple(one for one in board.recipe(step).uses if one in steps and steps[one].ended > at)
