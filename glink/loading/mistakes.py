"""What pydantic finds wrong with a document, said in the words of the file's author.

Called by `glink.project` and `glink.config`, which give the result a place in the file. Nothing of the input but keys
is repeated: a configuration may hold secrets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from glink.loading.document import Path, quoted

_EXPECTED: Final = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "sequence_str": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_KINDS: Final = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "a mapping",
    type(None): "nothing",
}
_BOUNDS: Final = {
    "greater_than_equal": ("must be {ge} or more", "ge"),
    "greater_than": ("must be more than {gt}", "gt"),
    "less_than_equal": ("must be {le} or less", "le"),
    "less_than": ("must be less than {lt}", "lt"),
    "string_too_short": ("must not be empty", "min_length"),
    "string_too_long": ("is longer than {max_length} characters", "max_length"),
    "too_short": ("must have {min_length} or more entries", "min_length"),
    "too_long": ("must have {max_length} or fewer entries", "max_length"),
}


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong at `where` in a document.

    `at_key` when it is about the key, not its value. `inside` is a line and column (from 1) within the text that stands
    there, or within `file` when the text stands in a file of its own.
    """

    where: Path
    what: str
    cure: str = ""
    at_key: bool = False
    inside: tuple[int, int] | None = None
    file: str = ""
    guess: str = ""


def mistakes(
    error: ValidationError,
    document: Any,
    model: type[BaseModel],
    prefix: Path = (),
    *,
    beside: type[BaseModel] | None = None,
) -> list[Mistake]:
    """Every error as a mistake in the document that `model` was to be made of; `prefix` leads to that document.

    `beside` is a model whose keys may stand in the same mapping.
    """
    known = (model,) if beside is None else (model, beside)
    found = [(one["type"], _mistake(one, document, known, prefix)) for one in error.errors(include_url=False)]
    # A key that stands there misspelt is not missing as well.
    misspelt = {(*one.where[:-1], one.guess) for _, one in found if one.guess}
    return [one for kind, one in found if kind != "missing" or one.where not in misspelt]


def _mistake(error: ErrorDetails, document: Any, known: tuple[type[BaseModel], ...], prefix: Path) -> Mistake:
    kind, context = error["type"], error.get("ctx", {})
    about_key = kind != "extra_forbidden" and error["loc"][-1:] == ("[key]",)
    where, container = _where(error["loc"][:-1] if about_key else error["loc"], document)
    full = (*prefix, *where)
    if kind == "missing":
        return Mistake(full, "is missing", f"add `{where[-1]}:`")
    if kind == "extra_forbidden":
        keys = [key for model in known for key in _keys(model, where[:-1], container)]
        key = str(where[-1])
        return Mistake(full, "unknown key", suggestion(key, keys), at_key=True, guess=nearest(key, keys))
    if kind in _EXPECTED:
        given = _KINDS.get(type(error["input"]), "something else")
        return Mistake(full, f"must be {_EXPECTED[kind]}, not {given}", _cure_for(kind, error["input"]))
    if kind in _BOUNDS:
        text, key = _BOUNDS[kind]
        return Mistake(full, text.format(**{key: context.get(key)}), "")
    if kind in ("literal_error", "enum"):
        expected = str(context.get("expected", "")).replace("'", "")
        guess = nearest(str(error["input"]), expected.replace(" or ", ", ").split(", "))
        return Mistake(full, f"must be {expected}", f'did you mean "{guess}"?' if guess else "")
    return Mistake(full, error["msg"].removeprefix("Value error, "), str(context.get("cure", "")), at_key=about_key)


def _where(location: tuple[int | str, ...], document: Any) -> tuple[Path, Any]:
    """The location without the names that pydantic adds for its own choices, and what contains its last part."""
    where: list[str | int] = []
    inside, container = document, None
    for position, part in enumerate(location):
        if isinstance(part, str) and part.startswith("<") and not (isinstance(inside, dict) and part in inside):
            continue
        container = inside
        where.append(part)
        if isinstance(inside, dict) and part in inside:
            inside = inside[str(part)]
        elif isinstance(inside, list) and isinstance(part, int) and part < len(inside):
            inside = inside[part]
        elif position < len(location) - 1:
            inside = None
    return tuple(where), container


def _keys(model: Any, where: Path, container: Any) -> list[str]:
    """The keys that the mapping at `where` may have and does not have yet."""
    for part in where:
        field = next((f for f in _fields(model) if f[0] == part), None) if isinstance(part, str) else None
        if field is not None:
            model = field[1]
    return [name for one in _models(model) for name, _ in _fields(one) if name not in (container or {})]


def _fields(model: Any) -> Iterable[tuple[str, Any]]:
    for one in _models(model):
        for name, field in one.model_fields.items():
            yield field.alias or name, field.annotation


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Every model that an annotation (union, list, mapping) holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    found: list[type[BaseModel]] = []
    for inner in getattr(annotation, "__args__", ()):
        found += _models(inner)
    return found


def _cure_for(kind: str, given: Any) -> str:
    if kind == "string_type" and isinstance(given, int | float):
        return "put it in quotes"
    if kind in ("list_type", "tuple_type", "sequence_str") and isinstance(given, str | int | float):
        return "write it as a list: [...]"
    return ""


def suggestion(word: str, known: Iterable[str]) -> str:
    """`did you mean "x"?`, or what there is to choose from."""
    choices = sorted(set(known))
    guess = nearest(word, choices)
    if guess:
        return f'did you mean "{guess}"?'
    if not choices:
        return ""
    return "known: " + ", ".join(choices[:30]) if len(", ".join(choices[:30])) <= 400 else ""


def nearest(word: str, choices: Iterable[str]) -> str:
    """The choice that is spelt most like the word; empty when none is near."""
    found = get_close_matches(word[:80].lower(), list(choices), n=1, cutoff=0.6)
    return found[0] if found else ""


def unknown(kind: str, word: str, known: Mapping[str, Any] | Iterable[str]) -> tuple[str, str]:
    """What to say about a name that is not known: the mistake and its cure."""
    return f"unknown {kind} {quoted(word)}", suggestion(word, known)
