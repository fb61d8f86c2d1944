"""Parameters: what a workflow declares, and whether given values fit. Pure.

Called by the loader (declarations and their defaults) and for every run that is asked for with values of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from glink.errors import UsageError
from glink.loading.document import quoted
from glink.loading.jsonshape import SchemaError, compile_pattern
from glink.loading.mistakes import Mistake, unknown
from glink.loading.vocabulary import Parameter
from glink.workflow import Workflow

_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}
_NAMES: Final = {str: "string", int: "integer", float: "number", bool: "boolean", list: "array", dict: "object"}


def declared(params: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], list[Mistake]]:
    """The canonical form of the validated `params:` of a file, and what is wrong with it."""
    canonical: dict[str, dict[str, Any]] = {}
    found: list[Mistake] = []
    for name, written in params.items():
        if isinstance(written, Parameter):
            canonical[name] = {key: getattr(written, key) for key in sorted(written.model_fields_set)}
        else:
            canonical[name] = {"default": written}
        one = canonical[name]
        if one.get("type") is None and one.get("default") is not None:
            one["type"] = _NAMES[type(one["default"])]
        canonical[name] = one = {key: value for key, value in one.items() if value is not None or key == "default"}
        found += _mistakes(name, one)
    return canonical, found


def _mistakes(name: str, one: Mapping[str, Any]) -> list[Mistake]:
    where = ("params", name)
    kind = one.get("type")
    found: list[Mistake] = []
    if "pattern" in one:
        try:
            compile_pattern(one["pattern"])
        except SchemaError as error:
            return [Mistake((*where, "pattern"), str(error), error.cure)]
        if kind not in (None, "string"):
            found.append(
                Mistake((*where, "pattern"), f"does not go with type {kind}", "remove it, or write type: string")
            )
    if "minimum" in one and kind not in (None, "integer", "number"):
        found.append(Mistake((*where, "minimum"), f"does not go with type {kind}", "remove it, or write type: integer"))
    if one.get("required") and "default" in one:
        found.append(Mistake((*where, "required"), "a default is there as well", "keep one of the two"))
    default = one.get("default")
    if default is not None and (fault := misfit(one, default)):
        found.append(Mistake((*where, "default"), fault, "change the default or what is declared beside it"))
    return found


def misfit(one: Mapping[str, Any], value: Any) -> str:
    """Why a value does not fit a canonical declaration; empty when it fits."""
    kind = one.get("type")
    if kind is not None and not (isinstance(value, _TYPES[kind]) and isinstance(value, bool) == (kind == "boolean")):
        return f"must be of type {kind}"
    choices = one.get("enum")
    if choices is not None and not any(type(value) is type(choice) and value == choice for choice in choices):
        return "must be one of " + ", ".join(str(choice) for choice in choices[:20])
    if "minimum" in one and isinstance(value, int | float) and value < one["minimum"]:
        return f"must be {one['minimum']} or more"
    if "pattern" in one and isinstance(value, str) and not compile_pattern(one["pattern"]).matches(value):
        return f"must match {one['pattern']}"
    return ""


def check_params(workflow: Workflow, given: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a run has: those given, else the defaults, else null. Raises UsageError with all that is wrong."""
    faults: list[str] = []
    for name in given:
        if name not in workflow.params:
            what, cure = unknown("parameter", name, workflow.params)
            faults.append(f"{what}; {cure}" if cure else what)
    values: dict[str, Any] = {}
    for name, one in workflow.params.items():
        values[name] = given.get(name, one.get("default"))
        if name in given and (fault := misfit(one, given[name])):
            faults.append(f"parameter {quoted(name)} {fault}")
        elif name not in given and one.get("required"):
            faults.append(f"parameter {quoted(name)} is required")
    if faults:
        raise UsageError(f"{workflow.project}: " + "\n".join(faults))
    return values
