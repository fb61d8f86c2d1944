"""What a step sees of the steps before it: `steps[ID]` in a template, and the context appended to a task.

Called by the fingerprint (`reconciler.fingerprint`) and by both renderers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from glink.jsontext import canonical
from glink.limits import Limits
from glink.templates.fence import fence
from glink.templates.problems import RenderProblem

_USUAL: Final = Limits()


@dataclass(frozen=True, slots=True)
class StepValue:
    """A step's end: `output` is text, a JSON value or None; `text` the output as text; `files` path -> sha256.

    Whoever shows the output as text calls `shown`: JSON in its canonical form, so that equal digests read the same.
    """

    id: str
    status: str
    output: Any = None
    text: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None

    def shown(self) -> str | None:
        """The output as text, None when there is none."""
        if self.output is None or isinstance(self.output, str):
            return self.text if self.output is None else self.output
        return canonical(self.output).decode()


def appended(text: str, upstream: Sequence[StepValue], *, limits: Limits = _USUAL) -> str:
    """The task with the outputs of `upstream` after it, each labelled and fenced; steps without output are left out.

    Raises RenderProblem when all of it is longer than `limits.context_characters`.
    """
    blocks, size = [], len(text)
    for value in upstream:
        shown = value.shown()
        if shown is None:
            continue
        size += len(shown)
        if size > limits.context_characters:
            raise RenderProblem(
                f"the outputs to append are longer than {limits.context_characters} characters; "
                "name in the task what it needs, or write context: none"
            )
        blocks.append(fence(shown, f"step {value.id}"))
    return "\n\n".join((text.rstrip("\n"), *blocks)) if blocks else text
