"""From a validated workflow file to the canonical form of its steps (see `glink.workflow`). Pure.

Called by `glink.project`. Here the file's `defaults` meet its steps (the step wins; `retry`, `timeout`, `env` and `with`
are joined key by key), an omitted `after` gets its meaning, and whatever equals the default is left out, so that two
spellings of one thing have one digest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from glink.loading.document import Path
from glink.loading.mistakes import Mistake
from glink.loading.vocabulary import Defaults, Retry, Run, StepEntry, Timeout, WorkflowFile

_PLAIN: Final = frozenset({"name", "agent", "args", "stdin", "when", "inputs", "artifacts", "context"})
_MERGED: Final = frozenset({"env", "with_"})
_TIMED: Final = frozenset({"retry", "timeout"})
_NO_DEFAULTS: Final = Defaults()
# What belongs to a script alone, and to an agent alone.
_SCRIPT_ONLY: Final = ("args", "stdin")
_AGENT_ONLY: Final = ("agent", "with_")


@dataclass(slots=True)
class Draft:
    """One step on its way: `index` is its place in the file, `form` its canonical form as far as it is known.

    `task_file` and `schema_file` are texts still to be read. `broken` names keys that are wrong already, so that
    nothing more is said about what follows from them.
    """

    index: int
    id: str
    entry: StepEntry
    form: dict[str, Any]
    task_file: str | None = None
    schema_file: str | None = None
    broken: frozenset[str] = frozenset()
    mistakes: list[Mistake] = field(default_factory=list)

    def place(self, *key: str | int) -> Path:
        """Where a value of the step stands in the file: in the step, or in `defaults`."""
        written = getattr(self.entry, "with_" if key[0] == "with" else str(key[0]))
        if key[0] in ("env", "with") and len(key) > 1 and key[1] not in (written or {}):
            written = None
        if written is None and key[0] != "after":
            return ("defaults", *key)
        return ("steps", self.index, *key)

    def wrong(self, key: str, what: str, cure: str) -> None:
        """Note a mistake at a key of the step."""
        self.mistakes.append(Mistake(("steps", self.index, key), what, cure))


def drafts(file: WorkflowFile, entries: Sequence[tuple[int, StepEntry, frozenset[str]]]) -> list[Draft]:
    """Every step as a draft; `entries` are (place in the file, step, its broken keys)."""
    defaults = file.defaults or _NO_DEFAULTS
    follows = file.mode != "parallel"
    made: list[Draft] = []
    for index, entry, broken in entries:
        draft = Draft(index, entry.step, entry, {"id": entry.step}, broken=broken)
        _order(draft, made[-1].id if made and follows else None)
        _values(draft, defaults)
        _deed(draft)
        _policy(draft, defaults, file.on_change)
        made.append(draft)
    return made


def _order(draft: Draft, previous: str | None) -> None:
    entry, form = draft.entry, draft.form
    join = entry.join
    if entry.after is not None:
        if entry.after:
            form["after"] = list(dict.fromkeys(entry.after))
    elif previous is not None and "after" not in draft.broken:
        form["after"], form["implied"] = [previous], True
        join = join or "none_failed"
    if join is not None and join != "all_success":
        form["join"] = join


def _values(draft: Draft, defaults: Defaults) -> None:
    """What stands in the file; most steps write few of the many keys, so only these are looked at."""
    entry, form = draft.entry, draft.form
    for key in entry.model_fields_set | defaults.model_fields_set:
        if key in _PLAIN:
            value = getattr(entry, key)
            if value is None:
                value = getattr(defaults, key)
            if value is not None and value != []:
                form[key] = value
        elif key in _MERGED:
            own, general = getattr(entry, key), getattr(defaults, key)
            if own or general:
                form[key.rstrip("_")] = {**general, **(own or {})} if general else own
        elif key in _TIMED:
            own, general = getattr(entry, key), getattr(defaults, key)
            if joined := written(own) if general is None else {**written(general), **written(own)}:
                form[key] = joined
        elif key == "output":
            _output(draft, defaults)


def written(value: Retry | Timeout | float | None) -> dict[str, Any]:
    """The keys of `retry:` or `timeout:` that were written, in seconds; one duration is the time-out `run`."""
    if value is None:
        return {}
    if isinstance(value, float):
        return {"run": value}
    return {key: found for key, found in vars(value).items() if found is not None}


def _output(draft: Draft, defaults: Defaults) -> None:
    output = draft.entry.output or defaults.output
    if output is None:
        return
    schema = output.schema_
    form: dict[str, Any] = {}
    if output.format == "json" or (output.format is None and schema is not None):
        form["format"] = "json"
    elif schema is not None:
        draft.wrong("output", "a schema needs format: json", "write format: json, or remove the schema")
    if isinstance(schema, str):
        draft.schema_file = schema
    elif schema is not None:
        form["schema"] = schema
    if output.reask:
        form["reask"] = output.reask
    if form:
        draft.form["output"] = form


def _deed(draft: Draft) -> None:
    """What the step does: an agent's task, or a script."""
    entry, form, broken = draft.entry, draft.form, draft.broken
    if entry.run is not None:
        for key in _AGENT_ONLY:
            name = key.rstrip("_")
            form.pop(name, None)
            if getattr(entry, key) is not None:
                draft.wrong(name, f"`{name}` does not go with `run`", f"remove `{name}`, or `run`")
        if entry.task is not None:
            draft.wrong("task", "`task` does not go with `run`", "keep one of the two")
        _script(draft, entry.run)
        return
    for key in _SCRIPT_ONLY:
        form.pop(key, None)
        if getattr(entry, key) is not None and "run" not in broken:
            draft.wrong(key, f"`{key}` needs `run`", f"remove `{key}`: an agent gets its task")
    if isinstance(entry.task, str):
        form["task"] = entry.task
    elif entry.task is not None:
        draft.task_file = entry.task.file
    elif not broken & {"task", "run"}:
        draft.wrong("task", "has neither `task` nor `run`", "add `task:` with what the agent is to do")
    if "agent" not in form and not broken & {"agent", "task", "run"} and entry.task is not None:
        draft.wrong("agent", "has no agent", "add `agent:`, here or under `defaults:`")


def _script(draft: Draft, run: Run) -> None:
    if (run.file is None) == (run.text is None):
        draft.wrong("run", "needs either `file` or `text`", "write one of the two")
        return
    draft.form["run"] = {"using": run.with_, **({"file": run.file} if run.file else {"text": run.text})}


def _policy(draft: Draft, defaults: Defaults, on_change: str | None) -> None:
    entry, form = draft.entry, draft.form
    side_effects = defaults.side_effects if entry.side_effects is None else entry.side_effects
    reuse = entry.reuse
    change: str | None = entry.on_change
    if side_effects:
        form["side_effects"] = True
        reuse = reuse or False
        change = change or "hold"
    elif reuse is None:
        reuse = defaults.reuse
    change = change or defaults.on_change or on_change or "run"
    if reuse is False:
        form["reuse"] = False
    if change != "run":
        form["on_change"] = change
    if defaults.allow_failure if entry.allow_failure is None else entry.allow_failure:
        form["allow_failure"] = True


def head(file: WorkflowFile, project: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The canonical form of all but steps, texts and files."""
    form: dict[str, Any] = {"v": 1, "project": project}
    for key in ("name", "description", "labels"):
        if value := getattr(file, key):
            form[key] = value
    if params:
        form["params"] = params
    if file.on_change not in (None, "run"):
        form["on_change"] = file.on_change
    if file.suspend:
        form["suspend"] = True
    return form
