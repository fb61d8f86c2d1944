"""What the events of one project fold to.

Changed by `glink.fold` alone, for its one owner (the conductor, or a reader of the bus). Nothing here knows the
workflow: what a step *should* be is the plan's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from glink import digest
from glink.jsontext import canonical, compact, loads

NOTHING: Final[Mapping[str, Any]] = {}
"""Of all answers without files or usage: read, never written."""


@dataclass(slots=True)
class Answer:
    """A committed answer. `output` is text or a JSON value, None when the body is the blob `blob` (`json` tells which).

    `digest` is over text or canonical JSON and the sorted artifacts; `fence` the dispatch that earned it, `seq` the commit.
    `displaced` is when another answer took its place; "" while it stands.
    """

    fence: int
    seq: int
    time: str
    run: int
    generation: int
    definition: str
    fingerprint: dict[str, str]
    key: str
    digest: str
    output: Any = None
    blob: str | None = None
    json: bool = False
    artifacts: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    usage: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    seconds: float = 0.0
    displaced: str = ""


@dataclass(slots=True)
class Lapse:
    """The newest failure of a step, as far as no success came after it."""

    seq: int
    fence: int
    time: str
    cls: str
    code: str
    message: str
    key: str
    floor: int
    attempt: int
    reask: int
    retry: bool = False
    retry_at: float | None = None


@dataclass(slots=True)
class Offer:
    """A step that waits for a worker to claim it, with what it will be dispatched as. `seq` is the offer's event."""

    seq: int
    time: str
    run: int
    attempt: int
    reask: int
    reason: str
    agent: str
    generation: int
    definition: str
    fingerprint: dict[str, str]
    key: str
    floor: int


@dataclass(slots=True)
class StepState:
    """One step's history, as far as a decision needs it. `fence` is 0 unless an attempt is in flight.

    `worker` names who claimed it; "" when the engine gave it away itself. `given` is the event that holds what it was
    given: of the dispatch, or of the offer.
    `ended` is when it last came to an end, whatever end; `asked` when a person last asked for it by name.
    """

    fence: int = 0
    given: int = 0
    worker: str = ""
    offer: Offer | None = None
    attempt: int = 0
    reask: int = 0
    reason: str = ""
    dispatched: str = ""
    run: int = 0
    generation: int = 0
    definition: str = ""
    fingerprint: dict[str, str] = field(default_factory=dict)
    key: str = ""
    tried_floor: int = 0
    agent: str = ""
    answer: Answer | None = None
    restored: bool = False
    answers: dict[str, Answer] = field(default_factory=dict)
    lapse: Lapse | None = None
    floor: int = 0
    skipped: str | None = None
    skip_seq: int = 0
    held: str | None = None
    cancelled: tuple[int, int] | None = None
    parked: str | None = None
    spent: tuple[str, int] = ("", 0)
    lost: int = 0
    ended: str = ""
    asked: str = ""


@dataclass(slots=True)
class Run:
    """The run that is open. `floor` is 0 for a run that an edit began."""

    number: int
    opened: str
    floor: int = 0
    force: bool = False
    cause: str = "edit"


@dataclass(slots=True)
class Settled:
    """The newest run that ended."""

    number: int
    seq: int
    time: str
    status: str
    revision: str
    generation: int


@dataclass(slots=True)
class Key:
    """What was answered to a request that carried an idempotency key: the digest of its body, the run or seq it came to."""

    body: str
    time: str
    run: int


@dataclass(slots=True)
class ProjectState:
    """All that Glink knows of one project; `seq` is the last record folded.

    `submitted`: what is wanted came by a submission, not from files; `replaced`: files took its place since.
    `contents` and `revisions` say for a generation what it holds and where it came from; `requested` is the newest request;
    `suspensions` are the newest spans [from, until] in seconds since 1970, until None for one that lasts.
    """

    project: str
    seq: int = 0
    generation: int = 0
    content: str = ""
    contents: dict[str, str] = field(default_factory=dict)
    revisions: dict[str, str] = field(default_factory=dict)
    sources: str = ""
    revision: str = ""
    changed: str = ""
    declared_params: str = ""
    released: int = 0
    suspended: bool = False
    suspensions: list[list[float | None]] = field(default_factory=list)
    orphaned: bool = False
    submitted: bool = False
    replaced: bool = False
    deleted: bool = False
    runs: int = 0
    run: Run | None = None
    settled: Settled | None = None
    queue: list[dict[str, Any]] = field(default_factory=list)
    requested: dict[str, Any] | None = None
    params: dict[str, Any] = field(default_factory=dict)
    params_overridden: bool = False
    steps: dict[str, StepState] = field(default_factory=dict)
    notes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    ignored: int = 0

    def step(self, name: str) -> StepState:
        """The state of a step, made when it is not there yet."""
        found = self.steps.get(name)
        if found is None:
            found = self.steps[name] = StepState()
        return found

    def packed(self) -> bytes:
        """JSON bytes for a checkpoint."""
        return compact(self)

    @classmethod
    def unpacked(cls, payload: bytes) -> ProjectState:
        """The inverse of `packed`; raises ValueError, TypeError or KeyError for what is no such payload."""
        return cls.of(loads(payload))

    @classmethod
    def of(cls, values: dict[str, Any]) -> ProjectState:
        """A state from JSON values, which are used up; raises as `unpacked`."""
        values["run"] = Run(**values["run"]) if values["run"] else None
        values["settled"] = Settled(**values["settled"]) if values["settled"] else None
        values["keys"] = {name: Key(**key) for name, key in values["keys"].items()}
        known: dict[str, str] = {}
        values["steps"] = {name: _step_of(step, known) for name, step in values["steps"].items()}
        return cls(**values)

    def become(self, other: ProjectState) -> None:
        """Take over all that the other knows, which is then this one's."""
        for one in fields(ProjectState):
            setattr(self, one.name, getattr(other, one.name))

    def forget_answers(self, before: str) -> None:
        """Let go of answers that another one has displaced before that time; what stands is kept for ever."""
        for step in self.steps.values():
            for key, answer in list(step.answers.items()):
                if answer is not step.answer and answer.displaced and answer.displaced < before:
                    del step.answers[key]


_ALIKE = frozenset(("agent", "profile"))  # parts of a fingerprint that many steps have in common


def _step_of(values: dict[str, Any], known: dict[str, str]) -> StepState:
    """`known` holds texts that were met before in the project: equal ones are kept once, as they were when folded."""
    answers: dict[str, Answer] = {}
    for one in values["answers"].values():
        fingerprint = one["fingerprint"]
        for part in _ALIKE & fingerprint.keys():
            fingerprint[part] = known.setdefault(fingerprint[part], fingerprint[part])
        answers[one["key"]] = _answer_of(one)
    standing = values["answer"]
    if standing is not None:
        same = answers.get(standing["key"])
        answer = same if same is not None and same.seq == standing["seq"] else _answer_of(standing)
        values["answer"] = answer
        if values["fingerprint"] == answer.fingerprint and values["key"] == answer.key:
            values["fingerprint"], values["key"] = answer.fingerprint, answer.key
        if values["definition"] == answer.definition:
            values["definition"] = answer.definition
        if values["ended"] == answer.time:
            values["ended"] = answer.time
    values["agent"] = known.setdefault(values["agent"], values["agent"])
    values["reason"] = known.setdefault(values["reason"], values["reason"])
    values["answers"] = answers
    values["offer"] = Offer(**values["offer"]) if values["offer"] else None
    values["lapse"] = Lapse(**values["lapse"]) if values["lapse"] else None
    values["cancelled"] = tuple(values["cancelled"]) if values["cancelled"] else None
    values["spent"] = tuple(values["spent"])
    return StepState(**values)


def _answer_of(values: dict[str, Any]) -> Answer:
    for part in ("artifacts", "usage"):
        values[part] = values[part] or NOTHING
    return Answer(**values)


def fingerprint_key(parts: Mapping[str, str]) -> str:
    """The name under which an answer is kept for reuse: all parts but the agent's profile (`on_agent_change: keep`)."""
    return digest.brief(canonical({part: value for part, value in parts.items() if part != "profile"}))
