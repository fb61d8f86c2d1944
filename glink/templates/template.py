"""Tasks and expressions: the one face of this folder.

A literal or a text with plain paths goes by `plain`; all else by Jinja in its sandbox, imported when it is first
needed. Called by the loader (validation) and the fingerprint (rendering); threads may share all of it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from glink.limits import Limits
from glink.templates import plain
from glink.templates.names import NO_NAMES, Names, NoteQuery
from glink.templates.problems import RenderProblem, TemplateProblem

__all__ = [
    "Expression",
    "Names",
    "NoteQuery",
    "RenderProblem",
    "Template",
    "TemplateProblem",
    "compile_expression",
    "compile_template",
    "forget",
    "template_texts",
]

_REMEMBERED: Final = 1_024
_REMEMBERED_CHARACTERS: Final = 64 << 10


class _Renderer(Protocol):
    @property
    def names(self) -> Names: ...

    def render(self, values: Mapping[str, Any]) -> str: ...


class _Evaluator(Protocol):
    @property
    def names(self) -> Names: ...

    def evaluate(self, values: Mapping[str, Any]) -> Any: ...


class Template:
    """A task, argument, variable or stdin, ready to render. `literal` says that it has no markup at all."""

    __slots__ = ("_renderer", "_text", "literal", "names")

    def __init__(self, text: str, renderer: _Renderer | None) -> None:
        self._text = text
        self._renderer = renderer
        self.literal: bool = renderer is None
        self.names: Names = NO_NAMES if renderer is None else renderer.names

    def render(self, values: Mapping[str, Any]) -> str:
        """The text with the values, under the names of `names.OFFERED`; raises RenderProblem only."""
        return self._text if self._renderer is None else self._renderer.render(values)


class Expression:
    """A condition, ready to be judged."""

    __slots__ = ("_evaluator", "names")

    def __init__(self, evaluator: _Evaluator) -> None:
        self._evaluator = evaluator
        self.names: Names = evaluator.names

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """The value, None when it works on an output that is not there; raises RenderProblem."""
        return self._evaluator.evaluate(values)

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether the value counts as true: not none, empty, zero or false. Raises RenderProblem."""
        return bool(self._evaluator.evaluate(values))


@dataclass(slots=True)
class _Remembered:
    """A compiled source with all that its compiling depended on."""

    compiled: Template | Expression
    limits: Limits
    included: tuple[tuple[str, str], ...]
    files: frozenset[str]

    def holds(self, texts: Mapping[str, str], limits: Limits) -> bool:
        if self.limits is not limits and self.limits != limits:
            return False
        return not (self.included or self.files) or (
            all(texts.get(name) == text for name, text in self.included) and self.files <= texts.keys()
        )


# Newest use last. Each single operation is atomic, so threads need no lock: the worst is to compile twice.
_templates: OrderedDict[str, _Remembered] = OrderedDict()
_expressions: OrderedDict[str, _Remembered] = OrderedDict()


def compile_template(source: str, *, texts: Mapping[str, str], limits: Limits) -> Template:
    """Check and compile a template; raises TemplateProblem.

    `texts` are what it may include or read by `files[PATH]`, under the keys of `Workflow.texts`. Sources that were
    compiled before are remembered, with the texts they include.
    """
    _check_length(source, limits)
    if plain.is_literal(source):
        return Template(plain.one_newline(source), None)
    found = _recall(_templates, source, texts, limits)
    if isinstance(found, Template):
        return found
    renderer: _Renderer | None = plain.parse(source, texts, limits)
    if renderer is None:
        from glink.templates.sandbox import compiled_template

        renderer = compiled_template(source, texts, limits)
    template = Template(source, renderer)
    _remember(_templates, source, template, texts, limits)
    return template


def compile_expression(source: str, *, limits: Limits) -> Expression:
    """Check and compile an expression, which stands without `{{ }}`; raises TemplateProblem."""
    _check_length(source, limits)
    found = _recall(_expressions, source, {}, limits)
    if isinstance(found, Expression):
        return found
    if source.lstrip().startswith(("{{", "{%")):
        raise TemplateProblem("an expression stands without braces", "write what is between {{ and }}")
    from glink.templates.sandbox import compiled_expression

    expression = Expression(compiled_expression(source, limits))
    _remember(_expressions, source, expression, {}, limits)
    return expression


def template_texts(source: str) -> frozenset[str]:
    """The keys of the texts that a template includes or reads by literal names; nothing for one that cannot be parsed."""
    if plain.is_literal(source) or not ("include" in source or "files" in source):
        return frozenset()
    from glink.templates.sandbox import literal_names

    try:
        return literal_names(source)
    except TemplateProblem:
        # What is wrong with it is said by `compile_template`, which everything that is run goes through.
        return frozenset()


def forget() -> None:
    """Drop what is remembered; whoever holds a compiled template may go on using it."""
    _templates.clear()
    _expressions.clear()


def _check_length(source: str, limits: Limits) -> None:
    if len(source) > limits.template_characters:
        message = f"longer than {limits.template_characters} characters"
        raise TemplateProblem(message, "take it apart, or hand long texts over by files")


def _recall(
    memory: OrderedDict[str, _Remembered], source: str, texts: Mapping[str, str], limits: Limits
) -> Template | Expression | None:
    found = memory.get(source)
    if found is None or not found.holds(texts, limits):
        return None
    try:
        memory.move_to_end(source)
    except KeyError:  # dropped by another thread since
        memory[source] = found
    return found.compiled


def _remember(
    memory: OrderedDict[str, _Remembered],
    source: str,
    compiled: Template | Expression,
    texts: Mapping[str, str],
    limits: Limits,
) -> None:
    if len(source) > _REMEMBERED_CHARACTERS:
        return
    names = compiled.names
    included = tuple((name, texts[name]) for name in sorted(names.includes)) if names.includes else ()
    memory[source] = _Remembered(compiled, limits, included, names.files)
    while len(memory) > _REMEMBERED:
        memory.popitem(last=False)
