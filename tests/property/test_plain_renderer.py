"""The small renderer and Jinja say the same of every template that both can read."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glink.limits import Limits
from glink.templates import plain, sandbox
from glink.templates.context import StepValue
from glink.templates.problems import RenderProblem, TemplateProblem

LIMITS = Limits(render_characters=2_000)
TEXTS = {"a.md": "text of {{ a }}\r\n", "_shared/b": "{% b %}"}

_words = st.sampled_from(["a", "b1", "items", "keys", "output", "name", "x_y"])
_scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False), st.text(max_size=8)
)
_data = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(_words, st.sampled_from(["0", "1", "a-b"])), inner, max_size=4)
    ),
    max_leaves=8,
)  # fmt: skip
_roots = st.sampled_from(
    [
        *("project", "attempt", "now", "revision", "trigger", "params", "run", "steps", "files", "bus", "item"),
        *("steps[1].output", "steps['a-b'].text", 'steps["1"].files', "steps.b1.status", "steps[7].output", "steps[1]"),
        *(
            "params.a",
            "params['a-b']",
            "run.number",
            "files['a.md']",
            'files["/_shared/b"]',
            "files['gone']",
            "trigger.a",
        ),
        *(
            "steps.a-b.output",
            "params.__class__",
            "params['__class__']",
            "params.a.__b",
            "steps[1].output.__len__",
            "none",
            "true",
            "not a",
            "1",
            "''",
        ),
    ]
)
_keys = st.one_of(
    _words.map(".{}".format),
    _words.map('["{}"]'.format),
    st.sampled_from(["[0]", "[1]", "[01]", "[-1]", "['a-b']", '["é"]', r"['\x61']", ".0", " .a", "[ 0 ]", "['}}']", "[params.a]", "|upper"]),
)  # fmt: skip
_space = st.sampled_from(["", " ", "  ", "\n", "\t", "\u2003", "-", "+"])
_paths = st.builds(
    lambda before, root, keys, after: f"{{{{{before}{root}{''.join(keys)}{after}}}}}",
    _space,
    _roots,
    st.lists(_keys, max_size=3),
    _space,
)
_prose = st.text(alphabet="a{}%#\"'\r\n \\-é", max_size=6)
_templates = st.lists(st.one_of(_prose, _paths), max_size=5).map("".join)

_values = st.fixed_dictionaries(
    {
        "steps": st.fixed_dictionaries(
            {
                "1": st.builds(lambda output: StepValue("1", "succeeded", output), _data),
                "a-b": st.builds(lambda output: StepValue("a-b", "succeeded", output), _data),
                "b1": st.just(StepValue("b1", "skipped")),
            }
        ),
        "params": st.dictionaries(st.sampled_from(["a", "a-b", "b1", "items", "0"]), _data, max_size=4),
        "trigger": st.dictionaries(_words, _data, max_size=2),
        "project": st.just("p/q"),
        "attempt": st.integers(1, 3),
        "now": st.just("2026-11-23T00:00:00Z"),
        "revision": st.just("main@sha1:1"),
        "run": st.just({"id": "p/1", "number": 1, "status": "running"}),
        "files": st.just(TEXTS),
    }
)


def outcome(render, values):
    try:
        return render(values)
    except RenderProblem as problem:
        return ("problem", problem.message)


@settings(max_examples=150, deadline=None)
@given(_templates, _values)
def test_what_is_plain_renders_as_jinja_renders_it(source, values):
    small = plain.parse(source, TEXTS, LIMITS)
    if small is None:
        return
    large = sandbox.compiled_template(source, TEXTS, LIMITS)
    assert small.names == large.names
    assert outcome(small.render, values) == outcome(large.render, values)


@settings(max_examples=100, deadline=None)
@given(_prose)
def test_a_literal_renders_as_jinja_renders_it(source):
    if plain.is_literal(source):
        assert plain.one_newline(source) == sandbox.compiled_template(source, TEXTS, LIMITS).render({})


@settings(max_examples=100, deadline=None)
@given(_templates, _values)
def test_no_template_ends_in_anything_but_a_text_or_a_problem(source, values):
    try:
        template = sandbox.compiled_template(source, TEXTS, LIMITS)
    except TemplateProblem:
        return
    rendered = outcome(template.render, values)
    assert isinstance(rendered, str) or rendered[1]


@pytest.mark.parametrize(
    "source",
    [
        "{{ project }}",
        "a {{ steps[1].output }} b {{ steps['a-b'].output.a[0][\"x\"] }}",
        "{{steps.b1.text}}{{params.a}}",
        "{{ run.id }}{{ files['a.md'] }}{{ trigger }}",
    ],
)
def test_plain_paths_are_taken_by_the_small_renderer(source):
    assert plain.parse(source, TEXTS, LIMITS) is not None
