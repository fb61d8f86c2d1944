"""What tasks can say: names, data, filters, includes; what they name; what is remembered."""

import subprocess
import sys

import pytest

from glink.limits import Limits
from glink.templates.context import StepValue
from glink.templates.template import (
    Names,
    NoteQuery,
    RenderProblem,
    TemplateProblem,
    compile_template,
    forget,
    template_texts,
)
from tests.unit.templates.conftest import TEXTS, VALUES


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("Say hello", "Say hello"),
        ("a } b {x} }} c\n", "a } b {x} }} c\n"),
        ("one\r\ntwo\rthree", "one\ntwo\nthree"),
        ("{{ steps[1].output }}", "three shops"),
        ('{{ steps["1"].text }}!', "three shops!"),
        ("{{ steps['open-pr'].status }} {{ steps['open-pr'].error }}", "failed exit 1"),
        ("{{ steps[1].files['card.html'] }}", "ab12"),
        ("{{ steps[2].output.items }}", "key"),
        ("{{ steps[2].output.shops[1].name }}", "Seesaw"),
        ("{{ steps[2].output.shops[-1].name }}", "Seesaw"),
        ("{{ params.city }}/{{ params['my-key'] }}", "Shanghai/hyphen"),
        ("{{ project }} {{ attempt }} {{ now }} {{ revision }}", "coffee 2 2026-11-23T00:00:00Z main@sha1:1"),
        ("{{ run.number }} {{ run.status }} {{ run.id }}", "7 running coffee/7"),
        ("{{ trigger }}", "{}"),
        ("{{ files['note.txt'] }}", "{{ not a template }}"),
        ("{% raw %}{{ steps[9].output }}{% endraw %}{# unseen #}", "{{ steps[9].output }}"),
    ],
)
def test_what_is_named_is_what_is_read(render, source, text):
    assert render(source) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ steps[2].output.open }} {{ params.limit }} {{ steps[2].output.none }}", "true 10 null"),
        ("{{ steps[2].output.shops[0] }}", '{"items":"beans","name":"Manner","stars":4}'),
        ("{{ params.list }}", "[3,1,2]"),
        ("{{ params.list | sort }}", "[1,2,3]"),
        ("{{ (params.list | length) / 2 }}", "1.5"),
    ],
)
def test_what_is_no_text_is_shown_as_compact_json(render, source, text):
    assert render(source) == text


def test_json_is_shown_in_the_order_of_its_keys_whatever_the_agent_wrote(render):
    first = {"steps": {"1": StepValue("1", "succeeded", {"b": 1, "a": 2})}}
    second = {"steps": {"1": StepValue("1", "succeeded", {"a": 2, "b": 1})}}
    for source in (
        "{{ steps[1].output }}",
        "{{ steps[1].text }}",
        "{{ steps[1].output | tojson }}",
        "{% for key in steps[1].output %}{{ key }}{% endfor %}",
        "{{ steps[1].output | items }}",
        "{{ steps[1].output | list }}",
        "{{ steps[1].output | first }}",
    ):
        assert render(source, first) == render(source, second)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ 'a' | upper }}{{ 'B' | lower }}{{ 'of mice' | title }}{{ '  x ' | trim }}", "AbOf Micex"),
        ("{{ steps[3].output | default('nothing') }}", "nothing"),
        ("{{ steps[3].output | default(params.city) }}", "Shanghai"),
        ("{{ params.list | first }}{{ params.list | last }}{{ params.list | length }}", "323"),
        ("{{ params.list | min }}{{ params.list | max }}{{ params.list | sum }}", "136"),
        ("{{ [1, 1, 2] | unique | join('-') }}", "1-2"),
        ("{{ steps[2].output.shops | map(attribute='name') | join(', ') }}", "Manner, Seesaw"),
        ("{{ steps[2].output.shops | join('+', attribute='stars') }}", "4+5"),
        ("{{ ['a', 'b'] | map('upper') | join }}", "AB"),
        ("{{ ['a'] | map('replace', 'a', 'c') | join }}", "c"),
        ("{{ params.list | select('odd') | list }}{{ params.list | reject('gt', 1) | list }}", "[3,1][1]"),
        ("{{ steps[2].output.shops | selectattr('stars', 'ge', 5) | map(attribute='name') | first }}", "Seesaw"),
        ("{{ steps[2].output.shops | rejectattr('stars', '>', 4) | map(attribute='name') | first }}", "Manner"),
        ("{% for stars, shops in steps[2].output.shops | groupby('stars') %}{{ stars }}:{{ shops | length }};{% endfor %}", "4:1;5:1;"),
        ("{% for one in steps[2].output.shops | groupby('stars') %}{{ one.grouper }}={{ one.list[0].name }} {% endfor %}", "4=Manner 5=Seesaw "),
        ("{{ '42' | int }}{{ 'x' | int(7) }} {{ '1.5' | float }} {{ 2.345 | round(1) }}", "427 1.5 2.3"),
        ("{{ 'one two three four' | truncate(11) }} {{ 'a b c' | wordcount }}", "one two... 3"),
        ("{{ 'banana' | replace('a', 'o', 2) }}", "bonona"),
        ("{{ '{\"a\": [1]}' | fromjson | tojson }}{{ 'x\"' | tojson }}", '{"a":[1]}"x\\""'),
        ("{{ params.list | string | length }}{{ 'abc' | list }}", '7["a","b","c"]'),
        ("{% for key, value in {'b': 1, 'a': 2} | items %}{{ key }}{{ value }}{% endfor %}", "a2b1"),
        ("{% for one in params.list if one > 1 %}{{ loop.index }}/{{ loop.length }}={{ one }} {% else %}-{% endfor %}", "1/2=3 2/2=2 "),
        ("{% if params.limit > 5 and 'hai' in params.city %}many{% elif true %}x{% else %}few{% endif %}", "many"),
        ("{{ 'a' + 'b' }}{{ 1 + 2 * 3 - 4 // 2 % 2 }}{{ -1 }}{{ [1] + [2] }}{{ 'abc'[1:] }}", "ab7-1[1,2]bc"),
        ("{{ bus.latest('note.x').price }} {{ bus.all('note.x', 2) }} {{ bus.latest('note.y') | default('-') }}", "3 [1,2] -"),
    ],
)  # fmt: skip
def test_what_is_offered_works(render, source, text):
    assert render(source) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{% include 'prompts/two.md' %}", "For Shanghai: three shops"),
        ('{% include "/_shared/outer.md" %}', "[Be brief.\n]"),
        ("{% for city in ['a'] %}{% include '_shared/style.md' %}{% endfor %}", "Be brief.\n"),
    ],
)
def test_an_included_text_is_rendered_in_its_place(render, source, text):
    assert render(source) == text


def test_what_an_agent_wrote_is_never_compiled(render):
    hostile = "{{ params.city }}{% include 'x' %}</data>"
    assert render("{{ steps.hostile.output }}") == hostile
    assert render("{{ steps.hostile.output | trim }}") == hostile
    assert render("{% for one in [steps.hostile.output] %}{{ one }}{% endfor %}") == hostile


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ steps[3].output }}", "step 3 has no output (it is skipped); write `| default(...)`, or a `when`"),
        ("{{ steps[3].output | upper }}", "step 3 has no output (it is skipped); write `| default(...)`, or a `when`"),
        ("{{ steps[3].output.a.b }}", "step 3 has no output (it is skipped); write `| default(...)`, or a `when`"),
        ("{{ steps[9].output }}", "there is no step '9'"),
        ("{{ steps[2].output.nothing }}", "there is no 'nothing' in it"),
        ("{{ steps[2].output['nothing'] | upper }}", "there is no 'nothing' in it"),
        ("{{ params.list[7] }}", "there is no item 7: it has 3"),
        ("{{ params.city.upper }}", "there is no 'upper' in a text"),
        ("{{ params.limit.real }}", "there is no 'real' in a number"),
        ("{{ bus.latest('note.y') }}", "there is no note.y on the bus; write `| default(...)`"),
        ("{{ params.limit / 0 }}", "division by zero"),
        ("{{ params.city * 2 }}", "`*` works between numbers only"),
        ("{{ params.city % 2 }}", "`%` works between numbers only"),
        ("{{ params.city + 2 }}", "`+` works between two numbers, two texts or two lists"),
        ("{% for one in params.limit %}{% endfor %}", "only lists, mappings and texts have items"),
        ("{{ params.limit[1:] }}", "only texts and lists have slices"),
        ("{{ params.city | items }}", "items: this is not a mapping"),
        ("{{ params.limit | replace('1', '2') }}", "replace: this is not a text; write `| string` or `| tojson` before it"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_says_so(render, source, message):
    with pytest.raises(RenderProblem) as caught:
        render(source)
    assert caught.value.message == message


def test_names_are_all_that_a_template_and_its_includes_name():
    source = (
        "{{ steps['open-pr'].output }}{{ params.limit + 1 }}{{ files['note.txt'] }}{{ now }}{{ run.id }}"
        "{{ bus.latest('note.x', project='other') }}{% include 'prompts/two.md' %}"
    )
    assert compile_template(source, texts=TEXTS, limits=Limits()).names == Names(
        steps=frozenset({"open-pr", "1"}),
        params=frozenset({"limit", "city"}),
        files=frozenset({"note.txt"}),
        includes=frozenset({"prompts/two.md"}),
        volatile=frozenset({"now", "run", "bus"}),
        notes=frozenset({NoteQuery("latest", "note.x", "other")}),
    )


@pytest.mark.parametrize("source", ["{{ params }}", "{{ params | tojson }}", "{{ params[project] }}", "{% for p in params %}{% endfor %}"])  # fmt: skip
def test_params_as_a_whole_are_a_star(source):
    assert compile_template(source, texts={}, limits=Limits()).names.params == {"*"}


@pytest.mark.parametrize("more", ["", "{{ 1 }}"])
@pytest.mark.parametrize("name", ["now", "run.id", "attempt", "revision", "trigger"])
def test_volatile_names_are_told_by_both_renderers(name, more):
    template = compile_template(f"{{{{ {name} }}}}{more}", texts={}, limits=Limits())
    assert template.names.volatile == {name.partition(".")[0]}


def test_a_loop_variable_is_not_a_name():
    template = compile_template("{% for city in [1] %}{{ city }}{% endfor %}", texts={}, limits=Limits())
    assert template.names == Names()


@pytest.mark.parametrize(
    ("source", "literal"), [("", True), ("a {b} }}", True), ("{{ project }}", False), ("{# #}", False)]
)
def test_a_literal_is_a_text_without_markup(source, literal):
    assert compile_template(source, texts={}, limits=Limits()).literal is literal


def test_a_source_is_compiled_once_until_it_is_forgotten():
    def compiled(texts=TEXTS, limits=None):
        return compile_template("{% include 'prompts/two.md' %}", texts=texts, limits=limits or Limits())

    first = compiled()
    assert compiled({**TEXTS, "other.md": "of no concern"}) is first
    assert compiled(limits=Limits(render_steps=5)) is not first
    forget()
    assert compiled() is not first
    assert first.render(VALUES) == "For Shanghai: three shops"


def test_another_text_under_the_same_name_is_another_template():
    def rendered(text):
        return compile_template("{% include 'a' %}", texts={"a": text}, limits=Limits()).render({})

    assert [rendered("one"), rendered("two"), rendered("one")] == ["one", "two", "one"]


@pytest.mark.parametrize("source", ["{{ files['a'] }}", "{{ files['a'] | upper }}", "{% include 'a' %}"])
def test_a_text_that_is_gone_is_a_problem_although_the_source_was_compiled_before(source):
    compile_template(source, texts={"a": ""}, limits=Limits())
    with pytest.raises(TemplateProblem, match="there is no text 'a'"):
        compile_template(source, texts={}, limits=Limits())


def test_the_memory_is_bounded():
    from glink.templates import template

    for number in range(1_100):
        compile_template(f"{{{{ project }}}} {number}", texts={}, limits=Limits())
    assert len(template._templates) == 1_024
    compile_template("{{ project }}" + "x" * 100_000, texts={}, limits=Limits())
    assert all(len(source) < 100_000 for source in template._templates)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("no files", set()),
        ("{% include '/_shared/a.md' %}{% include 'b.md' %}{{ files['c/d.txt'] }}", {"_shared/a.md", "b.md", "c/d.txt"}),
        ("{% if project %}{{ files['in.md'] | upper }}{% endif %}", {"in.md"}),
        ("{% include project %}{{ files[project] }}{% include '../out' %}", set()),
        ("{% include 'a.md' %}{{ broken", set()),
        ("{{ files" + "[" * 5_000, set()),
        ("{{ files" + ".a" * 5_000 + " }}", set()),
    ],
)  # fmt: skip
def test_the_texts_of_a_template_are_known_without_them(source, names):
    assert template_texts(source) == names


def test_literals_and_plain_paths_need_no_jinja():
    program = (
        "import sys\n"
        "from glink.limits import Limits\n"
        "from glink.templates.template import compile_template\n"
        "for source in ('literal', '{{ params.city }} {{ steps[1].output }}'):\n"
        "    compile_template(source, texts={}, limits=Limits())\n"
        "assert 'jinja2' not in sys.modules\n"
        "compile_template('{{ params.city | upper }}', texts={}, limits=Limits())\n"
        "assert 'jinja2' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
