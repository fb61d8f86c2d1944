"""A workflow file against its vocabulary: the validated model, or as much of it as is right, with every mistake.

Called by `glink.project`. What is left of a file with mistakes is checked further, so that an author sees all of them
at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from glink.limits import Limits
from glink.loading.document import Path
from glink.loading.mistakes import Mistake, mistakes, nearest
from glink.loading.vocabulary import StepEntry, Strict, WorkflowFile

Entry = tuple[int, StepEntry, frozenset[str]]
Model = TypeVar("Model", bound=Strict)


@dataclass(frozen=True, slots=True)
class Salvaged:
    """`entries` are (place in the file, step, keys of it that are wrong); `complete` unless a step is missing."""

    file: WorkflowFile | None
    entries: list[Entry]
    mistakes: list[Mistake]
    complete: bool = True


def salvage(value: Any, limits: Limits) -> Salvaged:
    """The workflow file in a YAML value; never raises for its content."""
    if not isinstance(value, dict):
        mistake = Mistake((), "the file must be a mapping", "write `steps:` with a list of steps")
        return Salvaged(None, [], [mistake], complete=False)
    steps = value.get("steps")
    if isinstance(steps, list) and not 0 < len(steps) <= limits.steps:
        what = f"has more than {limits.steps} steps" if steps else "has no steps"
        cure = "split the project, or raise limits.steps" if steps else "write a list of steps"
        return Salvaged(None, [], [Mistake(("steps",), what, cure)], complete=False)
    # Free keys are rare: only a file that is refused with them is looked through for them.
    file = _valid(value)
    if file is None:
        value = _without_free_keys(value)
        if isinstance(steps, list):
            value["steps"] = [_without_free_keys(step) if isinstance(step, dict) else step for step in steps]
        file = _valid(value)
    if file is None:
        return _pieces(value)
    nothing_broken: frozenset[str] = frozenset()
    return Salvaged(file, [(index, step, nothing_broken) for index, step in enumerate(file.steps)], [])


def _valid(value: dict[str, Any]) -> WorkflowFile | None:
    try:
        return WorkflowFile.model_validate(value)
    except ValidationError:
        return None


def _without_free_keys(mapping: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key[:2] != "x-"}


def _pieces(value: dict[str, Any]) -> Salvaged:
    found: list[Mistake] = []
    entries: list[Entry] = []
    steps = value.get("steps")
    complete = isinstance(steps, list)
    rest = {**value, "steps": []} if complete else value
    file, broken_top = as_far_as_right(WorkflowFile, rest, (), found)
    for index, raw in enumerate(steps if isinstance(steps, list) else []):
        step, broken = as_far_as_right(StepEntry, raw, ("steps", index), found)
        if step is not None:
            # An agent may have stood in defaults that could not be read.
            entries.append((index, step, broken | {"agent"} if "defaults" in broken_top else broken))
        complete = complete and step is not None and "after" not in broken
    return Salvaged(file, entries, found, complete=complete)


def as_far_as_right(
    model: type[Model], raw: Any, prefix: Path, found: list[Mistake]
) -> tuple[Model | None, frozenset[str]]:
    """The model without the keys that are wrong, and those keys; None when nothing can be made of the rest."""
    try:
        return model.model_validate(raw), frozenset()
    except ValidationError as error:
        found += mistakes(error, raw, model, prefix)
        broken = frozenset(str(one["loc"][0]) for one in error.errors() if one["loc"])
        # What a misspelt key was meant to be is not missing.
        broken |= {near for key in broken if (near := nearest(key, model.model_fields)) and near not in raw}
    if not isinstance(raw, dict):
        return None, broken
    try:
        return model.model_validate({key: value for key, value in raw.items() if key not in broken}), broken
    except ValidationError:
        return None, broken
