"""What only shows when steps are looked at together, and against the configuration.

Called by `glink.project` once every text is read: ids and order, the names in templates and expressions, schemas,
agents and interpreters. Nothing is evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from glink.graph import CycleError, Graph
from glink.limits import Limits
from glink.loading.canonical import Draft
from glink.loading.document import Path, quoted, spell
from glink.loading.jsonshape import SchemaError, compile_schema
from glink.loading.mistakes import Mistake, unknown
from glink.templates.names import Names
from glink.templates.problems import TemplateProblem
from glink.templates.template import compile_expression, compile_template

_NO_PARENTS: Final[list[str]] = []
_PASSING: Final = frozenset({"now", "run", "attempt", "revision"})
_LASTING: Final = "name params, steps, files or bus"


class CrossCheck:
    """All checks over one project's drafts.

    `complete` is False when a step could not be read at all; `place_of` says where a step stands, by its number.
    """

    def __init__(
        self,
        drafts: Sequence[Draft],
        *,
        params: Mapping[str, Any] | None,
        texts: Mapping[str, str],
        limits: Limits,
        complete: bool,
        place_of: Callable[[int], str],
    ) -> None:
        self.mistakes: list[Mistake] = []
        self._drafts = drafts
        self._params = params
        self._texts = texts
        self._limits = limits
        self._complete = complete
        self._place_of = place_of
        self._first: dict[str, Draft] = {}
        for draft in drafts:
            self._first.setdefault(draft.id, draft)

    def check(self) -> list[Mistake]:
        """Everything that is wrong."""
        self._ids()
        for draft in self._drafts:
            self._order(draft)
            self._templates(draft)
            self._schema(draft)
        if self.mistakes:
            # Without a mistake the workflow's own graph finds the circle.
            _ = self._graph
        return self.mistakes

    def circle(self, error: CycleError) -> Mistake:
        """Steps that wait for each other, said at the first of them in the file."""
        inside = {*error.circle}
        first = next(draft for draft in self._drafts if draft.id in inside)
        chain = error.circle[error.circle.index(first.id) :] + error.circle[1 : error.circle.index(first.id) + 1]
        names = " -> ".join(f"{one} ({self._place_of(self._first[one].index)})" for one in chain)
        what = "waits for itself" if len(inside) == 1 else f"these steps wait for each other: {names}"
        return Mistake(first.place("after"), what, "remove one `after` of the circle")

    def _ids(self) -> None:
        if len(self._first) == len(self._drafts):
            return
        for draft in self._drafts:
            first = self._first[draft.id]
            if first is not draft:
                what = f"the id {quoted(draft.id)} is taken by the step in {self._place_of(first.index)}"
                self.mistakes.append(Mistake(("steps", draft.index, "step"), what, "give it an id of its own"))

    def _order(self, draft: Draft) -> None:
        for parent in draft.form.get("after", _NO_PARENTS):
            if parent == draft.id and not draft.form.get("implied"):
                self._wrong(_after(draft, parent), "waits for itself", "remove it")
            elif parent not in self._first and self._complete:
                self._wrong(_after(draft, parent), *unknown("step", parent, self._first))

    @cached_property
    def _graph(self) -> Graph | None:
        parents = {
            draft.id: [one for one in draft.form.get("after", _NO_PARENTS) if one in self._first and one != draft.id]
            for draft in self._drafts
        }
        try:
            return Graph(parents)
        except CycleError as error:
            self.mistakes.append(self.circle(error))
            return None

    def _templates(self, draft: Draft) -> None:
        form, limits = draft.form, self._limits
        for key, source in _sources(form):
            if "{" not in source and len(source) <= limits.template_characters:
                continue
            try:
                self._names(draft, key, source, compile_template(source, texts=self._texts, limits=limits).names)
            except TemplateProblem as problem:
                self._template_problem(draft, key, problem)
        when = form.get("when")
        if when is not None:
            try:
                names = compile_expression(when, limits=limits).names
                self._names(draft, ("when",), when, names)
                for name in sorted(names.volatile & _PASSING):
                    self._inside(
                        draft,
                        ("when",),
                        _place(when, name),
                        f"a condition cannot name {name}, which is another at each look",
                        _LASTING,
                    )
            except TemplateProblem as problem:
                self._template_problem(draft, ("when",), problem)

    def _template_problem(self, draft: Draft, key: Path, problem: TemplateProblem) -> None:
        self._inside(draft, key, (problem.line, problem.column), problem.message, problem.cure)

    def _names(self, draft: Draft, key: Path, source: str, names: Names) -> None:
        if names.steps:
            parents = draft.form.get("after", _NO_PARENTS)
            for step in names.steps:
                if step not in parents:
                    self._no_parent(draft, key, source, step)
        if names.params and self._params is not None:
            for param in names.params:
                if param != "*" and param not in self._params:
                    self._inside(
                        draft, key, _found(source, "params", param), *unknown("parameter", param, self._params)
                    )

    def _no_parent(self, draft: Draft, key: Path, source: str, step: str) -> None:
        """A step that is named and is not one of `after`: an ancestor further up, or a mistake."""
        place = _found(source, "steps", step)
        if step not in self._first:
            if self._complete:
                self._inside(draft, key, place, *unknown("step", step, self._first))
        elif step == draft.id:
            self._inside(draft, key, place, "the step names itself", "name a step that comes before it")
        elif self._complete and (graph := self._graph) is not None and not graph.is_ancestor(step, draft.id):
            what = f"step {draft.id} does not come after step {step}"
            if graph.is_ancestor(draft.id, step):
                cure = f"step {step} comes after this one: turn their order round"
            else:
                after = [*draft.form.get("after", _NO_PARENTS), step]
                cure = f"write after: [{', '.join(after)}]"
            self._inside(draft, key, place, what, cure)

    def _schema(self, draft: Draft) -> None:
        output = draft.form.get("output")
        if output is None or "schema" not in output:
            return
        try:
            compile_schema(output["schema"])
        except SchemaError as error:
            where = draft.place("output", "schema")
            if draft.schema_file is not None:
                inner = f"{spell(error.where)}: " if error.where else ""
                self._wrong(where, f"{draft.schema_file}: {inner}{error}", error.cure)
            else:
                self._wrong((*where, *error.where), str(error), error.cure)

    def _wrong(self, where: Path, what: str, cure: str = "") -> None:
        self.mistakes.append(Mistake(where, what, cure))

    def _inside(self, draft: Draft, key: Path, place: tuple[int, int], what: str, cure: str) -> None:
        file = draft.task_file if key == ("task",) and draft.task_file else ""
        self.mistakes.append(Mistake(draft.place(*key), what, cure, inside=place, file=file))


def _sources(form: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    if "task" in form:
        yield ("task",), form["task"]
    for index, source in enumerate(form.get("args", _NO_PARENTS)):
        yield ("args", index), source
    if "env" in form:
        for name, source in form["env"].items():
            yield ("env", name), source
    if "stdin" in form:
        yield ("stdin",), form["stdin"]


def _after(draft: Draft, parent: str) -> Path:
    written = draft.entry.after or []
    place: Path = (written.index(parent),) if parent in written else ()
    return ("steps", draft.index, "after", *place)


def _place(source: str, pattern: str) -> tuple[int, int]:
    """Line and column of what the pattern finds, as a word, in a template; its beginning when it finds nothing."""
    found = re.search(rf"\b{pattern}", source)
    if found is None:
        return 1, 1
    begin = source.rfind("\n", 0, found.start()) + 1
    return source.count("\n", 0, found.start()) + 1, found.start() - begin + 1


def _found(source: str, root: str, name: str) -> tuple[int, int]:
    """Line and column of `root.name` in a template; its beginning when it cannot be found."""
    return _place(source, rf"""{root}\s*[.\[]\s*["']?{re.escape(name)}(?![A-Za-z0-9_])""")
