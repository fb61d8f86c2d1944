"""Which kinds of agents there are, and how one is made from its declaration.

Called by `glink.config` (are the keys of this declaration right?) and by the composition root. A kind is a class with
`options` (a pydantic model, strict and closed, of the keys that are its own) and `of(spec, base=, limits=)`, which
gives an `Agent`. Other distributions add kinds by the entry-point group `glink.agents` (name = kind, value =
`module:Class`); they cannot take the place of a built-in one. A kind's module is imported when it is first asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from glink.agents.agent import Agent
from glink.limits import Limits
from glink.plugins import Plugins
from glink.roster import AgentSpec

if TYPE_CHECKING:
    from pydantic import BaseModel

_DEFAULTS = Limits()
_PULL = "pull"  # nobody is called for its steps: it has options and no agent


class Kind(Protocol):
    """What the class of a kind offers."""

    options: type[BaseModel]

    def of(self, spec: AgentSpec, *, base: Path, limits: Limits) -> Agent:
        """The agent of a declaration. `base` is the config's folder; pydantic.ValidationError for wrong options."""
        ...


_KINDS: Plugins[Kind] = Plugins(
    "glink.agents",
    {
        "command": "glink.agents.command:CommandAgent",
        "echo": "glink.agents.echo:EchoAgent",
        "http": "glink.agents.http:HttpAgent",
        "python": "glink.agents.python:PythonAgent",
    },
)


def kinds() -> tuple[str, ...]:
    """The names of all kinds, sorted."""
    return tuple(sorted({_PULL, *_KINDS.names()}))


def is_built_in(kind: str) -> bool:
    """Whether Glink itself brings the kind."""
    return kind == _PULL or _KINDS.is_built_in(kind)


def options_model(kind: str) -> type[BaseModel]:
    """The model of the keys that belong to the kind; KeyError when there is no such kind."""
    if kind == _PULL:
        from glink.agents.pull import PullOptions

        return PullOptions
    return _KINDS[kind].options


def build(spec: AgentSpec, *, base: Path, limits: Limits = _DEFAULTS) -> Agent:
    """The agent of a declaration; KeyError for an unknown kind, pydantic.ValidationError for wrong options."""
    return _KINDS[spec.kind].of(spec, base=base.absolute(), limits=limits)


def build_script(*, base: Path, limits: Limits = _DEFAULTS) -> Agent:
    """The agent of all `run:` steps; the task brings its program."""
    from glink.agents.script import ScriptAgent

    return ScriptAgent(base=base.absolute(), limits=limits)
