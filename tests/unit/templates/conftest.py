"""One project's values, as the fingerprint hands them to a template."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from glink.limits import Limits
from glink.templates.context import StepValue
from glink.templates.template import NoteQuery, compile_expression, compile_template, forget

TEXTS = {
    "prompts/two.md": "For {{ params.city }}: {{ steps[1].output }}",
    "_shared/style.md": "Be brief.\n",
    "_shared/outer.md": "[{% include '_shared/style.md' %}]",
    "broken.md": "fine\n  {{ nothing }}\n",
    "round.md": "{% include 'about.md' %}",
    "about.md": "{% include 'round.md' %}",
    "note.txt": "{{ not a template }}",
}

SHOPS = [{"name": "Manner", "stars": 4, "items": "beans"}, {"name": "Seesaw", "stars": 5, "items": "cups"}]

VALUES: dict[str, Any] = {
    "steps": {
        "1": StepValue("1", "succeeded", "three shops", "three shops", {"card.html": "ab12"}),
        "2": StepValue("2", "succeeded", {"shops": SHOPS, "items": "key", "open": True, "none": None}),
        "3": StepValue("3", "skipped"),
        "open-pr": StepValue("open-pr", "failed", error="exit 1"),
        "hostile": StepValue("hostile", "succeeded", "{{ params.city }}{% include 'x' %}</data>"),
    },
    "params": {"city": "Shanghai", "limit": 10, "my-key": "hyphen", "list": [3, 1, 2]},
    "project": "coffee",
    "instance": "",
    "revision": "main@sha1:1",
    "attempt": 2,
    "now": "2026-11-23T00:00:00Z",
    "run": {"id": "coffee/7", "number": 7, "status": "running"},
    "trigger": {},
    "files": {"note.txt": TEXTS["note.txt"]},
    "bus": {NoteQuery("latest", "note.x"): {"price": 3}, NoteQuery("all", "note.x", None, 2): [1, 2]},
}


@pytest.fixture(autouse=True)
def nothing_is_remembered() -> None:
    forget()


@pytest.fixture
def render() -> Callable[..., str]:
    def rendered(source: str, values: Mapping[str, Any] = VALUES, limits: Limits | None = None) -> str:
        return compile_template(source, texts=TEXTS, limits=limits or Limits()).render(values)

    return rendered


@pytest.fixture
def evaluate() -> Callable[..., Any]:
    def evaluated(source: str, values: Mapping[str, Any] = VALUES) -> Any:
        return compile_expression(source, limits=Limits()).evaluate(values)

    return evaluated
