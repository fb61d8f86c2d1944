"""JSON Schema judges answers, and neither schema nor answer can take the engine with it."""

from __future__ import annotations

from typing import Any

import pytest

from glink.loading.jsonshape import SchemaError, compile_pattern, compile_schema


def test_an_answer_that_fits_has_no_errors() -> None:
    """What the schema asks for is accepted."""
    schema = compile_schema({"type": "array", "items": {"type": "object", "required": ["name"]}})
    assert schema.errors([{"name": "x"}, {"name": "y", "more": 1}]) == []


def test_errors_say_where_and_what() -> None:
    """Each error is one line with the JSON path."""
    schema = compile_schema({"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": False})
    assert sorted(schema.errors({"n": "x", "m": 1})) == [
        "$.n: 'x' is not of type 'integer'",
        "$: additional properties are not allowed: 'm'",
    ]


def test_errors_are_few_and_short() -> None:
    """However wrong an answer is, at most 20 lines of at most 300 characters tell it."""
    errors = compile_schema({"items": {"type": "integer"}}).errors(["x" * 10_000] * 1_000)
    assert len(errors) == 20
    assert max(map(len, errors)) == 300


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "(.*)*!!"])
def test_runaway_patterns_take_linear_time(pattern: str) -> None:
    """Patterns that hold Python's `re` for hours are judged at once, wherever they stand."""
    text = "a" * 50_000 + "!"
    assert len(compile_schema({"pattern": pattern}).errors(text)) == 1
    named = compile_schema({"patternProperties": {pattern: {"type": "integer"}}, "additionalProperties": False})
    assert len(named.errors({text: "x"})) == 1


@pytest.mark.parametrize("draft", ["draft-04/schema#", "draft-06/schema#", "draft-07/schema#"])
def test_older_drafts_are_known(draft: str) -> None:
    """`$schema` chooses the dialect."""
    schema = compile_schema({"$schema": f"http://json-schema.org/{draft}", "items": {"type": "integer"}})
    assert len(schema.errors(["x"])) == 1


@pytest.mark.parametrize(
    ("schema", "where", "said"),
    [
        ({"$ref": "https://example.com/s.json"}, ("$ref",), "leaves the document"),
        ({"items": {"$ref": "file:///etc/passwd"}}, ("items", "$ref"), "leaves the document"),
        ({"$ref": "other.json#/a"}, ("$ref",), "leaves the document"),
        ({"$ref": "#/$defs/gone"}, ("$ref",), "leads nowhere"),
        ({"$ref": "#anchor"}, ("$ref",), "names an anchor"),
        ({"$dynamicRef": "#x"}, ("$dynamicRef",), "not allowed"),
        ({"properties": {"a": {"$id": "https://example.com/"}}}, ("properties", "a", "$id"), "not allowed"),
        ({"$ref": "#"}, (), "circle"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}, (), "circle"),
        ({"properties": {"a": {"pattern": "(?=x)"}}}, ("properties", "a", "pattern"), "cannot be used"),
        ({"pattern": "(a)\\1"}, ("pattern",), "cannot be used"),
        ({"pattern": "(a{1000}){1000}"}, ("pattern",), "cannot be used"),
        ({"patternProperties": {"(?<=x)": {}}}, ("patternProperties", "(?<=x)"), "cannot be used"),
        ({"$ref": "#/x", "x": {"pattern": "(?!x)"}}, ("x", "pattern"), "cannot be used"),
        ({"patternProperties": {"a": {}}, "unevaluatedProperties": False}, (), "do not go together"),
        ({"type": "strin"}, ("type",), "not valid"),
        ({"$schema": "https://example.com/mine"}, ("$schema",), "unknown dialect"),
        ([], (), "must be a mapping"),
        ("x", (), "must be a mapping"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_with_its_place(schema: Any, where: tuple[str, ...], said: str) -> None:
    """Nothing is fetched, nothing runs in circles, nothing that RE2 cannot express is guessed."""
    with pytest.raises(SchemaError) as caught:
        compile_schema(schema)
    assert caught.value.where == where
    assert said in str(caught.value)


def test_a_deep_schema_is_refused() -> None:
    """64 levels are the limit."""
    schema: Any = {}
    for _ in range(100):
        schema = {"items": schema}
    with pytest.raises(SchemaError, match="nested deeper"):
        compile_schema(schema)


def test_references_that_multiply_are_refused() -> None:
    """2^40 ways through a schema are found when it is compiled."""
    definitions: dict[str, Any] = {f"a{i}": {"allOf": [{"$ref": f"#/$defs/a{i + 1}"}] * 2} for i in range(40)}
    with pytest.raises(SchemaError, match="multiply without end"):
        compile_schema({"$ref": "#/$defs/a0", "$defs": {**definitions, "a40": True}})


def test_references_that_multiply_with_the_answer_end_in_an_error() -> None:
    """An answer that makes a recursive schema explode is judged to the limit, then called unjudgeable."""
    schema = compile_schema({"properties": {"a": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}})
    value: Any = {}
    for _ in range(30):
        value = {"a": value}
    assert schema.errors(value, references=5_000) == [
        "$: cannot be judged: the schema follows more than 5000 references"
    ]


def test_a_recursive_schema_works() -> None:
    """References within the document are followed."""
    schema = compile_schema({"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["id"]})
    assert schema.errors({"id": 1, "next": {"id": 2}}) == []
    assert schema.errors({"id": 1, "next": {}}) == ["$.next: 'id' is a required property"]


def test_equal_items_are_found_among_many() -> None:
    """`uniqueItems` compares by digest; 1 and 1.0 are equal, true and 1 are not."""
    schema = compile_schema({"uniqueItems": True})
    many = [{"n": i} for i in range(10_000)]
    assert schema.errors(many) == []
    assert schema.errors([*many, {"n": 7}]) == ["$: has items that are equal"]
    assert schema.errors([1, 1.0]) == ["$: has items that are equal"]
    assert schema.errors([1, True, "1", [1]]) == []


def test_an_answer_nested_too_deeply_is_an_error_not_a_crash() -> None:
    """A recursion in the judge becomes a line."""
    schema = compile_schema({"items": {"$ref": "#"}})
    value: list[Any] = []
    for _ in range(5_000):
        value = [value]
    assert schema.errors(value) == [
        "$: cannot be judged: the value or the references of the schema are nested too deeply"
    ]


def test_equal_schemas_are_compiled_once() -> None:
    """The order of keys does not matter."""
    assert compile_schema({"type": "object", "required": ["a"]}) is compile_schema(
        {"required": ["a"], "type": "object"}
    )


def test_a_lone_surrogate_matches_nothing() -> None:
    """A text that is no UTF-8 cannot crash a pattern."""
    assert not compile_pattern(".*").matches("\ud800")
    assert compile_pattern("a+").matches("aaa")
    assert not compile_pattern("a+").matches("aaa\n")
    assert compile_pattern("a+").found_in("xaay")
