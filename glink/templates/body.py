"""A JSON value whose texts are templates: the `body:` that fits an agent or a reporter to somebody else's service.

    body: {messages: [{role: user, content: "{{ task }}"}], schema: "{{ schema }}"}

The shape is the operator's alone: what is filled in stays inside its text, and is rendered once. A text that is one
expression and nothing else becomes the value itself, so that an object stays an object. Called by `agents.http` and
`reporters.webhook`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from glink.limits import Limits
from glink.templates.problems import TemplateProblem

_DEFAULTS: Final = Limits()

Rendered = Callable[[Mapping[str, Any]], Any]


class Body:
    """A compiled body; threads may share it. Raises TemplateProblem, with the place in the body in its message."""

    __slots__ = ("_render",)

    def __init__(self, shape: Any, names: frozenset[str], limits: Limits = _DEFAULTS) -> None:
        self._render = _compiled(shape, names, limits, "body")

    def render(self, values: Mapping[str, Any]) -> Any:
        """The JSON value with these values filled in; raises RenderProblem."""
        return self._render(values)


def _compiled(shape: Any, names: frozenset[str], limits: Limits, where: str) -> Rendered:
    if isinstance(shape, Mapping):
        fields = {key: _compiled(one, names, limits, f"{where}.{key}") for key, one in shape.items()}
        return lambda values: {key: one(values) for key, one in fields.items()}
    if isinstance(shape, list | tuple):
        items = [_compiled(one, names, limits, f"{where}[{index}]") for index, one in enumerate(shape)]
        return lambda values: [one(values) for one in items]
    if not isinstance(shape, str) or "{" not in shape:
        return lambda values: shape
    return _text(shape, names, limits, where)


def _text(source: str, names: frozenset[str], limits: Limits, where: str) -> Rendered:
    from glink.templates.sandbox import compiled_over

    if len(source) > limits.template_characters:
        raise TemplateProblem(f"{where} is longer than {limits.template_characters} characters", "take it apart")
    inner = _expression_in(source)
    try:
        compiled = compiled_over(source if inner is None else inner, names, limits, expression=inner is not None)
    except TemplateProblem as problem:
        raise TemplateProblem(f"{where}: {problem.message}", problem.cure) from None
    return compiled.render if inner is None else compiled.evaluate


def _expression_in(source: str) -> str | None:
    """What stands between the braces of `{{ ... }}`, if the text is nothing else."""
    text = source.strip()
    inner = text[2:-2]
    if not (text.startswith("{{") and text.endswith("}}")) or "{{" in inner or "}}" in inner:
        return None
    return None if inner[:1] in ("-", "+") or inner[-1:] in ("-", "+") else inner
