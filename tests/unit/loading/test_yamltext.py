"""YAML becomes plain values with places, and nothing else of YAML gets in."""

from __future__ import annotations

import pytest

from glink.limits import Limits
from glink.loading.document import Document
from glink.loading.yamltext import read_yaml

LIMITS = Limits()


def read(text: str | bytes, limits: Limits = LIMITS) -> Document:
    return read_yaml(text if isinstance(text, bytes) else text.encode(), "x.yaml", limits)


def only(text: str | bytes, limits: Limits = LIMITS) -> str:
    problems = read(text, limits).problems
    assert len(problems) == 1, problems
    return str(problems[0])


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("", None),
        ("0", 0),
        ("-7", -7),
        ("10", 10),
        ("1.5", 1.5),
        ("-0.25", -0.25),
        ("9223372036854775807", (1 << 63) - 1),
    ],
)
def test_scalars_are_words_and_decimal_numbers(written: str, value: object) -> None:
    """`true`, `false`, `null`, nothing and decimal numbers are themselves, with their type."""
    found = read(f"a: {written}\n").value["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "written",
    [
        "no",
        "on",
        "yes",
        "off",
        "Yes",
        "True",
        "NULL",
        "~",
        "012",
        "0o14",
        "0x1f",
        "0b1",
        "1:20:30",
        "1_000",
        "1e5",
        "1.0e+3",
        ".inf",
        "-.inf",
        ".nan",
        "2024-01-02",
        "2024-13-45",
        "1.",
        ".5",
        "+1",
        "-",
        "--",
        "1,5",
        "=",
        "00",
        "-01",
    ],
)
def test_everything_else_is_text(written: str) -> None:
    """What YAML 1.1 takes for booleans, octals, sexagesimals, dates and infinities is text here."""
    if written == "-":
        written = "- x"
        assert read("a: '- x'\n").value == {"a": written}
        return
    assert read(f"a: {written}\n").value == {"a": written}


@pytest.mark.parametrize("number", ["9" * 5_000, "9223372036854775808", "-9223372036854775809", "1" * 41 + ".5"])
def test_a_number_too_large_for_the_bus_is_refused(number: str) -> None:
    """Whole numbers are 64 bits; a longer one says to put it in quotes."""
    found = read(f"a: {number}\n").problems[0]
    assert (found.where, found.line, found.column) == ("a", 1, 4)
    assert found.what == "the number is too large"
    assert found.cure == "put it in quotes if it is a text"


def test_a_number_that_stood_before_is_no_number_in_quotes() -> None:
    """What a plain scalar stands for is remembered by its text, and only of plain ones."""
    found = read('[1, "1", 1, 1.0, \'1.0\', 1.0, true, "true", true]').value
    assert [(type(one), one) for one in found] == [
        *((int, 1), (str, "1"), (int, 1)),
        *((float, 1.0), (str, "1.0"), (float, 1.0)),
        *((bool, True), (str, "true"), (bool, True)),
    ]


def test_keys_are_text_as_written() -> None:
    """A number or a word as a key is its text."""
    assert read("1: a\ntrue: b\n'x y': c\n").value == {"1": "a", "true": "b", "x y": "c"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "a: !!python/object/apply:os.system [x]\n",
            "x.yaml:1:4: a: the tag !!python/object/apply:os.system is not allowed; remove it",
        ),
        ("a: !!binary aGk=\n", "x.yaml:1:4: a: the tag !!binary is not allowed; remove it"),
        ("a: !!set {x}\n", "x.yaml:1:4: a: the tag !!set is not allowed; remove it"),
        ("a: ! x\n", "x.yaml:1:4: a: the tag ! is not allowed; remove it"),
        ("!own a: 1\n", "x.yaml:1:1: a: the tag !own is not allowed; remove it"),
        ("a: &x 1\n", "x.yaml:1:4: a: the anchor &x is not allowed; remove it and write values out"),
        ("<<: {a: 1}\n", "x.yaml:1:1: the merge key << is not allowed; write the keys out"),
        ("a: 1\nb: 2\na: 3\n", 'x.yaml:3:1: a: the key "a" stands here again, first in line 1; keep one of the two'),
        ("? [a]\n: 1\n", "x.yaml:1:3: a key must be a text; write `key: value`"),
        ("?\n: 1\n", "x.yaml:1:2: a key is missing before the colon; write `key: value`"),
        (
            "a: 1\n---\nb: 2\n",
            "x.yaml:2:1: a second document begins here; one file holds one document: remove the `---`",
        ),
        ("%YAML 1.1\n---\na: 1\n", "x.yaml:1:1: a % directive is not allowed; remove the line"),
        ("", "x.yaml: the file is empty; write `key: value` lines"),
        ("# only a comment\n", "x.yaml: the file is empty; write `key: value` lines"),
        ('a: "x\\0y"\n', "x.yaml:1:4: a: the text contains control characters; remove the escapes"),
        ('a: "\\e]8;;x"\n', "x.yaml:1:4: a: the text contains control characters; remove the escapes"),
        ('"a\\a": 1\n', "x.yaml:1:1: a key contains control characters; remove them"),
    ],
)
def test_what_is_more_than_data_is_refused_by_name(text: str, said: str) -> None:
    """Tags, anchors, merge keys, doubled keys, odd keys, second documents: each with its place and its cure."""
    assert only(text) == said


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    """Reading goes on after a problem."""
    problems = read("a: !x 1\nb: &y 2\nc: *y\nb: 3\n").problems
    assert [(one.line, one.what.split(" is ")[0]) for one in problems] == [
        (1, "the tag !x"),
        (2, "the anchor &y"),
        (3, "the alias *y"),
        (4, 'the key "b" stands here again, first in line 2'),
    ]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("\ufeffa: 1\n".encode(), "x.yaml:1:1: begins with a UTF-8 byte order mark; save it as plain UTF-8"),
        ("a: 1\n".encode("utf-16"), "x.yaml:1:1: begins with a UTF-16 byte order mark; save it as plain UTF-8"),
        ("a: 1\nb: caf\xe9\n".encode("latin-1"), "x.yaml:2:7: is not UTF-8; save it as UTF-8"),
        (b"a: \xed\xa0\x80\n", "x.yaml:1:4: is not UTF-8; save it as UTF-8"),
        (b"a: x\x00y\n", "x.yaml:1:5: contains the character U+0000; remove it"),
        (b"a: x\n\x1b[2J", "x.yaml:2:1: contains the character U+001B; remove it"),
        (b"a: 1\rb: 2\n", "x.yaml:1:5: contains the character U+000D; remove it"),
        ("a: x\u2028y\n".encode(), "x.yaml:1:5: contains the character U+2028; remove it"),
    ],
)
def test_only_plain_utf_8_without_controls_is_read(data: bytes, said: str) -> None:
    """Other encodings, NUL, C0 and C1 controls and strange line breaks are refused with their place."""
    assert only(data) == said


def test_lines_may_end_as_on_windows() -> None:
    """CRLF counts as one line break."""
    document = read(b"a: 1\r\nb: |\r\n  x\r\n  y\r\n")
    assert document.value == {"a": 1, "b": "x\ny\n"}
    assert document.problems == ()


@pytest.mark.parametrize(
    "text",
    [
        "[" * 10_000,
        "[" * 200_000,
        "{a: " * 50_000,
        "- " * 3_000,
        "? " * 3_000,
        "a:\n" + "".join(" " * depth + "b:\n" for depth in range(1, 900)),
        "[\n" * 100_000,
        "- [" * 3_000,
        "? [" * 3_000,
    ],
    ids=["flow", "long flow", "flow mappings", "dashes", "questions", "blocks", "lines", "mixed", "mixed keys"],
)
def test_nesting_bombs_end_at_the_limit(text: str) -> None:
    """Deep nesting is refused while the events come in: no crash, no recursion, no drained parser."""
    document = read(text)
    assert not document.whole
    assert document.value is None
    assert len(document.problems) == 1
    assert document.places is not None


def test_the_depth_limit_is_exact() -> None:
    """32 levels are read, 33 are not."""
    assert read("[" * 32 + "]" * 32).problems == ()
    assert only("[" * 33 + "]" * 33) == "x.yaml:1:33: " + "[0]" * 32 + ": is nested deeper than 32 levels; flatten it"


def test_alias_bombs_are_never_expanded() -> None:
    """Billions of laughs: every anchor and alias is named, up to the limit of problems, and nothing grows."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 24)]
    document = read("\n".join(lines))
    assert len(document.problems) == LIMITS.problems
    assert not document.whole


def test_too_many_values_end_the_reading() -> None:
    """The limit on values holds on the stream, before anything large is built."""
    document = read("[" + "a," * 5_000 + "]", Limits(yaml_nodes=1_000))
    assert [one.what for one in document.problems] == ["has more than 1000 values"]


def test_a_file_too_large_is_not_parsed() -> None:
    """1 MiB is the limit of one file."""
    assert only(b"a" * ((1 << 20) + 1)) == "x.yaml: the file has 1048577 bytes, more than 1048576; split it"


@pytest.mark.parametrize(
    ("text", "line", "cure"),
    [
        ("a: b: c\n", 1, 'put a text that contains ": " in quotes, or check the indentation'),
        ("a:\n\t- b\n", 2, "indent with spaces, and put a text that begins with @, ` or % in quotes"),
        ("a: @b\n", 1, "indent with spaces, and put a text that begins with @, ` or % in quotes"),
        ("a: [1, 2\nb: 3\n", 2, "check the indentation and the brackets of this line and of the one before"),
        ('a: "open\n', 2, "close the quote that was opened"),
        ("a: 1\n  b: 2\n", 2, 'put a text that contains ": " in quotes, or check the indentation'),
        ('a: "\\ud800"\n', 1, "check the indentation, quotes and brackets"),
        ("<<<<<<< HEAD\na: 1\n=======\n", 2, 'put a text that contains ": " in quotes, or check the indentation'),
    ],
)
def test_syntax_errors_say_where_and_what_to_do(text: str, line: int, cure: str) -> None:
    """libyaml's message comes with line, column and a cure."""
    problem = read(text).problems[0]
    assert (problem.line, problem.cure) == (line, cure)
    assert problem.column >= 1


def test_every_value_has_a_place() -> None:
    """A path in the document leads to line and column of the value, and of its key."""
    document = read("steps:\n  - step: 1\n    env: {A: x}\n")
    value = document.problem(("steps", 0, "env", "A"), "wrong")
    assert (value.line, value.column, value.where) == (3, 14, "steps[0].env.A")
    assert value.with_caret() == "x.yaml:3:14: steps[0].env.A: wrong\n        env: {A: x}\n                 ^"
    key = document.problem(("steps", 0, "env"), "wrong", at_key=True)
    assert (key.line, key.column) == (3, 5)


def test_what_is_missing_is_placed_at_what_it_is_missing_from() -> None:
    """A path that is not there leads to the nearest thing around it."""
    document = read("steps:\n  - agent: a\n")
    missing = document.problem(("steps", 0, "step"), "is missing")
    assert (missing.line, missing.where) == (2, "steps[0].step")


@pytest.mark.parametrize(
    ("text", "inner", "place"),
    [
        ("a: |\n  one\n  two\n", (2, 3), (3, 5)),
        ("a: |\n\n    one\n      two\n", (2, 2), (3, 6)),
        ("a: |2\n    one\n", (1, 3), (2, 5)),
        ('a: "one two"\n', (1, 5), (1, 9)),
        ("a: one two\n", (1, 5), (1, 8)),
        ('a: "one\\ttwo"\n', (1, 5), (1, 4)),
        ("a: >\n  one\n  two\n", (1, 5), (1, 4)),
    ],
    ids=["block", "blank line first", "indent written", "quoted", "plain", "escapes", "folded"],
)
def test_a_place_inside_a_text_is_found_in_the_file(text: str, inner: tuple[int, int], place: tuple[int, int]) -> None:
    """Lines and columns inside a text are told as lines and columns of the file, where they can be known."""
    problem = read(text).problem_inside(("a",), *inner, "wrong")
    assert (problem.line, problem.column) == place


def test_source_lines_are_safe_for_a_terminal_and_short() -> None:
    """A line with controls shows none of them, and a column too far out shows no line."""
    assert read(b"a: \x1b]0;x\x07\n").problems[0].source == "a: \ufffd]0;x\ufffd"
    assert read("a: " + "x" * 5_000 + " !!\nb: &x 1\n").problems[0].source == "b: &x 1"
    assert read("a: [" + "x, " * 500 + "&y z]\n").problems[0].source == ""
