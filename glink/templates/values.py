"""How a template reads data and shows it: the same few rules for the plain renderer and for Jinja.

Only JSON-like data and `StepValue` are ever looked into, and only by key or index: a name is never an attribute of
a Python object, so `data.items` is the key `items`, and there is no way from a value to anything that can be called.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from glink.jsontext import JSONEncodeError, canonical
from glink.templates.context import StepValue
from glink.templates.names import STEP_FIELDS
from glink.templates.problems import RenderProblem

_SHOWN_KEY: Final = 80


class Absent:
    """What is not there; `why` is a sentence for the user."""

    __slots__ = ("why",)

    def __init__(self, why: str) -> None:
        self.why = why


class Steps:
    """`steps` in a template: ids to `StepValue`, or to mappings of the same fields."""

    __slots__ = ("values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values


class Group(list[Any]):
    """One group of the filter `groupby`: [grouper, list], also by these two names."""

    __slots__ = ()


def lookup(value: Any, key: Any) -> Any:
    """`value[key]` and `value.key`; Absent when there is no such thing."""
    kind = type(value)
    if kind is StepValue:
        return _step_field(value, key)
    if kind is Steps:
        return _step(value.values, key)
    if kind is dict or isinstance(value, Mapping):
        name = str(key) if type(key) is int else key
        try:
            return value[name]
        except (KeyError, TypeError):
            return Absent(f"there is no {_shown(name)} in it")
    if isinstance(value, (list, tuple, str)) and type(key) is int:
        try:
            return value[key]
        except IndexError:
            return Absent(f"there is no item {key}: it has {len(value)}")
    if kind is Group and key in ("grouper", "list"):
        return value[0] if key == "grouper" else value[1]
    return Absent(f"there is no {_shown(key)} in {_kind(value)}")


def text_of(value: Any) -> str:
    """A value as a template shows it: text as itself, all else as compact JSON with sorted keys."""
    if type(value) is str:
        return value
    if isinstance(value, Absent):
        raise RenderProblem(value.why)
    try:
        return canonical(value).decode()
    except (JSONEncodeError, TypeError, ValueError) as error:
        raise RenderProblem(f"{_kind(value)} cannot be shown as JSON: {error}") from None


def _step(values: Mapping[str, Any], key: Any) -> Any:
    name = str(key)
    try:
        found = values[name]
    except KeyError:
        return Absent(f"there is no step {_shown(name)}")
    if isinstance(found, StepValue):
        return found
    fields = {one: found[one] for one in STEP_FIELDS if one in found}
    return StepValue(name, **{"status": "", **fields})


def _step_field(step: StepValue, field: Any) -> Any:
    if field == "status":
        return step.status
    if field == "files":
        return step.files
    if field == "error":
        return step.error
    if field not in ("output", "text"):
        return Absent(f"a step has no {_shown(field)}")
    found = step.output if field == "output" else step.shown()
    if found is None:
        end = f" (it is {step.status})" if step.status else ""
        return Absent(f"step {step.id} has no output{end}; write `| default(...)`, or a `when`")
    return found


def _shown(key: Any) -> str:
    text = repr(key)
    return text if len(text) <= _SHOWN_KEY else text[:_SHOWN_KEY] + "..."


def _kind(value: Any) -> str:
    """What a user calls the type of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, (list, tuple)) else "this value"
