"""What can be wrong with a template: seen at validation (`TemplateProblem`), or only with the values (`RenderProblem`)."""

from __future__ import annotations

_MESSAGE_CHARACTERS = 500


class TemplateProblem(Exception):
    """A task or expression that is refused before anything is compiled.

    `line` and `column` count from 1 inside the text of the template; `cure` says what to write.
    """

    def __init__(self, message: str, cure: str = "", *, line: int = 1, column: int = 1) -> None:
        self.message = _bounded(message)
        self.cure = _bounded(cure)
        self.line = line
        self.column = column
        super().__init__(f"{line}:{column}: {self.message}" + (f"; {self.cure}" if cure else ""))


class RenderProblem(Exception):
    """A template that cannot be rendered with these values: a failure of class `template`."""

    def __init__(self, message: str) -> None:
        self.message = _bounded(message)
        super().__init__(self.message)


def _bounded(text: str) -> str:
    return text if len(text) <= _MESSAGE_CHARACTERS else text[:_MESSAGE_CHARACTERS] + "..."
