"""The filters that are ours, or that differ from Jinja's of the same name. Pure; wrapped and capped by `sandbox`.

Each takes the budget of the rendering, the value, and arguments that `allowlist` has checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from glink.jsontext import JSONError, loads
from glink.templates.budget import Budget
from glink.templates.fence import fence
from glink.templates.problems import RenderProblem
from glink.templates.values import text_of


def tojson(_budget: Budget, value: Any) -> str:
    """Compact JSON with sorted keys; a text becomes a JSON string."""
    return text_of([value])[1:-1]


def fromjson(_budget: Budget, value: Any) -> Any:
    """The value that a JSON text stands for."""
    try:
        return loads(_text(value, "fromjson"))
    except JSONError as error:
        raise RenderProblem(f"fromjson: the text is not JSON: {error}") from None


def string(_budget: Budget, value: Any) -> str:
    """The value as it would be shown."""
    return text_of(value)


def items(_budget: Budget, value: Any) -> list[list[Any]]:
    """The pairs [key, value] of a mapping, sorted by key."""
    if not isinstance(value, Mapping):
        raise RenderProblem("items: this is not a mapping")
    return [[key, value[key]] for key in sorted(value)]


def join(budget: Budget, value: Any, d: str = "") -> str:
    """The items as one text, `d` between them."""
    parts, size = [], 0
    for one in value:
        part = text_of(one)
        size += len(part) + len(d)
        budget.check_length(size - len(d))
        parts.append(part)
    return d.join(parts)


def replace(budget: Budget, value: Any, old: str, new: str, count: int = -1) -> str:
    """The text with `old` replaced by `new`, at most `count` times."""
    text = _text(value, "replace")
    found = text.count(old)
    times = found if count < 0 else min(found, count)
    budget.check_length(len(text) + times * (len(new) - len(old)))
    return text.replace(old, new, count)


def fenced(_budget: Budget, value: Any, label: str = "data") -> str:
    """The value in a labelled block that it cannot end."""
    return fence(text_of(value), label)


def whole(_budget: Budget, value: Any, default: int = 0) -> int:
    """The value as a whole number, `default` where it is none."""
    try:
        return int(value) if not isinstance(value, str) or value.strip().lstrip("+-").isdecimal() else int(float(value))
    except (TypeError, ValueError, OverflowError):
        return default


def _text(value: Any, filter_name: str) -> str:
    if not isinstance(value, str):
        raise RenderProblem(f"{filter_name}: this is not a text; write `| string` or `| tojson` before it")
    return value


OURS: Final[dict[str, Callable[..., Any]]] = {
    "tojson": tojson,
    "fromjson": fromjson,
    "string": string,
    "items": items,
    "join": join,
    "replace": replace,
    "fence": fenced,
    "int": whole,
}
