"""The desired state of one project: its workflow, with every text that belongs to it.

A `Workflow` is built from its *canonical* form alone (`Workflow.of`), a plain JSON value that the loader makes
from YAML and that the bus keeps as a blob. So what runs after a restart is what was read, byte for byte.

Canonical form (absent keys mean the default; every list in file order except where a digest sorts it):

    {"v": 1, "project": "hello", "name": ..., "description": ..., "labels": {...},
     "params": {"city": {"default": "Shanghai", "type": "string", ...}},
     "on_change": "run", "suspend": false, "concurrency": 4,
     "steps": [{"id": "2", "agent": "code-agent", "task": "...", "after": ["1"], "implied": true, ...}],
     "texts": {"_shared/style.md": "...", "prompts/two.md": "..."},
     "files": {"data/a.csv": "<sha256>", "make_card.py": "<sha256>"}}

`texts` holds what templates include or read; `files` the digests of scripts and inputs, whose bytes are blobs.
Paths in both are relative to the project's folder; a path in `_shared/` begins with `_shared/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Final, NamedTuple

from glink import digest
from glink.graph import Graph
from glink.jsontext import canonical

# Of all steps: read, never written.
_NOTHING: Final[Mapping[str, Any]] = {}


class OnChange(StrEnum):
    """What an edit does to a step that is done."""

    RUN = "run"
    HOLD = "hold"
    KEEP = "keep"


class Join(StrEnum):
    """Which ends of the steps in `after` let a step start."""

    ALL_SUCCESS = "all_success"
    NONE_FAILED = "none_failed"
    ONE_SUCCESS = "one_success"
    ALL_DONE = "all_done"


@dataclass(frozen=True, slots=True)
class Output:
    """The shape an answer must have. `schema` is a JSON Schema; None accepts any JSON."""

    format: str = "text"
    schema: Any = None
    reask: int = 0


@dataclass(frozen=True, slots=True)
class Script:
    """A `run:` step's program: `file` (relative to the project) or inline `text`, run by interpreter `using`."""

    using: str
    file: str | None = None
    text: str | None = None


class Step(NamedTuple):
    """One unit of a workflow, defaults of the file applied. A tuple, for it is made by the thousand with many fields.

    `retry` and `timeout` hold only what the file says; the agent's and the built-in defaults fill the rest.
    `timeout` is {"run"|"idle"|"queue": seconds}; `retry` has attempts, delay, factor, max_delay, jitter, on.
    Exactly one of (`agent`, `task`) and `run` is set. `agent` of a `run:` step is None.
    """

    id: str
    name: str | None = None
    agent: str | None = None
    task: str | None = None
    run: Script | None = None
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = _NOTHING
    stdin: str | None = None
    after: tuple[str, ...] = ()
    implied: bool = False
    join: Join = Join.ALL_SUCCESS
    when: str | None = None
    inputs: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()
    output: Output = Output()
    retry: Mapping[str, Any] = _NOTHING
    timeout: Mapping[str, float] = _NOTHING
    reuse: bool = True
    side_effects: bool = False
    allow_failure: bool = False
    context: str = "auto"
    with_: Mapping[str, Any] = _NOTHING
    on_change: OnChange = OnChange.RUN
    definition: str = ""

    @property
    def templates(self) -> tuple[str, ...]:
        """Every template of the step, task first: what may name other steps."""
        first = (self.task,) if self.task is not None else ()
        last = (self.stdin,) if self.stdin is not None else ()
        return (*first, *self.args, *self.env.values(), *last)

    @classmethod
    def of(cls, source: Mapping[str, Any], texts: Mapping[str, str], files: Mapping[str, str]) -> Step:
        """A step from its canonical form; see the module's docstring."""
        values = dict(source)
        if (run := values.get("run")) is not None:
            values["run"] = Script(**run)
        if (output := values.get("output")) is not None:
            values["output"] = Output(**output)
        for key in ("args", "after", "inputs", "artifacts"):
            if key in values:
                values[key] = tuple(values[key])
        if "with" in values:
            values["with_"] = values.pop("with")
        if "join" in values:
            values["join"] = Join(values["join"])
        if "on_change" in values:
            values["on_change"] = OnChange(values["on_change"])
        return cls(**values, definition=_definition(source, texts, files))


_DEFINING = frozenset(
    ("agent", "task", "run", "args", "env", "stdin", "when", "inputs", "artifacts", "output", "context", "with")
)


def _definition(source: Mapping[str, Any], texts: Mapping[str, str], files: Mapping[str, str]) -> str:
    """Digest of all that an edit of this step's own text or files can change (not what other steps answer)."""
    own: dict[str, Any] = {key: value for key, value in source.items() if key in _DEFINING}
    if texts:
        named = [*(source.get(key) or "" for key in ("task", "stdin", "when")), *source.get("args", ())]
        if used := _texts_named("\n".join([*named, *source.get("env", {}).values()]), texts):
            own["texts"] = used
    if files and (source.get("run") or source.get("inputs")):
        own["files"] = files_of(source, files)
    return digest.brief(canonical(own))


def _texts_named(whole: str, texts: Mapping[str, str]) -> dict[str, str]:
    """The texts that are named in a text, and those that these name in their turn."""
    used: dict[str, str] = {}
    fresh = {path: text for path, text in texts.items() if path.removeprefix("_shared/") in whole}
    while fresh:
        used |= fresh
        whole = "\n".join(fresh.values())
        left = texts.keys() - used.keys()
        fresh = {path: texts[path] for path in sorted(left) if path.removeprefix("_shared/") in whole}
    return used


def files_of(source: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, str]:
    """The project's files that a canonical step uses: its script and what its `inputs` globs match."""
    used = {path: sha for path, sha in files.items() if any(matches(path, glob) for glob in source.get("inputs", ()))}
    script = (source.get("run") or {}).get("file")
    if script:
        used[script] = files[script]
    return used


def matches(path: str, glob: str) -> bool:
    """Whether a relative path matches a glob: `*` and `?` within one folder, `**` over any number of folders."""
    return _matches(path.split("/"), glob.split("/"))


def _matches(parts: list[str], globs: list[str]) -> bool:
    from fnmatch import fnmatchcase

    if not globs:
        return not parts
    if globs[0] == "**":
        return any(_matches(parts[skipped:], globs[1:]) for skipped in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], globs[0]) and _matches(parts[1:], globs[1:])


@dataclass(frozen=True)
class Workflow:
    """One project's desired state. `digest` names the blob with its canonical form (the content)."""

    project: str
    digest: str
    canonical: Mapping[str, Any]
    graph: Graph
    name: str | None = None
    suspend: bool = False
    concurrency: int | None = None

    @classmethod
    def of(cls, source: Mapping[str, Any], digest_: str | None = None) -> Workflow:
        """The workflow of a canonical form; raises CycleError of `glink.graph` when `after` makes a circle."""
        return cls(
            project=source["project"],
            digest=digest_ or digest.of_bytes(canonical(source)),
            canonical=source,
            graph=Graph({step["id"]: step.get("after", ()) for step in source["steps"]}),
            name=source.get("name"),
            suspend=source.get("suspend", False),
            concurrency=source.get("concurrency"),
        )

    @cached_property
    def steps(self) -> Mapping[str, Step]:
        """Every step by its id, in file order; made when it is asked for, which a mere validation does not."""
        return {step["id"]: Step.of(step, self.texts, self.files) for step in self.canonical["steps"]}

    @cached_property
    def texts(self) -> Mapping[str, str]:
        """Texts that templates may include or read by `files[PATH]`."""
        texts: Mapping[str, str] = self.canonical.get("texts", {})
        return texts

    @cached_property
    def files(self) -> Mapping[str, str]:
        """Relative path -> sha256 of every script and input."""
        files: Mapping[str, str] = self.canonical.get("files", {})
        return files

    @cached_property
    def params(self) -> Mapping[str, Mapping[str, Any]]:
        """Declared parameters: name -> {"type"?, "default"?, "enum"?, "pattern"?, "minimum"?, "required"?...}."""
        params: Mapping[str, Mapping[str, Any]] = self.canonical.get("params", {})
        return params

    @cached_property
    def labels(self) -> Mapping[str, str]:
        labels: Mapping[str, str] = self.canonical.get("labels", {})
        return labels
