"""Templates that want more than they may: all end in a problem that names the cure, none in memory, time or code."""

import tracemalloc

import pytest

from glink.limits import Limits
from glink.templates.context import StepValue
from glink.templates.template import RenderProblem, TemplateProblem, compile_template
from tests.unit.templates.conftest import TEXTS, VALUES

BIG = "x y" * 1_000_000
LARGE = {
    **VALUES,
    "steps": {
        "1": StepValue("1", "succeeded", BIG),
        "2": StepValue("2", "succeeded", list(range(3_000))),
        "3": StepValue("3", "succeeded", ["z" * 1_000] * 8_000),
    },
}
OFFERED = "attempt, bus, files, now, params, project, revision, run, steps, trigger"


def refusal(source):
    with pytest.raises(TemplateProblem) as caught:
        compile_template(source, texts=TEXTS, limits=Limits())
    return caught.value


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' * 10 ** 8 }}",
        "{{ 'a' * 100000000 }}",
        "{{ 100000000 * 'a' }}",
        "{{ [1] * 100000000 }}",
        "{{ (1, 2) * 100000000 }}",
        "{{ '%0100000000d' % 1 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ 'a' ~ 'b' }}",
        "{{ ('a' * 100000000) | length }}",
        "{% if 'a' * 100000000 %}{% endif %}",
        "{% for x in 'a' * 100000000 %}{% endfor %}",
    ],
)
def test_constants_that_would_grow_are_refused_before_they_are_folded(source):
    tracemalloc.start()
    try:
        refusal(source)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{% set x = 1 %}", "`set` is not offered"),
        ("{% set x %}y{% endset %}", "`set` is not offered"),
        ("{% with x = 1 %}{% endwith %}", "`with` is not offered"),
        ("{% macro a() %}{{ a() }}{% endmacro %}", "`macro` is not offered"),
        ("{% call x() %}{% endcall %}", "`call` is not offered"),
        ("{% import 'note.txt' as x %}", "`import` is not offered"),
        ("{% from 'note.txt' import x %}", "`import` is not offered"),
        ("{% extends 'note.txt' %}", "`extends` is not offered"),
        ("{% block x %}{% endblock %}", "`block` is not offered"),
        ("{% filter upper %}x{% endfilter %}", "`filter` is not offered"),
        ("{% autoescape true %}{% endautoescape %}", "`autoescape` is not offered"),
        ("{% do x %}", "Encountered unknown tag 'do'"),
        ("{% for x in [[1]] recursive %}{{ loop(x) }}{% endfor %}", "a recursive `for` is not offered"),
    ],
)
def test_statements_that_are_not_on_the_list_are_refused(source, message):
    assert refusal(source).message.replace("blocks are", "is") == message


@pytest.mark.parametrize("name", ["attr", "center", "format", "indent", "ljust", "random", "pprint", "urlize", "batch", "slice", "xmlattr", "safe", "dictsort", "wordwrap", "(counted)"])  # fmt: skip
def test_filters_that_are_not_on_the_list_are_refused_by_name_too(name):
    if name.isalpha():
        assert refusal(f"{{{{ 'a' | {name} }}}}").message == f"there is no filter `{name}`"
    assert refusal(f"{{{{ ['a'] | map('{name}') | list }}}}").message == f"there is no filter `{name}`"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ ['a'] | map(project) }}", "there is no filter `None`"),
        ("{{ ['a'] | map('map', 'upper') }}", "there is no filter `map`"),
        ("{{ ['a'] | map }}", "`map` needs a filter or an attribute"),
        ("{{ ['a'] | map('truncate', 2000000) }}", "the argument `length` of `truncate` must be between 0 and 1000000"),
        ("{{ ['a'] | select('callable') }}", "there is no test `callable`"),
        ("{{ ['a'] | select(project) }}", "there is no test `None`"),
        ("{{ ['a'] | selectattr('a', 'filter') }}", "there is no test `filter`"),
        ("{{ 1 is sameas 1 }}", "there is no test `sameas`"),
        ("{{ 1.5 | round(16) }}", "the argument `precision` of `round` must be between 0 and 15"),
        ("{{ 1.5 | round(-1) }}", "the argument `precision` of `round` must be a constant"),
        ("{{ 'a' | truncate(params.limit) }}", "the argument `length` of `truncate` must be a constant"),
        ("{{ 'a' | replace(params.city, 'b') }}", "the argument `old` of `replace` must be a constant"),
        ("{{ 'a' | replace('a', params.city) }}", "the argument `new` of `replace` must be a constant"),
        ("{{ 'a' | replace('', 'b') }}", "the argument `old` of `replace` must not be empty"),
        ("{{ 'a' | replace('a') }}", "`replace` needs the argument `new`"),
        ("{{ 'a' | join('" + "x" * 1_001 + "') }}", "the argument `d` of `join` is longer than 1000 characters"),
        ("{{ 'a' | trim('a', 'b') }}", "`trim` takes at most 1 arguments"),
        ("{{ 'a' | trim(width=3) }}", "`trim` has no argument width"),
        ("{{ 'a' | trim(*params.list) }}", "`trim` takes its arguments one by one"),
        ("{{ 'a' | trim(**params) }}", "`trim` takes its arguments one by one"),
        ("{{ [1] | map(attribute='a.__class__') }}", "`a.__class__` is not offered"),
        ("{{ [1] | groupby('__class__') }}", "`__class__` is not offered"),
        ("{{ [1] | selectattr('__class__', 'eq', 1) }}", "`__class__` is not offered"),
        ("{{ [1] | sort(attribute=params.city) }}", "the argument `attribute` of `sort` must be a constant"),
    ],
)
def test_arguments_of_filters_are_bounded_constants(source, message):
    assert refusal(source).message == message


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ ''.__class__ }}", "`__class__` is not offered"),
        ("{{ params.__class__.__mro__ }}", "`__mro__` is not offered"),
        ("{{ params['__class__'] }}", "`__class__` is not offered"),
        ("{{ steps[1].__init__ }}", "`__init__` is not offered"),
        ("{{ params.city.upper() }}", "nothing can be called but bus.latest and bus.all"),
        ("{{ '{0.__class__}'.format(1) }}", "nothing can be called but bus.latest and bus.all"),
        ("{{ range(9) }}", "nothing can be called but bus.latest and bus.all"),
        ("{{ lipsum(9) }}", "nothing can be called but bus.latest and bus.all"),
        ("{{ cycler('a').next() }}", "nothing can be called but bus.latest and bus.all"),
        ("{{ bus.latest('note.x')() }}", "nothing can be called but bus.latest and bus.all"),
        ("{% for x in [1] %}{{ loop.cycle(1) }}{% endfor %}", "nothing can be called but bus.latest and bus.all"),
        ("{% for x in [1] %}{{ loop.cycle }}{% endfor %}", "`loop` has no cycle"),
        ("{% for x in [1] %}{{ loop }}{% endfor %}", "`loop` by itself is no value"),
        ("{% for x in [1] if loop.first %}{% endfor %}", "`loop` is not offered"),
        ("{% for steps in [1] %}{% endfor %}", "`steps` cannot be the name of a loop variable"),
        ("{% for a, (loop, b) in [1] %}{% endfor %}", "`loop` cannot be the name of a loop variable"),
        ("{{ self }}", "`self` is not offered"),
        ("{{ config }}", "`config` is not offered"),
        ("{{ item }}", "`item` is not offered"),
        ("{{ schedule.slot }}", "`schedule` is not offered"),
        ("{{ random }}", "`random` is not offered"),
    ],
)
def test_only_data_can_be_reached(source, message):
    assert refusal(source).message == message


def test_an_internal_name_that_is_computed_reaches_nothing(render):
    class Bait(str):
        __slots__ = ()
        secret = "found"

    values = {**VALUES, "params": {"key": "__class__", "bait": Bait("x")}}
    for source in ("{{ params[params.key] }}", "{{ params.bait[params.key] }}", "{{ params.bait.secret }}"):
        with pytest.raises(RenderProblem, match="there is no"):
            render(source, values)


@pytest.mark.parametrize(
    ("source", "message", "cure"),
    [
        ("{{ steps.open-pr.output }}", "`steps.open-pr` reads as a subtraction", 'write steps["open-pr"]'),
        ("{{ steps.a-b-now.output | trim }}", "`steps.a-b-now` reads as a subtraction", 'write steps["a-b-now"]'),
        ("{{ steps.a-1.output }}", "`steps.a-1` reads as a subtraction", 'write steps["a-1"]'),
        ("{{ params.my-key }}", "`params.my-key` reads as a subtraction", 'write params["my-key"]'),
        ("{{ steps[params.city].output }}", "a step is named literally", "write steps[ID].output|text|files|status|error"),
        ("{{ steps[1] }}", "a step is not used by itself", "write steps[ID].output|text|files|status|error"),
        ("{{ steps | length }}", "`steps` is not used by itself", "write steps[ID].output|text|files|status|error"),
        ("{{ steps[1].items }}", "a step has no `items`", "write one of output, text, files, status, error"),
        ("{{ run }}", "`run` is not used by itself", "write run.id|number|status"),
        ("{{ run.started }}", "`run` has no started", "write run.id|number|status"),
        ("{{ stepps[1].output }}", "`stepps` is not offered", f"did you mean `steps`? the names are {OFFERED}"),
        ("{{ files[project] }}", "`files` takes a literal path", 'write files["PATH"]'),
        ("{{ files.note }}", "`files` takes a literal path", 'write files["PATH"]'),
        ("{{ files['gone.md'] }}", "there is no text 'gone.md'", "add the file, or mend its name"),
        ("{{ 1 | uper }}", "there is no filter `uper`", None),
    ],
)  # fmt: skip
def test_a_refusal_says_what_to_write(source, message, cure):
    problem = refusal(source)
    assert problem.message == message
    assert cure is None or problem.cure == cure


@pytest.mark.parametrize(
    "source",
    [
        "{{ bus }}",
        "{{ bus.latest }}",
        "{{ bus.latest() }}",
        "{{ bus.latest(params.city) }}",
        "{{ bus.latest('step.succeeded') }}",
        "{{ bus.latest('Not A Type') }}",
        "{{ bus.latest('note.x', 3) }}",
        "{{ bus.latest('note.x', limit=3) }}",
        "{{ bus.latest('note.x', project=project) }}",
        "{{ bus.latest('note.x', project=3) }}",
        "{{ bus.latest('note.x', type='note.y') }}",
        "{{ bus.latest(*params.list) }}",
        "{{ bus.all('note.x', 0) }}",
        "{{ bus.all('note.x', 101) }}",
        "{{ bus.all('note.x', true) }}",
        "{{ bus.all('note.x', 1, 2) }}",
        "{{ bus.write('note.x') }}",
        "{{ bus['latest']('note.x') }}",
    ],
)
def test_the_bus_answers_two_literal_questions(source):
    refusal(source)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../secret", "'../secret' is no name of a text"),
        ("/etc/passwd", "'/etc/passwd' is no name of a text"),
        ("a/./b", "'a/./b' is no name of a text"),
        ("/_shared/../x", "'/_shared/../x' is no name of a text"),
        ("a\x00b", "'a\\x00b' is no name of a text"),
        ("gone.md", "there is no text 'gone.md'"),
        ("round.md", "in about.md, line 1: texts include each other: round.md -> about.md -> round.md"),
        (
            "broken.md",
            "in broken.md, line 2: `nothing` is not offered",
        ),
    ],
)
def test_includes_stay_among_the_texts_of_the_project(name, message):
    assert refusal(f"{{% include '{name}' %}}").message == message


@pytest.mark.parametrize("source", ["{% include project %}", "{% include ['note.txt'] %}", "{% include 'note.txt' ignore missing %}", "{% include 'note.txt' without context %}"])  # fmt: skip
def test_an_include_is_one_literal_name(source):
    refusal(source)


def test_includes_that_multiply_are_refused():
    texts = {f"{level}": f"{{% include '{level + 1}' %}}" * 10 + "x" * 100 for level in range(9)} | {"9": "x"}
    with pytest.raises(TemplateProblem, match="with its includes the template is too large"):
        compile_template("{% include '0' %}", texts=texts, limits=Limits())


@pytest.mark.parametrize("deep", [1, 10, 60])
def test_includes_that_nest_are_refused(deep):
    texts = {
        f"{level}": "{% if 1 %}" * deep + f"{{% include '{level + 1}' %}}" + "{% endif %}" * deep
        for level in range(150)
    }
    with pytest.raises(TemplateProblem, match="nested"):
        compile_template("{% include '0' %}", texts={**texts, "150": ""}, limits=Limits())


@pytest.mark.parametrize(
    "source",
    [
        "{% if 1 %}" * 200 + "{% endif %}" * 200,
        "{% for x in [1] %}" * 30 + "{% endfor %}" * 30,
        "{{ " + "(" * 50_000,
        "{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}",
        "{{ " + "[" * 50_000 + "]" * 50_000 + " }}",
        "{{ " + "{1:" * 5_000 + "1" + "}" * 5_000 + " }}",
        "{{ " + "not " * 20_000 + "1 }}",
        "{{ " + "-" * 50_000 + "1 }}",
        "{{ 1" + "+1" * 9_000 + " }}",
        "{{ 1" + "+1" * 50_000 + " }}",
        "{{ params" + ".a" * 9_000 + " }}",
        "{{ 'a'" + " | string" * 9_000 + " }}",
        "{{ " + "1 if 1 else " * 3_000 + "1 }}",
        "{{ 'a' " + "and 'a' " * 3_000 + "}}",
        "{% if 0 %}" + "{% elif 0 %}" * 6_000 + "{% endif %}",
        "{{ " + "9" * 100_000 + " }}",
        "{{ 1e999 }}",
        "{{ 99999999999999999999 }}",
        "{{ " + "a" * 100_000 + " }}",
        "{#" * 50_000,
        "{{ '" + "\\" * 99_999 + "' }}",
        "{%" + " " * 100_000 + "raw",
        "x" * 300_000,
        "{{ '" + "x" * 300_000 + "' }}",
    ],
    ids=lambda source: source[:24],
)
def test_depth_length_and_numbers_are_bounded(source):
    problem = refusal(source)
    assert len(str(problem)) < 1_200


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in steps[2].output %}{% for b in steps[2].output %}{% endfor %}{% endfor %}",
        "{% for a in [1,2,3,4,5,6,7,8,9] %}" * 8 + "{% endfor %}" * 8,
        "{% for a in steps[2].output %}" + "{% if 0 %}{% endif %}" * 900 + "{% endfor %}",
        "{% for a in steps[2].output if steps[3].output == 1 %}{% endfor %}",
        "{% for a in steps[2].output %}{{ 1 if 'qq' in steps[1].output else 2 }}{% endfor %}",
        "{% for a in steps[2].output %}{{ steps[1].output[1:] | length }}{% endfor %}",
        "{% for a in steps[1].output %}{% endfor %}",
        "{{ [" + "steps[3].output," * 100 + "] | tojson }}",
        "{{ [" + "steps[1].output," * 100 + "] | sort | length }}",
        "{{ [" + "steps[3].output," * 30 + "] | map('join') | map('upper') | list | length }}",
        "{% for a in steps[2].output %}{{ steps[2].output }}{% endfor %}",
        "{% for a in steps[2].output %}{% if steps[1].output is eq('x') %}{% endif %}{% endfor %}",
        "{{ steps[2].output" + " | map('string') | list" * 20 + " | length }}",
    ],
    ids=lambda source: source[:60],
)
def test_the_steps_of_a_rendering_are_bounded(render, source):
    with pytest.raises(RenderProblem, match="the template takes more than 100000 steps to render"):
        render(source, LARGE)


@pytest.mark.parametrize(
    "source",
    [
        "{{ steps[1].output }}",
        "{{ steps[1].output | trim }}",
        "{{ steps[1].output | upper | length }}",
        "{{ steps[1].output | title | length }}",
        "{{ steps[1].output | wordcount }}",
        "{{ steps[1].output | list | length }}",
        "{{ steps[1].output | replace('x', 'xx') | length }}",
        "{{ steps[1].output[:900000] | replace('x', '" + "y" * 900 + "') | length }}",
        "{{ (steps[1].output + steps[1].output) | length }}",
        "{{ steps[3].output }}",
        "{{ steps[3].output | join | length }}",
        "{{ steps[3].output | join('" + "y" * 900 + "') | length }}",
        "{{ steps[3].output | tojson | length }}",
        "{{ steps[3].output | fence | length }}",
        "{% for a in steps[3].output %}{{ a }}{% endfor %}",
        "{{ steps[1].output }}{% if 1 %}{% endif %}",
        "{{ steps[3].output[0] }}" * 1_100,
        "{% for a in [1, 2] %}{{ steps[1].output[:600000] }}{% endfor %}",
    ],
    ids=lambda source: source[:60],
)
def test_every_result_and_the_whole_text_are_bounded(render, source):
    with pytest.raises(RenderProblem, match="the text is longer than 1048576 characters"):
        render(source, LARGE)


def test_a_long_text_can_still_be_cut_and_measured(render):
    assert render("{{ steps[1].output | truncate(8) }} {{ steps[1].output | length }}", LARGE) == "x yx... 3000000"


@pytest.mark.parametrize(
    "source",
    [
        "{{ " + " * ".join(["999999999999999999"] * 20) + " }}",
        "{{ 1e18 * 1e18 " + "* 1e18 " * 20 + "}}",
        "{{ [" + "1e18," * 3 + "] | sum" + " * 1e18" * 20 + " }}",
        "{{ params.fmt % 3 }}",
        "{{ [1, 'a'] | sort }}",
        "{{ [{}] | unique }}",
        "{{ 'x' | fromjson }}",
        "{{ params.deep | fromjson | tojson }}",
        "{{ 1 | length }}",
        "{{ 'a' | truncate(1) }}",
        "{{ 1.5 | round(1, 'sideways') }}",
        "{{ 3 | groupby('x') }}",
        "{{ {1: 2} }}",
        "{% for a, b in [1] %}{% endfor %}",
        "{% for a, b in [[1, 2, 3]] %}{% endfor %}",
    ],
    ids=lambda source: source[:60],
)
def test_whatever_goes_wrong_while_rendering_is_a_problem_of_the_template(render, source):
    values = {**VALUES, "params": {"fmt": "%0100000000d", "deep": "[" * 500 + "]" * 500}}
    with pytest.raises(RenderProblem):
        render(source, values)


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [
        ("{{ nothing }}", 1, 4),
        ("one\n\n  {{ steps[1].output | upper }} {{ nothing }}", 3, 36),
        ("\n{% set x = 1 %}", 2, 4),
        ("\n\n{{ 1 +", 3, 1),
        ("x\n{% if 1 %}\n", 2, 1),
        ("x\n{{ 'a' | indent }}", 2, 10),
        ("x\n{% include 'broken.md' %}", 2, 1),
    ],
)
def test_a_problem_says_where_it_is(source, line, column):
    problem = refusal(source)
    assert (problem.line, problem.column) == (line, column)


def test_rendering_leaves_the_values_as_they_were(render):
    values = {**VALUES, "params": {"list": [3, 1, 2]}}
    render("{{ params.list | sort }}{{ (params.list + [4]) | length }}{{ params.list | unique | list }}", values)
    assert values["params"] == {"list": [3, 1, 2]}
