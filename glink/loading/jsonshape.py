"""JSON Schema over what agents answer, and patterns over texts: the one door to jsonschema and to google-re2.

Called by the loader (does the schema make sense?) and wherever an answer is judged. Both schema and answer come from
strangers, so: patterns are RE2's, which take time linear in the text; a `$ref` stays inside its own document; equal
items are found by digest, not pair by pair; and the references that one judgement follows are counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice
from typing import Any, Final
from urllib.parse import unquote

from glink.jsontext import canonical, loads

Path = tuple[str | int, ...]

_NEWEST: Final = "https://json-schema.org/draft/2020-12/schema"
_DEPTH: Final = 64
_PATTERN_CHARACTERS: Final = 1_000
_REFERENCES: Final = 200_000
_PROBE_REFERENCES: Final = 2_000
_PROBES: Final[tuple[Any, ...]] = (None, "", 0, [], {})
_ERRORS: Final = 20
_MESSAGE_CHARACTERS: Final = 300
_COMPILED: Final = 256

# Keywords whose value is a schema, a list of schemas, or schemas by name: where patterns and references may stand.
_ONE: Final = frozenset({"not", "if", "then", "else", "items", "contains", "propertyNames", "contentSchema"}) | {
    "additionalItems",
    "additionalProperties",
    "unevaluatedItems",
    "unevaluatedProperties",
}
_LIST: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems", "items"})
_NAMED: Final = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"}
)


class SchemaError(ValueError):
    """The schema or pattern cannot be used. `where` leads to the place inside the schema."""

    def __init__(self, message: str, where: Path = (), cure: str = "") -> None:
        self.where = where
        self.cure = cure
        super().__init__(message)


class _TooManyReferencesError(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled RE2 pattern; `found_in` searches, `matches` wants the whole text."""

    _regexp: Any

    def found_in(self, text: str) -> bool:
        return self._search(self._regexp.search, text)

    def matches(self, text: str) -> bool:
        return self._search(self._regexp.fullmatch, text)

    def _search(self, search: Any, text: str) -> bool:
        try:
            return search(text) is not None
        except UnicodeEncodeError:
            # A lone surrogate is no character: nothing matches it.
            return False


@lru_cache(maxsize=_COMPILED)
def compile_pattern(pattern: str) -> Pattern:
    """The pattern as RE2 reads it; raises SchemaError for what RE2 cannot express (look-around, back-references)."""
    import re2

    if len(pattern) > _PATTERN_CHARACTERS:
        raise SchemaError(f"the pattern has more than {_PATTERN_CHARACTERS} characters", cure="shorten it")
    options = re2.Options()
    options.log_errors = False
    try:
        return Pattern(re2.compile(pattern, options=options))
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0] if error.args else error
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        cure = "write it without look-ahead, look-behind and back-references (RE2 syntax)"
        raise SchemaError(f"the pattern cannot be used: {text}", cure=cure) from None


@dataclass(frozen=True, slots=True)
class Schema:
    """A compiled schema. Thread-safe."""

    _validator: Any

    def errors(self, value: Any, *, references: int = _REFERENCES) -> list[str]:
        """What is wrong with a JSON value, at most 20 lines `$.path: what`; empty when it fits. Never raises.

        At most `references` of its `$ref`s are followed.
        """
        token = _references_left.set([references])
        found: list[str] = []
        try:
            errors = islice(self._validator.iter_errors(value), _ERRORS)
            found.extend(_short(f"{error.json_path}: {error.message}") for error in errors)
        except _TooManyReferencesError:
            found.append(f"$: cannot be judged: the schema follows more than {references} references")
        except RecursionError:
            found.append("$: cannot be judged: the value or the references of the schema are nested too deeply")
        except (ArithmeticError, ValueError) as error:
            found.append(f"$: cannot be judged: {type(error).__name__}")
        finally:
            _references_left.reset(token)
        return found


_references_left: ContextVar[list[int]] = ContextVar("_references_left")


def compile_schema(schema: Any) -> Schema:
    """The schema, ready to judge answers; equal schemas are compiled once. Raises SchemaError."""
    try:
        return _compiled(canonical(schema))
    except (TypeError, RecursionError):
        raise SchemaError("the schema is not JSON", cure="write a mapping of JSON Schema keywords") from None


@lru_cache(maxsize=_COMPILED)
def _compiled(text: bytes) -> Schema:
    from jsonschema import exceptions

    schema = loads(text)
    if not isinstance(schema, dict | bool):
        raise SchemaError("the schema must be a mapping", cure="write JSON Schema keywords, such as `type: object`")
    dialect = _dialect(schema)
    _Check(schema).all()
    try:
        dialect.check_schema(schema)
    except exceptions.SchemaError as error:
        raise SchemaError(_short(error.message), tuple(error.absolute_path)) from None
    compiled = Schema(_hardened(dialect)(schema, registry=_no_documents()))
    for probe in _PROBES:
        if any("cannot be judged" in error for error in compiled.errors(probe, references=_PROBE_REFERENCES)):
            raise SchemaError("its references lead in a circle or multiply without end", (), "unroll them")
    return compiled


def _short(message: str) -> str:
    return message if len(message) <= _MESSAGE_CHARACTERS else message[: _MESSAGE_CHARACTERS - 3] + "..."


class _Check:
    """Patterns that RE2 takes, references that lead somewhere in this document, and a bounded depth."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._followed: set[str] = set()
        self._targets: list[tuple[Any, Path]] = [(root, ())]

    def all(self) -> None:
        """Check the schema, and what is only reached by a reference; raises SchemaError."""
        while self._targets:
            self.check(*self._targets.pop())

    def check(self, schema: Any, where: Path) -> None:
        if len(where) > _DEPTH:
            raise SchemaError(f"the schema is nested deeper than {_DEPTH} levels", where[:8], "flatten it")
        if not isinstance(schema, dict):
            return
        for key in ("$dynamicRef", "$recursiveRef", "$id"):
            if key in schema and (where or key != "$id"):
                raise SchemaError(f"{key} is not allowed here", (*where, key), "use $ref with a path, #/$defs/…")
        if isinstance(schema.get("$ref"), str):
            self._reference(schema["$ref"], (*where, "$ref"))
        if isinstance(schema.get("pattern"), str):
            _check_pattern(schema["pattern"], (*where, "pattern"))
        if isinstance(schema.get("patternProperties"), dict):
            if "unevaluatedProperties" in schema:
                cure = "use additionalProperties"
                raise SchemaError("patternProperties and unevaluatedProperties do not go together", where, cure)
            for pattern in schema["patternProperties"]:
                _check_pattern(pattern, (*where, "patternProperties", pattern))
        for key, value in schema.items():
            for inner, path in _inner(key, value):
                self.check(inner, (*where, *path))

    def _reference(self, reference: str, where: Path) -> None:
        if reference in self._followed or reference == "#":
            return
        self._followed.add(reference)
        if not reference.startswith("#/"):
            cure = "copy the schema under $defs and refer to it by #/$defs/…"
            raise SchemaError("a $ref that leaves the document or names an anchor is not followed", where, cure)
        target = self._root
        names = tuple(part.replace("~1", "/").replace("~0", "~") for part in unquote(reference[2:]).split("/"))
        for name in names:
            if isinstance(target, list) and name.isdecimal() and int(name) < len(target):
                target = target[int(name)]
            elif isinstance(target, dict) and name in target:
                target = target[name]
            else:
                raise SchemaError(f"{_short(reference)} leads nowhere", where, "write the path of a schema in here")
        self._targets.append((target, names))


def _inner(key: str, value: Any) -> Iterator[tuple[Any, Path]]:
    if key in _NAMED and isinstance(value, dict):
        yield from ((one, (key, name)) for name, one in value.items())
    elif key in _LIST and isinstance(value, list):
        yield from ((one, (key, index)) for index, one in enumerate(value))
    elif key in _ONE:
        yield value, (key,)


def _check_pattern(pattern: str, where: Path) -> None:
    try:
        compile_pattern(pattern)
    except SchemaError as problem:
        raise SchemaError(str(problem), where, problem.cure) from None


def _dialect(schema: Any) -> Any:
    name = schema.get("$schema", _NEWEST) if isinstance(schema, dict) else _NEWEST
    found = _dialects().get(name.rstrip("#")) if isinstance(name, str) else None
    if found is None:
        raise SchemaError("$schema names an unknown dialect", ("$schema",), "leave it out (2020-12), or name a draft")
    return found


@cache
def _dialects() -> Mapping[str, Any]:
    from jsonschema import validators

    drafts: tuple[Any, ...] = (
        validators.Draft4Validator,
        validators.Draft6Validator,
        validators.Draft7Validator,
        validators.Draft201909Validator,
        validators.Draft202012Validator,
    )
    return {(draft.META_SCHEMA.get("$id") or draft.META_SCHEMA["id"]).rstrip("#"): draft for draft in drafts}


@cache
def _no_documents() -> Any:
    """An empty registry: without one, jsonschema fetches remote references."""
    from referencing import Registry

    return Registry()


@cache
def _hardened(draft: Any) -> Any:
    from jsonschema import validators

    extend: Any = validators.extend
    return extend(
        draft,
        {
            "pattern": _pattern,
            "patternProperties": _pattern_properties,
            "additionalProperties": _additional_properties,
            "uniqueItems": _unique_items,
            "$ref": _counted(draft.VALIDATORS["$ref"]),
        },
    )


def _counted(follow: Any) -> Any:
    def counted(validator: Any, reference: Any, instance: Any, schema: Any) -> Iterator[Any]:
        left = _references_left.get(None)
        if left is not None:
            left[0] -= 1
            if left[0] < 0:
                raise _TooManyReferencesError
        yield from follow(validator, reference, instance, schema) or ()

    return counted


def _pattern(validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if validator.is_type(instance, "string") and not compile_pattern(pattern).found_in(instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, _schema: Any) -> Iterator[Any]:
    if not validator.is_type(instance, "object"):
        return
    for pattern, inner in patterns.items():
        compiled = compile_pattern(pattern)
        for name, value in instance.items():
            if compiled.found_in(name):
                yield from validator.descend(value, inner, path=name, schema_path=pattern)


def _additional_properties(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if not validator.is_type(instance, "object"):
        return
    patterns = [compile_pattern(pattern) for pattern in schema.get("patternProperties", {})]
    declared = schema.get("properties", {})
    extra = [n for n in instance if n not in declared and not any(pattern.found_in(n) for pattern in patterns)]
    if validator.is_type(allowed, "object"):
        for name in extra:
            yield from validator.descend(instance[name], allowed, path=name)
    elif not allowed and extra:
        yield ValidationError(f"additional properties are not allowed: {', '.join(map(repr, extra[:10]))}")


def _unique_items(validator: Any, wanted: Any, instance: Any, _schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if not wanted or not validator.is_type(instance, "array"):
        return
    if len({canonical(_plain_numbers(item)) for item in instance}) < len(instance):
        yield ValidationError("has items that are equal")


def _plain_numbers(value: Any) -> Any:
    """1.0 and 1 are the same number."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return int(value)
    if isinstance(value, list):
        return [_plain_numbers(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain_numbers(item) for key, item in value.items()}
    return value
