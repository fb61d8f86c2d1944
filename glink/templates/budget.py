"""How much one rendering may do and make: the step counter of the sandbox. Called by `sandbox` and `filters`.

Every round of a `for` and every filter takes a step, and one more for each item and each KiB that it is given or gives
back; so neither nested empty loops nor the same large text a thousand times over cost more than the limit says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final

from glink.limits import Limits
from glink.templates.problems import RenderProblem

_STEP_CHARACTERS: Final = 1 << 10
_LARGEST: Final = 1 << 64


class Budget:
    """The steps that are left, and how long a text may be."""

    __slots__ = ("_limits", "left")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.left = limits.render_steps

    def take(self, steps: int) -> None:
        """Use up steps; raises RenderProblem when there are no more."""
        self.left -= steps
        if self.left < 0:
            raise RenderProblem(f"the template takes more than {self._limits.render_steps} steps to render")

    def weigh(self, value: Any) -> None:
        """Take a step for the value, for each item in it and for each KiB of its texts."""
        waiting = [value]
        while waiting:
            one = waiting.pop()
            if isinstance(one, str):
                self.take(1 + len(one) // _STEP_CHARACTERS)
            elif isinstance(one, Mapping):
                self.take(1 + len(one))
                waiting.extend(one.keys())
                waiting.extend(one.values())
            elif isinstance(one, (list, tuple)):
                self.take(1 + len(one))
                waiting.extend(one)
            else:
                self.take(1)

    def check_length(self, characters: int) -> None:
        """Refuse a text that is, or would be, too long."""
        if characters > self._limits.render_characters:
            raise RenderProblem(f"the text is longer than {self._limits.render_characters} characters")

    def all_of(self, items: Iterable[Any]) -> list[Any]:
        """The items as a list, a step each."""
        found = list(islice(items, self.left + 1))
        self.take(len(found))
        return found

    def result(self, value: Any) -> Any:
        """What a filter or an operator gives back, weighed and within the limits."""
        if isinstance(value, str):
            self.check_length(len(value))
        elif isinstance(value, float):
            if value - value != 0:
                raise RenderProblem("a number is too large")
        elif isinstance(value, int):
            if not -_LARGEST < value < _LARGEST:
                raise RenderProblem("a whole number has more than 64 bits")
        elif hasattr(value, "__next__"):
            value = self.all_of(value)
        self.weigh(value)
        return value
