"""Which kinds of agents there are, and how one is made from its declaration.

Called by `glink.config` (are the keys of this declaration right?) and by the composition root. A kind is a class with
`options` (a pydantic model, strict and closed, of the keys that are its own) and `of(spec, base=, limits=)`, which
gives an `Agent`. Other distributions add kinds by the entry-point group `glink.agents` (name = kind, value =
`module:Class`); they cannot take the place of a built-in one. A kind's module is imported when it is first asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from glink.agents.agent import Agent
from glink.limits import Limits
from glink.roster import AgentSpec

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from pydantic import BaseModel

_GROUP = "glink.agents"
_DEFAULTS = Limits()

_BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "command": "glink.agents.command:CommandAgent",
        "echo": "glink.agents.echo:EchoAgent",
        "http": "glink.agents.http:HttpAgent",
        "python": "glink.agents.python:PythonAgent",
    }
)


_PULL = "pull"  # nobody is called for its steps: it has options and no agent


class Kind(Protocol):
    """What the class of a kind offers."""

    options: type[BaseModel]

    def of(self, spec: AgentSpec, *, base: Path, limits: Limits) -> Agent:
        """The agent of a declaration. `base` is the config's folder; pydantic.ValidationError for wrong options."""
        ...


def kinds() -> tuple[str, ...]:
    """The names of all kinds, sorted."""
    return tuple(sorted({*_BUILT_IN, _PULL, *_added()}))


def options_model(kind: str) -> type[BaseModel]:
    """The model of the keys that belong to the kind; KeyError when there is no such kind."""
    if kind == _PULL:
        from glink.agents.pull import PullOptions

        return PullOptions
    return _kind(kind).options


def build(spec: AgentSpec, *, base: Path, limits: Limits = _DEFAULTS) -> Agent:
    """The agent of a declaration; KeyError for an unknown kind, pydantic.ValidationError for wrong options."""
    return _kind(spec.kind).of(spec, base=base.absolute(), limits=limits)


def build_script(*, base: Path, limits: Limits = _DEFAULTS) -> Agent:
    """The agent of all `run:` steps; the task brings its program."""
    from glink.agents.script import ScriptAgent

    return ScriptAgent(base=base.absolute(), limits=limits)


@cache
def _kind(kind: str) -> Kind:
    if kind in _BUILT_IN:
        module, _, name = _BUILT_IN[kind].partition(":")
        built_in: Kind = getattr(importlib.import_module(module), name)
        return built_in
    added: Kind = _added()[kind].load()
    return added


@cache
def _added() -> Mapping[str, EntryPoint]:
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=_GROUP)}
