"""Which filters and tests are offered, and what their arguments may be: the tables that `allowlist` goes by.

Arguments are constants within bounds, so that what a filter makes can be known from what it is given; only the values
that are compared with, and the one that stands in for an absent one, may be any expression.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

ARGUMENT_CHARACTERS: Final = 1_000
ARGUMENT_NUMBER: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: its name, the types that its constant may have, the largest number. `free`: any expression."""

    name: str
    types: tuple[type, ...] = ()
    most: int = ARGUMENT_NUMBER
    free: bool = False
    required: bool = False

    def refusal(self, value: Any) -> str:
        """Why a constant is refused; empty when it is fine."""
        if type(value) not in self.types:
            return f"must be {' or '.join(_WORDS[one] for one in self.types)}"
        if isinstance(value, str) and len(value) > ARGUMENT_CHARACTERS:
            return f"is longer than {ARGUMENT_CHARACTERS} characters"
        if isinstance(value, (int, float)) and not 0 <= value <= self.most:
            return f"must be between 0 and {self.most}"
        return ""


_NONE: Final = type(None)
_WORDS: Final = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", _NONE: "none"}

_ATTRIBUTE: Final = Argument("attribute", (str, int))
_CASE: Final = Argument("case_sensitive", (bool,))
_OTHERWISE: Final = Argument("default", (str, int, float, bool, _NONE))

# The arguments of each filter, in order.
# `map select reject selectattr rejectattr` name another filter or a test and are judged by that one.
FILTERS: Final[dict[str, tuple[Argument, ...]]] = {
    "default": (Argument("default_value", free=True), Argument("boolean", (bool,))),
    "fence": (Argument("label", (str,)),),
    "first": (),
    "float": (Argument("default", (int, float)),),
    "fromjson": (),
    "groupby": (Argument("attribute", (str, int), required=True), _OTHERWISE, _CASE),
    "int": (Argument("default", (int,)),),
    "items": (),
    "join": (Argument("d", (str,)), _ATTRIBUTE),
    "last": (),
    "length": (),
    "list": (),
    "lower": (),
    "map": (_ATTRIBUTE, _OTHERWISE),
    "max": (_CASE, _ATTRIBUTE),
    "min": (_CASE, _ATTRIBUTE),
    "reject": (),
    "rejectattr": (),
    "replace": (
        Argument("old", (str,), required=True),
        Argument("new", (str,), required=True),
        Argument("count", (int,)),
    ),
    "round": (Argument("precision", (int,), most=15), Argument("method", (str,))),
    "select": (),
    "selectattr": (),
    "sort": (Argument("reverse", (bool,)), _CASE, _ATTRIBUTE),
    "string": (),
    "sum": (_ATTRIBUTE, Argument("start", (int, float))),
    "title": (),
    "tojson": (),
    "trim": (Argument("chars", (str,)),),
    "truncate": (
        Argument("length", (int,)),
        Argument("killwords", (bool,)),
        Argument("end", (str,)),
        Argument("leeway", (int,)),
    ),
    "unique": (_CASE, _ATTRIBUTE),
    "upper": (),
    "wordcount": (),
}

TESTS: Final = frozenset(
    (
        *("boolean", "defined", "divisibleby", "even", "false", "float", "in", "integer", "mapping", "none", "number"),
        *("odd", "sequence", "string", "true", "undefined"),
        *("eq", "equalto", "==", "ne", "!=", "lt", "lessthan", "<", "le", "<="),
        *("gt", "greaterthan", ">", "ge", ">="),
    )
)

TEST_NAMERS: Final = {"select": 0, "reject": 0, "selectattr": 1, "rejectattr": 1}
