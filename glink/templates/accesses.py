"""Names and what is read from them: `steps[ID].output`, `params.city`, `files[PATH]`, `bus.latest(TYPE)`.

Part of the allow-list: takes note of what is named, refuses what is not offered. Called by `allowlist`.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Final

from jinja2 import nodes

from glink.event import is_free_type
from glink.fold import MAX_NOTES
from glink.templates.names import RUN_FIELDS, STEP_FIELDS, NoteQuery, is_internal
from glink.templates.syntax import SLICED, Checker, filtered, key_of

_BUS: Final = 'write bus.latest("TYPE", project="P") or bus.all("TYPE", 10)'
_LOOP_FIELDS: Final = ("index", "index0", "revindex", "revindex0", "first", "last", "length")


def check_name(check: Checker, node: nodes.Name) -> None:
    """A name by itself."""
    scope, name = check.scope, node.name
    if name == "loop" and name in scope.bound:
        scope.stop(node, "`loop` by itself is no value", f"write one of loop.{_listed(_LOOP_FIELDS)}", name)
    if name in scope.bound:
        return
    if name not in scope.offered:
        known = scope.offered | scope.bound
        near = get_close_matches(name, known, n=1)
        meant = f"did you mean `{near[0]}`? " if near else ""
        scope.stop(
            node, f"`{name}` is not offered", f"{meant}the names are {', '.join(sorted(scope.offered or known))}", name
        )
    match name:
        case "steps":
            scope.stop(node, "`steps` is not used by itself", f"write steps[ID].{_listed(STEP_FIELDS)}", name)
        case "run":
            scope.stop(node, "`run` is not used by itself", f"write run.{_listed(RUN_FIELDS)}", name)
        case "files":
            scope.stop(node, "`files` takes a literal path", 'write files["PATH"]', name)
        case "bus":
            scope.stop(node, "`bus` is not used by itself", _BUS, name)
        case "params":
            scope.found.params.add("*")
        case _:
            scope.found.root(name)


def check_access(check: Checker, node: nodes.Getattr | nodes.Getitem) -> nodes.Expr:
    """`a.key` and `a[key]`."""
    scope, key = check.scope, key_of(node)
    if isinstance(key, str) and is_internal(key):
        scope.stop(node, f"`{key}` is not offered", "only data is", key)
    root = scope.free_root(node.node)
    if root is not None and not (root == "params" and key is None):
        return _root_access(check, root, node, key)
    inner = node.node
    if isinstance(inner, (nodes.Getattr, nodes.Getitem)) and scope.free_root(inner.node) == "steps":
        return _step(check, inner, key)
    if isinstance(inner, nodes.Name) and inner.name == "loop" and "loop" in scope.bound:
        if key not in _LOOP_FIELDS:
            scope.stop(node, f"`loop` has no {key}", f"write one of loop.{_listed(_LOOP_FIELDS)}", "loop")
        return node
    node.node = check.expr(inner)
    if isinstance(node, nodes.Getitem):
        if isinstance(node.arg, nodes.Slice):
            ends = (node.arg.start, node.arg.stop, node.arg.step)
            return filtered(SLICED, node.node, *[nodes.Const(None) if one is None else check.expr(one) for one in ends])
        node.arg = check.expr(node.arg)
    return node


def _root_access(check: Checker, root: str, node: nodes.Getattr | nodes.Getitem, key: Any) -> nodes.Expr:
    scope = check.scope
    match root:
        case "steps":
            what = "a step is named literally" if key is None else "a step is not used by itself"
            scope.stop(node, what, f"write steps[ID].{_listed(STEP_FIELDS)}", root)
        case "run" if key not in RUN_FIELDS:
            scope.stop(node, f"`run` has no {key}", f"write run.{_listed(RUN_FIELDS)}", root)
        case "files":
            if not isinstance(key, str) or isinstance(node, nodes.Getattr):
                scope.stop(node, "`files` takes a literal path", 'write files["PATH"]', root)
            path, _ = scope.text(node, key)
            scope.found.files.add(path)
            return nodes.Getitem(node.node, nodes.Const(path), "load")
        case "params":
            scope.found.params.add(str(key))
        case "bus":
            scope.stop(node, "`bus` is asked by a call", _BUS, root)
        case _:
            scope.found.root(root)
            if key is None and isinstance(node, nodes.Getitem):
                scope.stop(node, f"`{root}` takes a literal key", f'write {root}["KEY"]', root)
    return node


def _step(check: Checker, node: nodes.Getattr | nodes.Getitem, field: Any) -> nodes.Expr:
    scope = check.scope
    step = key_of(node)
    if step is None:
        scope.stop(node, "a step is named literally", f"write steps[ID].{_listed(STEP_FIELDS)}", "steps")
    if field not in STEP_FIELDS:
        scope.stop(node, f"a step has no `{field}`", f"write one of {', '.join(STEP_FIELDS)}", "steps")
    scope.found.steps.add(str(step))
    one = nodes.Getitem(node.node, nodes.Const(str(step)), "load")
    return nodes.Getitem(one, nodes.Const(field), "load")


def check_call(check: Checker, node: nodes.Call) -> nodes.Expr:
    """`bus.latest(...)` and `bus.all(...)`: the place of the query among all queries of the template."""
    scope = check.scope
    call = node.node
    if not isinstance(call, nodes.Getattr) or scope.free_root(call.node) != "bus":
        scope.stop(node, "nothing can be called but bus.latest and bus.all", "use a filter: `value | filter`")
    kind = call.attr
    if kind not in ("latest", "all") or node.dyn_args is not None or node.dyn_kwargs is not None:
        scope.stop(node, f"there is no bus.{kind} with these arguments", _BUS, "bus")
    values = {key.key: key.value for key in node.kwargs}
    values |= dict(zip(("type", "limit") if kind == "all" else ("type",), node.args, strict=False))
    allowed = {"type", "project", "limit"} if kind == "all" else {"type", "project"}
    count = len(node.args) + len(node.kwargs)
    if (
        not all(isinstance(one, nodes.Const) for one in values.values())
        or count != len(values)
        or values.keys() - allowed
    ):
        scope.stop(node, f"bus.{kind} takes literal arguments, each once", _BUS, "bus")
    query = _query(check, node, kind, {key: one.value for key, one in values.items() if isinstance(one, nodes.Const)})
    scope.found.root("bus")
    if query not in scope.found.queries:
        scope.found.queries.append(query)
    return nodes.Getitem(call.node, nodes.Const(scope.found.queries.index(query)), "load")


def _query(check: Checker, node: nodes.Call, kind: str, values: dict[str, Any]) -> NoteQuery:
    scope = check.scope
    type_, project, limit = values.get("type"), values.get("project"), values.get("limit")
    if not isinstance(type_, str) or not is_free_type(type_):
        scope.stop(node, f"{type_!r} is no type of a note", 'write a type such as "note.x"', "bus")
    if project is not None and not isinstance(project, str):
        scope.stop(node, "the project is a text", 'write project="NAME"', "bus")
    most = MAX_NOTES
    if limit is not None and (type(limit) is not int or not 1 <= limit <= most):
        scope.stop(node, f"the limit must be between 1 and {most}", f"write {most} or less", "bus")
    return NoteQuery("latest" if kind == "latest" else "all", type_, project, limit)


def _listed(names: Iterable[str]) -> str:
    return "|".join(names)
