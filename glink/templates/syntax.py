"""What the parts of the allow-list share: the state of a check, how it refuses, and a few questions to the syntax tree.

Called by `allowlist`, `accesses` and `filtering`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final, NoReturn, Protocol

from jinja2 import nodes

from glink.limits import Limits
from glink.templates.names import OFFERED, Found, text_key
from glink.templates.problems import TemplateProblem

# Filters that only the allow-list writes into a tree: no template can spell their names.
COUNTED: Final = "(counted)"
WEIGHED: Final = "(weighed)"
SLICED: Final = "(sliced)"


@dataclass(slots=True)
class Scope:
    """Where a check stands: the text it reads, the names that loops have bound, what it has found.

    `texts` is None for an expression, which reads no files. `offered` are the names with rules of their own (those of a
    task); what is `bound` is plain data.
    """

    texts: Mapping[str, str] | None
    limits: Limits
    source: str
    found: Found = field(default_factory=Found)
    bound: frozenset[str] = frozenset()
    offered: frozenset[str] = OFFERED

    def text(self, node: nodes.Node, name: str) -> tuple[str, str]:
        """The key of a text that the template names, and the text."""
        if self.texts is None:
            self.stop(node, "an expression reads no files", "read it in a task", name)
        key = text_key(name)
        if key is None:
            cure = "write a path inside the project, or one that begins with /_shared/"
            self.stop(node, f"{name!r} is no name of a text", cure, name)
        if key not in self.texts:
            self.stop(node, f"there is no text {name!r}", "add the file, or mend its name", name)
        return key, self.texts[key]

    def free_root(self, node: nodes.Node) -> str | None:
        """The offered name that this node is, unless a loop has taken it."""
        return node.name if isinstance(node, nodes.Name) and node.name in self.offered - self.bound else None

    def no_such(self, node: nodes.Node, what: str, name: Any, known: Iterable[str]) -> NoReturn:
        """Refuse a name that is not among the known ones, with the nearest."""
        known = sorted(known)
        near = get_close_matches(str(name), known, n=1)
        cure = f"did you mean `{near[0]}`? " if near else ""
        self.stop(node, f"there is no {what} `{name}`", f"{cure}offered are {', '.join(known)}", str(name))

    def stop(self, node: nodes.Node, message: str, cure: str, word: str = "") -> NoReturn:
        """Refuse the node; `word` tells the column."""
        line = node.lineno or 1  # the parser leaves it out in places
        raise TemplateProblem(message, cure, line=line, column=_column(self.source, line, word))


class Checker(Protocol):
    """A scope that can check an expression inside another one."""

    @property
    def scope(self) -> Scope: ...

    def expr(self, node: nodes.Node) -> Any:
        """The expression (or the part of one), checked and rewritten: a node that fits in its place."""
        ...


def key_of(node: nodes.Node) -> str | int | None:
    """The literal key of an access; None for one that is computed."""
    if isinstance(node, nodes.Getattr):
        return node.attr
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and type(node.arg.value) in (str, int):
        found: str | int = node.arg.value
        return found
    return None


def root_of(node: nodes.Node) -> nodes.Node:
    """What a chain of accesses and filters begins with."""
    while isinstance(node, (nodes.Getattr, nodes.Getitem, nodes.Filter)) and node.node is not None:
        node = node.node
    return node


def filtered(name: str, node: nodes.Expr, *args: nodes.Expr) -> nodes.Filter:
    """The expression through one of our own filters."""
    return nodes.Filter(node, name, list(args), [], None, None, lineno=node.lineno)


def weighed(check: Checker, node: nodes.Expr) -> nodes.Expr:
    """The expression, checked, its value counted by its size."""
    checked: nodes.Expr = check.expr(node)
    return checked if isinstance(checked, nodes.Const) else filtered(WEIGHED, checked)


def check_depth(tree: nodes.Node, limits: Limits) -> None:
    """Refuse what is nested too deep, without recursion."""
    level = [tree]
    for _ in range(limits.template_depth):
        level = [child for node in level for child in node.iter_child_nodes()]
        if not level:
            return
    cure = "take it apart: a step of its own, or a shorter expression"
    raise TemplateProblem(f"nested deeper than {limits.template_depth} levels", cure, line=level[0].lineno or 1)


def size_of(tree: nodes.Node) -> int:
    """The number of nodes of a tree whose depth was checked."""
    level, count = [tree], 0
    while level:
        count += len(level)
        level = [child for node in level for child in node.iter_child_nodes()]
    return count


def _column(source: str, line: int, word: str) -> int:
    """Where the word stands in its line, from 1; 1 when it cannot be known."""
    lines = source.split("\n")
    if not word or not 0 < line <= len(lines):
        return 1
    return lines[line - 1].find(word) + 1 or 1
