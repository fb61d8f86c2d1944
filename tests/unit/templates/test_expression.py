"""What `when` says of what is there and of what is not."""

import pytest

from glink.limits import Limits
from glink.templates.template import RenderProblem, TemplateProblem, compile_expression
from tests.unit.templates.conftest import VALUES


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("params.limit > 5", True),
        ("steps[2].output.shops | length", 2),
        ("steps[3].status == 'skipped' and steps['open-pr'].status != 'succeeded'", True),
        ("steps[2].output.shops | map(attribute='stars') | sum", 9),
        ("'three' in steps[1].output", True),
        ("params.limit if false else [1]", [1]),
        ("bus.latest('note.x').price < 5", True),
        ("now", "2026-11-23T00:00:00Z"),
    ],
)
def test_an_expression_has_the_value_of_what_it_names(evaluate, source, value):
    assert evaluate(source) == value


@pytest.mark.parametrize(
    "source",
    [
        "steps[3].output",
        "steps[3].output > 3",
        "steps[3].output | length > 0",
        "not steps[3].output",
        "steps[3].output == 'x'",
        "steps[3].output.deep.down == 1",
        "steps[2].output.nothing > 3",
        "steps[2].output.none > 3",
        "steps['open-pr'].text",
        "bus.latest('note.y').price > 1",
        "trigger.total > 100",
    ],
)
def test_an_expression_over_what_is_not_there_is_none_and_does_not_hold(source):
    expression = compile_expression(source, limits=Limits())
    assert expression.evaluate(VALUES) is None
    assert expression.holds(VALUES) is False


@pytest.mark.parametrize(
    "source",
    [
        "steps[3].output is none",
        "steps[3].output is not defined",
        "steps[3].output | default('x') == 'x'",
        "steps[1].output is defined",
    ],
)
def test_an_expression_can_ask_whether_something_is_there(source):
    assert compile_expression(source, limits=Limits()).holds(VALUES) is True


@pytest.mark.parametrize(("source", "holds"), [("0", False), ("[]", False), ("''", False), ("'no'", True), ("1", True)])
def test_an_expression_holds_when_its_value_is_true(source, holds):
    assert compile_expression(source, limits=Limits()).holds(VALUES) is holds


@pytest.mark.parametrize("source", ["params.nothing > 1", "params.city > 1", "1 / 0", "params.list | sort | sum > 'x'"])
def test_an_expression_that_is_wrong_by_itself_is_an_error(evaluate, source):
    with pytest.raises(RenderProblem):
        evaluate(source)


@pytest.mark.parametrize(
    ("source", "message", "cure"),
    [
        ("{{ params.x }}", "an expression stands without braces", "write what is between {{ and }}"),
        ("1 }} {{ 2", "there is more after the expression", "write one expression, without {{ }}"),
        ("1, 2 3", "there is more after the expression", "write one expression, without {{ }}"),
        ("files['note.txt']", "an expression reads no files", "read it in a task"),
        ("set x = 1", "there is more after the expression", "write one expression, without {{ }}"),
    ],
)
def test_what_is_no_expression_is_refused(source, message, cure):
    with pytest.raises(TemplateProblem) as caught:
        compile_expression(source, limits=Limits())
    assert (caught.value.message, caught.value.cure) == (message, cure)


@pytest.mark.parametrize(
    "source", ["", "1 +", "'", "a b", "(" * 5_000, "not " * 5_000 + "1", "1" + "+1" * 200, "9" * 5_000]
)
def test_what_cannot_be_read_is_a_problem_of_the_text(source):  # fmt: skip
    with pytest.raises(TemplateProblem):
        compile_expression(source, limits=Limits())


def test_the_same_expression_is_compiled_once():
    assert compile_expression("1 + 1", limits=Limits()) is compile_expression("1 + 1", limits=Limits())
