"""What a template may contain: a check over Jinja's syntax tree, before anything is compiled or folded.

It refuses whatever is not on the list, takes note of the names, and rewrites the tree: includes are put in place,
`bus.latest(...)` becomes a look-up, loops, slices and comparisons are counted. After it no call is left in the tree.
Called by `sandbox`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from jinja2 import nodes

from glink.limits import Limits
from glink.templates import accesses, filtering
from glink.templates.names import OFFERED
from glink.templates.problems import TemplateProblem
from glink.templates.syntax import COUNTED, Scope, check_depth, filtered, root_of, size_of, weighed

_NODES_A_STEP: Final = 32
_LARGEST: Final = 1 << 63
# Expressions that are as harmless as their parts.
_STRUCTURE: Final = (
    *(nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos, nodes.CondExpr),
    *(nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair),
)
_NOT_OFFERED: Final[dict[type[nodes.Node], tuple[str, str]]] = {
    nodes.Pow: ("`**` is not offered", "multiply"),
    nodes.Concat: ("`~` is not offered", "write the two after each other, or `[a, b] | join`"),
    nodes.Assign: ("`set` is not offered", "write the expression where it is used"),
    nodes.AssignBlock: ("`set` is not offered", "write the expression where it is used"),
    nodes.With: ("`with` is not offered", "write the expression where it is used"),
    nodes.Macro: ("`macro` is not offered", "use `include`"),
    nodes.CallBlock: ("`call` is not offered", "use `include`"),
    nodes.Import: ("`import` is not offered", "use `include`"),
    nodes.FromImport: ("`import` is not offered", "use `include`"),
    nodes.Extends: ("`extends` is not offered", "use `include`"),
    nodes.Block: ("`block` is not offered", "use `include`"),
    nodes.FilterBlock: ("`filter` blocks are not offered", "write `{{ value | filter }}`"),
    nodes.Scope: ("`autoescape` is not offered", "leave it out"),
}


class _InsideProblem(TemplateProblem):
    """A problem of an included text; its message says which, its line is that of the include."""


@dataclass(slots=True)
class Check:
    """The check of one template with its includes. `parse` turns an included text into a tree."""

    scope: Scope
    parse: Callable[[str, Limits], nodes.Template]
    including: tuple[str, ...] = ()
    characters: int = 0
    includes: int = 0

    def template(self, tree: nodes.Template) -> None:
        """Check and rewrite a whole template in place; raises TemplateProblem."""
        check_depth(tree, self.scope.limits)
        self.characters = len(self.scope.source)
        tree.body = self._body(tree.body)
        check_depth(tree, self.scope.limits)

    def expression(self, node: nodes.Expr) -> nodes.Expr:
        """The same for an expression by itself."""
        check_depth(node, self.scope.limits)
        checked: nodes.Expr = self.expr(node)
        check_depth(checked, self.scope.limits)
        return checked

    # --- statements

    def _body(self, body: list[nodes.Node]) -> list[nodes.Node]:
        checked: list[nodes.Node] = []
        for node in body:
            match node:
                case nodes.Output():
                    node.nodes = [one if isinstance(one, nodes.TemplateData) else self.expr(one) for one in node.nodes]
                case nodes.If():
                    self._if(node)
                case nodes.For():
                    self._for(node)
                case nodes.Include():
                    checked.extend(self._include(node))
                    continue
                case _:
                    self._refuse(node)
            checked.append(node)
        return checked

    def _if(self, node: nodes.If) -> None:
        node.test = self.expr(node.test)
        node.body = self._body(node.body)
        for other in node.elif_:
            self._if(other)
        node.else_ = self._body(node.else_)

    def _for(self, node: nodes.For) -> None:
        if node.recursive:
            self.scope.stop(node, "a recursive `for` is not offered", "write one `for` inside the other", "recursive")
        iterated = self.expr(node.iter)
        outside = self.scope.bound
        self.scope.bound = outside | self._targets(node.target)
        if node.test is not None:
            node.test = self.expr(node.test)
        self.scope.bound |= {"loop"}
        node.body = self._body(node.body)
        self.scope.bound = outside
        # A round costs what its body can cost, so that a thousand `if` in it are not one step.
        weight = 1 + sum(size_of(one) for one in (node.test, *node.body) if one is not None) // _NODES_A_STEP
        node.iter = filtered(COUNTED, iterated, nodes.Const(weight))
        node.else_ = self._body(node.else_)

    def _targets(self, target: nodes.Node) -> frozenset[str]:
        if isinstance(target, nodes.Tuple):
            return frozenset().union(*(self._targets(one) for one in target.items))
        name = target.name if isinstance(target, nodes.Name) else ""
        if not name or name.startswith("_") or name == "loop" or name in OFFERED:
            self.scope.stop(target, f"`{name}` cannot be the name of a loop variable", "take another name", name)
        return frozenset((name,))

    def _include(self, node: nodes.Include) -> list[nodes.Node]:
        if not (isinstance(node.template, nodes.Const) and isinstance(node.template.value, str)):
            self.scope.stop(node, "`include` takes one literal name", 'write {% include "file.md" %}', "include")
        if node.ignore_missing or not node.with_context:
            self.scope.stop(node, "`include` has no options here", 'write {% include "file.md" %}', "include")
        key, text = self.scope.text(node, node.template.value)
        if key in self.including:
            circle = " -> ".join((*self.including, key))
            self.scope.stop(node, f"texts include each other: {circle}", "take one of the includes out", "include")
        self.scope.found.includes.add(key)
        self.characters += len(text)
        self.includes += 1
        most = self.scope.limits
        if self.characters > most.template_characters or self.includes > most.template_includes:
            self.scope.stop(node, "with its includes the template is too large", "include less", "include")
        return self._included(node, key, text)

    def _included(self, node: nodes.Include, key: str, text: str) -> list[nodes.Node]:
        source, including = self.scope.source, self.including
        self.scope.source, self.including = text, (*including, key)
        try:
            tree = self.parse(text, self.scope.limits)
            check_depth(tree, self.scope.limits)
            return self._body(tree.body)
        except _InsideProblem as problem:
            raise _InsideProblem(problem.message, problem.cure, line=node.lineno) from None
        except TemplateProblem as problem:
            message = f"in {key}, line {problem.line}: {problem.message}"
            raise _InsideProblem(message, problem.cure, line=node.lineno) from None
        finally:
            self.scope.source, self.including = source, including

    # --- expressions

    def expr(self, node: nodes.Node) -> Any:
        """The expression (or the part of one), checked and rewritten: a node that fits in its place."""
        match node:
            case nodes.Const():
                self._constant(node)
            case nodes.Name():
                accesses.check_name(self, node)
            case nodes.Getattr() | nodes.Getitem():
                return accesses.check_access(self, node)
            case nodes.Call():
                return accesses.check_call(self, node)
            case nodes.Filter():
                filtering.check_filter(self, node)
            case nodes.Test():
                filtering.check_test(self, node)
            case nodes.Compare():
                node.expr = weighed(self, node.expr)
                for operand in node.ops:
                    operand.expr = weighed(self, operand.expr)
            case nodes.Add() | nodes.Sub() | nodes.Mul() | nodes.Div() | nodes.FloorDiv() | nodes.Mod():
                self._arithmetic(node)
            case _ if isinstance(node, _STRUCTURE):
                self._parts(node)
            case _:
                self._refuse(node)
        return node

    def _parts(self, node: nodes.Node) -> None:
        for field, value in node.iter_fields():
            if isinstance(value, nodes.Node):
                setattr(node, field, self.expr(value))
            elif isinstance(value, list):
                setattr(node, field, [self.expr(one) for one in value])

    def _constant(self, node: nodes.Const) -> None:
        if isinstance(node.value, (int, float)) and not -_LARGEST < node.value < _LARGEST:
            self.scope.stop(node, "a number is too large", "write a smaller one")

    def _arithmetic(self, node: nodes.BinExpr) -> None:
        self._refuse_hyphen(node)
        for side in (node.left, node.right):
            if isinstance(node, nodes.Add):
                continue
            if isinstance(side, (nodes.List, nodes.Tuple, nodes.Dict)) or (
                isinstance(side, nodes.Const) and not isinstance(side.value, (int, float))
            ):
                self.scope.stop(
                    node, f"`{node.operator}` works between numbers only", "take the text out", node.operator
                )
        node.left, node.right = self.expr(node.left), self.expr(node.right)

    def _refuse_hyphen(self, node: nodes.BinExpr) -> None:
        """`steps.open-pr` is a subtraction to Jinja: say how it is written."""
        left: nodes.Node = node
        right_sides: list[nodes.Node] = []
        while isinstance(left, nodes.Sub):
            right_sides.append(left.right)
            left = left.left
        root = self.scope.free_root(left.node) if isinstance(left, nodes.Getattr) else None
        if not isinstance(left, nodes.Getattr) or root is None or root not in ("steps", "params") or not right_sides:
            return
        parts = [left.attr]
        for side in reversed(right_sides):
            first = root_of(side)
            if isinstance(first, nodes.Name) and (root == "steps" or first.name not in OFFERED | self.scope.bound):
                parts.append(first.name)
            elif isinstance(first, nodes.Const) and first is not side:
                parts.append(str(first.value))
            else:
                return
        whole = "-".join(parts)
        self.scope.stop(node, f"`{root}.{whole}` reads as a subtraction", f'write {root}["{whole}"]', root)

    def _refuse(self, node: nodes.Node) -> NoReturn:
        message, cure = _NOT_OFFERED.get(
            type(node), (f"`{type(node).__name__.lower()}` is not offered", "leave it out")
        )
        word = message[1 : message.index("`", 1)] if message.startswith("`") else ""
        self.scope.stop(node, message, cure, word)
