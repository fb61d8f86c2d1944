"""Projects: which there are, and each of them loaded to its desired state, or to all that is wrong with it.

The one loader: `glink validate`, the watcher and every verb that looks at a workflow call it. Loading reads below
`projects/` only, never evaluates a template, and never raises for what a file holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glink.config import Config
from glink.errors import Problem, UsageError
from glink.graph import CycleError
from glink.jsontext import JSONError, canonical, loads
from glink.limits import Limits
from glink.loading import discovery
from glink.loading.canonical import Draft, drafts, head
from glink.loading.crosscheck import CrossCheck
from glink.loading.document import Document, quoted, source_line, spell
from glink.loading.folder import UnreadableError
from glink.loading.mistakes import Mistake
from glink.loading.params import check_params, declared
from glink.loading.permits import check_permits
from glink.loading.salvage import Salvaged, salvage
from glink.loading.sources import Sources
from glink.loading.yamltext import read_yaml
from glink.templates.names import text_key
from glink.templates.template import template_texts
from glink.workflow import Workflow

__all__ = ["Loaded", "check_params", "find_projects", "load_project", "load_submission"]

_LIMITS = Limits()
SUBMITTED = "submission"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of one project's files. `workflow` is None exactly when there are `problems`.

    `sources` maps the path (below `projects/`) of every file that was read to its sha256. `blobs` holds, by sha256,
    what the bus must keep: the canonical workflow under `workflow.digest`, scripts and inputs; a large input is the
    path that it was read from, and whoever copies it compares the digest. `listings` maps each folder that a glob looked
    through to a digest of the names below it.
    """

    project: str
    workflow: Workflow | None
    problems: tuple[Problem, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    blobs: Mapping[str, bytes | Path] = field(default_factory=dict)
    listings: Mapping[str, str] = field(default_factory=dict)


def find_projects(root: Path, limits: Limits = _LIMITS) -> tuple[dict[str, Path], dict[str, list[Problem]]]:
    """Project name -> workflow file, and problems by name: a name that is claimed twice has problems and no file.

    Raises OSError when the root itself cannot be listed.
    """
    return discovery.find(root, limits)


def _safe_project_path(root: Path, name: str, limits: Limits = _LIMITS) -> Path:
    """The path that belongs to a project's name, below the root; raises UsageError for what cannot name a project."""
    if fault := discovery.name_fault(name, limits):
        raise UsageError(f"{quoted(name)} cannot name a project: it {fault}")
    return root.joinpath(*name.split("/"))


def load_project(
    name: str, file: Path, root: Path, *, limits: Limits = _LIMITS, config: Config | None = None
) -> Loaded:
    """The project in `file`, below `root`. Without a configuration file agents and interpreters are not checked."""
    _safe_project_path(root, name, limits)
    relative = file.relative_to(root).as_posix()
    whole_folder = relative in (f"{name}/workflow.yaml", f"{name}/workflow.yml")
    sources = Sources(root, name if whole_folder else None, limits)
    loading = _Loading(name, f"{root.name}/{relative}", sources, limits, config)
    workflow = loading.load(relative)
    problems = tuple(sorted(set(loading.problems))[: limits.problems])
    blobs = {} if workflow is None else {workflow.digest: canonical(workflow.canonical), **sources.blobs}
    return Loaded(name, workflow, problems, sources.digests, blobs, sources.listings)


def load_submission(
    name: str, value: Mapping[str, Any], root: Path, *, limits: Limits = _LIMITS, config: Config | None = None
) -> Loaded:
    """The project that a request describes with the keys of a workflow file; files of its own it has none."""
    _safe_project_path(root, name, limits)
    sources = Sources(root, None, limits)
    loading = _Loading(name, SUBMITTED, sources, limits, config)
    workflow = loading.judge(Document(SUBMITTED, "", value, (), whole=True, locate=lambda text: {}))
    problems = tuple(sorted(set(loading.problems))[: limits.problems])
    blobs = {} if workflow is None else {workflow.digest: canonical(workflow.canonical), **sources.blobs}
    return Loaded(name, workflow, problems, sources.digests, blobs)


class _Loading:
    """One load: problems are gathered on the way."""

    def __init__(self, name: str, shown: str, sources: Sources, limits: Limits, config: Config | None) -> None:
        self.problems: list[Problem] = []
        self._name = name
        self._shown = shown
        self._sources = sources
        self._limits = limits
        self._config = config if config is not None and config.path is not None else None
        self._texts: dict[str, str] = {}

    def load(self, relative: str) -> Workflow | None:
        try:
            data = self._sources.workflow(relative)
        except UnreadableError as fault:
            self.problems.append(Problem(self._shown, 0, 0, "", f"the file {fault}", fault.cure))
            return None
        document = read_yaml(data, self._shown, self._limits)
        self.problems += document.problems
        return self.judge(document) if document.whole else None

    def judge(self, document: Document) -> Workflow | None:
        """The workflow of a document that was read whole."""
        found = salvage(document.value, self._limits)
        steps = [] if found.file is None else drafts(found.file, found.entries)
        try:
            form = self._form(document, found, steps)
            if self.problems or form is None:
                return None
            return Workflow.of(form)
        except CycleError as error:
            check = self._crosscheck(document, found, steps, None)
            self._report(document, [check.circle(error)])
            return None

    def _form(self, document: Document, found: Salvaged, steps: list[Draft]) -> dict[str, Any] | None:
        """The canonical form; every mistake on the way to it is reported."""
        self._report(document, found.mistakes)
        if found.file is None:
            return None
        params, mistakes = declared(found.file.params or {})
        self._report(document, mistakes)
        for draft in steps:
            self._report(document, draft.mistakes)
        files = self._read(document, steps)
        check = self._crosscheck(document, found, steps, None if _params_are_broken(found) else params)
        self._report(document, check.check())
        if self._config is not None:
            self._report(document, check_permits(steps, self._name, self._config))
        form = {**head(found.file, self._name, params), "steps": [draft.form for draft in steps]}
        if self._texts:
            form["texts"] = self._texts
        if files:
            form["files"] = files
        return form

    def _crosscheck(
        self, document: Document, found: Salvaged, steps: list[Draft], params: Mapping[str, Any] | None
    ) -> CrossCheck:
        return CrossCheck(
            steps,
            params=params,
            texts=self._texts,
            limits=self._limits,
            complete=found.complete,
            place_of=lambda index: document.place_of(("steps", index)),
        )

    def _read(self, document: Document, steps: list[Draft]) -> dict[str, str]:
        """Read what the steps name into their forms and into `texts`; the digests of scripts and inputs."""
        mistakes: list[Mistake] = []
        files: dict[str, str] = {}
        globs: dict[str, Draft] = {}
        for draft in steps:
            if draft.task_file is not None:
                self._task_file(draft, draft.task_file, mistakes)
            if draft.schema_file is not None:
                self._schema_file(draft, draft.schema_file, mistakes)
            script = draft.form.get("run", {}).get("file")
            if script is not None and script not in files:
                try:
                    files[script] = self._sources.script(script)
                except UnreadableError as fault:
                    where = ("steps", draft.index, "run", "file")
                    mistakes.append(Mistake(where, f"{script} {fault}", fault.cure))
            for glob in draft.form.get("inputs", ()):
                globs.setdefault(glob, draft)
            self._included(draft, mistakes)
        if globs:
            inputs, faults = self._sources.inputs(globs)
            files |= inputs
            for glob, wrong in faults.items():
                place = globs[glob].place("inputs", globs[glob].form["inputs"].index(glob))
                mistakes.append(Mistake(place, f"{glob} {wrong}", wrong.cure))
        self._report(document, mistakes)
        return files

    def _task_file(self, draft: Draft, file: str, mistakes: list[Mistake]) -> None:
        try:
            draft.form["task"] = self._sources.text(file)
        except UnreadableError as fault:
            mistakes.append(Mistake(draft.place("task", "file"), f"{file} {fault}", fault.cure))

    def _schema_file(self, draft: Draft, file: str, mistakes: list[Mistake]) -> None:
        where = draft.place("output", "schema")
        try:
            text = self._sources.text(file)
        except UnreadableError as fault:
            mistakes.append(Mistake(where, f"{file} {fault}", fault.cure))
            return
        if not file.endswith(".json"):
            document = read_yaml(text.encode(), self._sources.shown(file), self._limits)
            self.problems += document.problems
            draft.form["output"]["schema"] = document.value if document.whole else True
            return
        try:
            draft.form["output"]["schema"] = loads(text)
        except JSONError as error:
            mistakes.append(Mistake((), error.msg, "write JSON", inside=(error.lineno, error.colno), file=file))

    def _included(self, draft: Draft, mistakes: list[Mistake]) -> None:
        """Read the texts that the step's templates include or read, and those that these include."""
        form = draft.form
        sources = [
            form.get("task"),
            form.get("stdin"),
            form.get("when"),
            *form.get("args", ()),
            *form.get("env", {}).values(),
        ]
        pending = [source for source in sources if source is not None and _may_name_texts(source)]
        while pending:
            for name in template_texts(pending.pop()):
                key = text_key(name)
                if key is None or key in self._texts:
                    continue
                try:
                    self._texts[key] = self._sources.text(key)
                    pending.append(self._texts[key])
                except UnreadableError as fault:
                    mistakes.append(Mistake(("steps", draft.index), f"{key} {fault}", fault.cure))

    def _report(self, document: Document, mistakes: Iterable[Mistake]) -> None:
        for mistake in mistakes:
            self.problems.append(self._problem(document, mistake))

    def _problem(self, document: Document, mistake: Mistake) -> Problem:
        where, what, cure = mistake.where, mistake.what, mistake.cure
        if mistake.inside is None:
            return document.problem(where, what, cure, at_key=mistake.at_key)
        if mistake.file:
            line, column = mistake.inside
            source = source_line(self._sources.text(mistake.file), line, column)
            return Problem(self._sources.shown(mistake.file), line, column, spell(where), what, cure, source)
        return document.problem_inside(where, *mistake.inside, what, cure)


def _may_name_texts(source: str) -> bool:
    return "{%" in source or "files" in source


def _params_are_broken(found: Salvaged) -> bool:
    return any(mistake.where[:1] == ("params",) for mistake in found.mistakes)
