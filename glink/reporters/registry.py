"""Which kinds of reporters there are, and how one is made from its declaration.

Called by `glink.config` (are the keys right?) and by `glink up`. A kind is a class with `options` (a pydantic model,
strict and closed, of the keys that are its own) and `of(options, setting)`, which gives a `Reporter`. Other distributions
add kinds by the entry-point group `glink.reporters` (name = kind, value = `module:Class`); they cannot take the place of a
built-in one. A kind's module is imported when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from glink.errors import UsageError
from glink.plugins import Plugins
from glink.reporters.post import Post
from glink.reporters.reporter import Reporter
from glink.reporters.rules import ReporterSpec
from glink.reporters.setting import Setting

if TYPE_CHECKING:
    from pydantic import BaseModel


class Kind(Protocol):
    """What the class of a kind offers."""

    options: type[BaseModel]

    def of(self, options: Any, setting: Setting) -> Reporter:
        """The reporter with these options; ValueError, which says what is missing, when it cannot work."""
        ...


_KINDS: Plugins[Kind] = Plugins(
    "glink.reporters",
    {
        "console": "glink.reporters.console:Console",
        "feishu": "glink.reporters.feishu:Feishu",
        "webhook": "glink.reporters.webhook:Webhook",
    },
)


def kinds() -> tuple[str, ...]:
    """The names of all kinds, sorted."""
    return tuple(sorted(_KINDS.names()))


def is_built_in(kind: str) -> bool:
    """Whether Glink itself brings the kind."""
    return _KINDS.is_built_in(kind)


def options_model(kind: str) -> type[BaseModel]:
    """The model of the keys that belong to the kind; KeyError when there is no such kind."""
    return _KINDS[kind].options


def build(spec: ReporterSpec, setting: Setting) -> Reporter:
    """The reporter of a declaration; KeyError for an unknown kind, ValueError for what it lacks."""
    kind = _KINDS[spec.kind]
    return kind.of(kind.options.model_validate(dict(spec.options)), setting)


def posts(specs: Sequence[ReporterSpec], setting: Setting, complain: Callable[[str], None]) -> list[Post]:
    """All declared reporters, each with its thread still to be started; UsageError for one that cannot work."""
    found = []
    for index, spec in enumerate(specs):
        name = f"reporting[{index}] ({spec.kind})"
        try:
            reporter = build(spec, setting)
        except ValueError as error:
            raise UsageError(f"{name}: {error}") from None
        found.append(Post(name, reporter, spec.rules, limits=setting.limits, complain=complain))
    return found
