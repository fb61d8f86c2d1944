"""Filters and tests: which there are, and what their arguments may be.

Part of the allow-list, over the tables of `arguments`. Called by `allowlist`.
"""

from __future__ import annotations

from typing import Any

from jinja2 import nodes

from glink.templates.arguments import FILTERS, TEST_NAMERS, TESTS, Argument
from glink.templates.names import is_internal
from glink.templates.syntax import Checker, weighed


def check_filter(check: Checker, node: nodes.Filter) -> None:
    """`value | name(arguments)`."""
    scope = check.scope
    if node.name not in FILTERS:
        scope.no_such(node, "filter", node.name, FILTERS)
    if node.node is None or node.dyn_args is not None or node.dyn_kwargs is not None:
        scope.stop(node, f"`{node.name}` takes its arguments one by one", "write them out", node.name)
    node.node = check.expr(node.node)
    if node.name in TEST_NAMERS:
        _named_test(check, node)
    elif node.name == "map" and not node.kwargs and not node.args:
        scope.stop(node, "`map` needs a filter or an attribute", 'write map("upper") or map(attribute="name")', "map")
    elif node.name == "map" and node.args:
        _named_filter(check, node)
    else:
        _arguments(check, node, node.name, node.args, node.kwargs)


def _arguments(check: Checker, node: nodes.Filter, name: str, args: list[nodes.Expr], kwargs: list[Any]) -> None:
    scope = check.scope
    allowed = FILTERS[name]
    by_name = {one.name: one for one in allowed}
    if len(args) > len(allowed):
        scope.stop(node, f"`{name}` takes at most {len(allowed)} arguments", "leave the others out", name)
    given = {one.name for one in allowed[: len(args)]} | {one.key for one in kwargs}
    for missing in (one.name for one in allowed if one.required and one.name not in given):
        scope.stop(node, f"`{name}` needs the argument `{missing}`", "write it as a constant", name)
    for index, argument in enumerate(allowed[: len(args)]):
        args[index] = _argument(check, name, argument, args[index])
    for keyword in kwargs:
        if keyword.key not in by_name:
            known = ", ".join(by_name) or "none"
            scope.stop(node, f"`{name}` has no argument {keyword.key}", f"its arguments: {known}", keyword.key)
        keyword.value = _argument(check, name, by_name[keyword.key], keyword.value)


def _argument(check: Checker, name: str, argument: Argument, value: nodes.Expr) -> nodes.Expr:
    scope = check.scope
    if argument.free:
        checked: nodes.Expr = check.expr(value)
        return checked
    if not isinstance(value, nodes.Const):
        cure = "write the value itself"
        scope.stop(value, f"the argument `{argument.name}` of `{name}` must be a constant", cure, name)
    refusal = argument.refusal(value.value)
    if name == "replace" and argument.name == "old" and value.value == "":
        refusal = "must not be empty"
    if refusal:
        scope.stop(value, f"the argument `{argument.name}` of `{name}` {refusal}", "write another value", name)
    if argument.name == "attribute" and any(is_internal(part) for part in str(value.value).split(".")):
        scope.stop(value, f"`{value.value}` is not offered", "only data is", name)
    return value


def _named_filter(check: Checker, node: nodes.Filter) -> None:
    scope = check.scope
    first = node.args[0]
    name = first.value if isinstance(first, nodes.Const) else None
    if name not in FILTERS or name in TEST_NAMERS or name == "map":
        scope.no_such(node, "filter", name, FILTERS.keys() - TEST_NAMERS.keys() - {"map"})
    rest = node.args[1:]
    _arguments(check, node, name, rest, node.kwargs)
    node.args[1:] = rest


def _named_test(check: Checker, node: nodes.Filter) -> None:
    """The arguments of `select` and its like: maybe an attribute, then a test and what it compares with."""
    scope = check.scope
    at = TEST_NAMERS[node.name]
    if node.kwargs:
        scope.stop(node, f"`{node.name}` takes no named arguments", "write them in order", node.name)
    if len(node.args) < at:
        scope.stop(node, f"`{node.name}` needs the name of an attribute", "write it as a text", node.name)
    for index, argument in enumerate(node.args):
        if index < at:
            _argument(check, node.name, Argument("attribute", (str, int)), argument)
        elif index == at:
            name = argument.value if isinstance(argument, nodes.Const) else None
            if name not in TESTS:
                scope.no_such(node, "test", name, TESTS)
        else:
            node.args[index] = weighed(check, argument)


def check_test(check: Checker, node: nodes.Test) -> None:
    """`value is name arguments`."""
    scope = check.scope
    if node.name not in TESTS:
        scope.no_such(node, "test", node.name, TESTS)
    if node.kwargs or node.dyn_args is not None or node.dyn_kwargs is not None:
        scope.stop(node, f"the test `{node.name}` takes no named arguments", "write them in order", node.name)
    node.node = weighed(check, node.node)
    node.args = [weighed(check, one) for one in node.args]
