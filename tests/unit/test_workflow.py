"""What belongs to a step's own definition."""

from __future__ import annotations

from glink.workflow import Workflow
from tests.rig import step, workflow


def definitions(**texts: str) -> dict[str, str]:
    named = {f"_shared/{name}.md": text for name, text in texts.items()}
    steps = (step("a", '{% include "/_shared/one.md" %}'), step("b", "nothing"))
    return {name: one.definition for name, one in Workflow.of(workflow("p", *steps, texts=named)).steps.items()}


def test_a_text_that_an_included_text_includes_belongs_to_the_step() -> None:
    """So `on_change: hold` holds its edit too; texts that nobody names belong to nobody."""
    before = definitions(one="{% include '/_shared/two.md' %}", two="x", three="x")
    edited = definitions(one="{% include '/_shared/two.md' %}", two="y", three="x")
    beside = definitions(one="{% include '/_shared/two.md' %}", two="x", three="y")
    assert before["a"] != edited["a"]
    assert before["b"] == edited["b"]
    assert before == beside


def test_texts_that_name_each_other_are_looked_at_once() -> None:
    assert definitions(one="/_shared/two.md", two="/_shared/one.md") != definitions(one="/_shared/two.md", two="")
