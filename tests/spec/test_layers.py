"""The layers of ARCHITECTURE.md, held by reading every import."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "glink"
MODULES = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in ROOT.rglob("*.py")
}

BASE = {"errors", "clock", "digest", "graph", "limits", "jsontext"}
NOUNS = {"workflow", "event", "state", "fold", "stepfold", "world", "report", "roster", "permit", "words"}
DECISIONS = {
    *(
        f"reconciler.{name}"
        for name in ("actions", "fingerprint", "policy", "gates", "decide", "board", "plan", "wanted", "cause")
    ),
    "watch.settle",
    *(
        f"pages.{name}"
        for name in ("shown", "links", "attention", "cards", "fitting", "sketch", "layering", "picture", "diagrams")
    ),
}
PURE_FORBIDDEN = {"os", "threading", "time", "subprocess", "random", "logging", "socket", "fcntl"}
DOORS = {
    "orjson": {"jsontext"},
    "yaml": {"loading.yamltext"},
    "watchdog": {"watch.observer"},
    "jsonschema": {"loading.jsonshape"},
    "referencing": {"loading.jsonshape"},
    "re2": {"loading.jsonshape"},
    "bottle": {"server.site"},
    "prometheus_client": {"server.metrics"},
    "waitress": {"server.wire", "server.serve"},
    "graphlay": {"pages.layering"},
    "urllib3": {"outward.connection", "remote"},
}


def level(module: str) -> int:
    """base 0 < nouns 1 < decisions 2 < effects 3 < conduct 4 < entry 5."""
    name = module.removeprefix("glink.")
    if name in BASE or name == "glink":
        return 0
    if name in NOUNS or name == "agents.agent":
        return 1
    if name in DECISIONS or name.startswith("templates"):
        return 2
    if (
        name
        in (
            "reconciler.conductor",
            "reconciler.dispatch",
            "reconciler.desk",
            "reconciler.verbs",
            "reconciler.survey",
            "reconciler.jobs",
            "reconciler.books",
            "reconciler.intake",
            "reconciler.adoption",
            "reconciler.claims",
            "reconciler.notes",
            "reconciler.rest",
            "reconciler.submissions",
        )
        or name.startswith(("server", "answers", "pages"))
        or name in ("view", "wiring")
    ):
        return 4
    if name in ("app", "__main__", "channel", "remote", "worker") or name.startswith("cli"):
        return 5
    return 3


def imports(module: str, *, deferred: bool = True) -> Iterator[str]:
    """Full names of what a module imports; type-checking blocks are left out."""
    tree = ast.parse(MODULES[module].read_text())
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from _targets(node)


def _targets(node: ast.ImportFrom) -> Iterator[str]:
    for alias in node.names:
        inner = f"{node.module}.{alias.name}"
        yield inner if inner in MODULES else str(node.module)


def test_the_tree_is_found() -> None:
    assert len(MODULES) > 80


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_go_downward_only(module: str) -> None:
    """A module imports its own level and those below it."""
    wrong = [one for one in imports(module) if one in MODULES and level(one) > level(module)]
    assert wrong == []


@pytest.mark.parametrize("module", sorted(one for one in MODULES if level(one) <= 2))
def test_base_nouns_and_decisions_touch_nothing_outside(module: str) -> None:
    """No disk, thread, process, chance or clock below the effects; the clock itself is the only caller of time."""
    roots = {one.split(".")[0] for one in imports(module)}
    assert roots & PURE_FORBIDDEN <= ({"time"} if module == "glink.clock" else set())


@pytest.mark.parametrize("package", sorted(DOORS))
def test_each_third_party_package_has_one_door(package: str) -> None:
    users = {one.removeprefix("glink.") for one in MODULES if package in {name.split(".")[0] for name in imports(one)}}
    assert users == DOORS[package] or users < DOORS[package]
    assert users


def test_no_module_is_long() -> None:
    """Small pieces: at most 400 lines a module."""
    assert [one for one, path in MODULES.items() if len(path.read_text().splitlines()) > 400] == []
