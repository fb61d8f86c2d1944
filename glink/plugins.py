"""The classes that a name in the configuration stands for: built in, or brought by another distribution.

Other distributions add theirs by an entry-point group (name = the name in the configuration, value = `module:Class`); they
cannot take the place of a built-in one. A module is imported when its class is first asked for.
Format: https://packaging.python.org/en/latest/specifications/entry-points/.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Generic, TypeVar, cast

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


T = TypeVar("T")


class Plugins(Generic[T]):
    """The classes of one kind of thing, each offering what T says."""

    def __init__(self, group: str, built_in: Mapping[str, str]) -> None:
        """`group` is that of the entry points; `built_in` gives `module:Class` by name."""
        self._group = group
        self._built_in = built_in
        self._found: dict[str, T] = {}

    def names(self) -> frozenset[str]:
        """The names of all there are."""
        return frozenset({*self._built_in, *self._added})

    def is_built_in(self, name: str) -> bool:
        """Whether Glink itself brings it."""
        return name in self._built_in

    def __getitem__(self, name: str) -> T:
        """The class of that name; KeyError when there is none."""
        if name not in self._found:
            self._found[name] = self._import(name)
        return self._found[name]

    def _import(self, name: str) -> T:
        if name in self._built_in:
            module, _, attribute = self._built_in[name].partition(":")
            return cast("T", getattr(importlib.import_module(module), attribute))
        return cast("T", self._added[name].load())

    @cached_property
    def _added(self) -> Mapping[str, EntryPoint]:
        from importlib.metadata import entry_points

        return {point.name: point for point in entry_points(group=self._group)}
