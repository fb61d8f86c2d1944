"""The vocabulary of a workflow file: every key that may stand in it, and the type of its value.

`glink.project` validates files by these models, `glink.loading.schema` prints them as JSON Schema for editors. A key that is
not here is an error: nothing is ignored. Keys beginning with `x-` are free, at the top and in steps.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema
from pydantic_core import PydanticCustomError

from glink.loading.duration import Duration

STEP_ID: Final = re.compile(r"0|[1-9][0-9]{0,17}|[A-Za-z][A-Za-z0-9_-]{0,62}")
AGENT_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
PARAM_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
VARIABLE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_DEEP_STARS: Final = 3
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


class Strict(BaseModel):
    """No conversions, no unknown keys, no infinities, and no input in error texts."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        protected_namespaces=(),
    )


def complaint(what: str, cure: str) -> PydanticCustomError:
    """An error of a validator, with what to write instead."""
    return PydanticCustomError("cure", "{what}", {"what": what, "cure": cure})


def step_id(written: Any) -> str:
    """The id of a step as text: 1 and "1" are the same."""
    if isinstance(written, str) and STEP_ID.fullmatch(written):
        return written
    if isinstance(written, int) and not isinstance(written, bool) and written >= 0:
        return str(written)
    cure = "write a whole number from 0 on, or a letter followed by letters, digits, _ and - (63 at most)"
    raise complaint("is not the id of a step", cure)


def _fitting(pattern: re.Pattern[str], what: str, cure: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise complaint(what, cure)
        return text

    return AfterValidator(check)


def _has_hidden(text: str) -> bool:
    # What is printable has nothing hidden; the rest may hold a space of another kind, or a character yet to be assigned.
    return not text.isprintable() and any(unicodedata.category(character) in _HIDDEN for character in text)


def _visible(text: str) -> str:
    if not text.strip() or _has_hidden(text):
        raise complaint("is empty or has invisible characters", "write it with visible characters on one line")
    return text


def relative_path(text: str) -> str:
    """A path or glob that stays below the folder that it is relative to; `/_shared/…` is the same as `_shared/…`."""
    text = text.removeprefix("/") if text.startswith("/_shared/") else text
    parts = text.split("/")
    if (
        not text
        or len(text) > 512
        or any(part in ("", ".", "..") for part in parts)
        or "\\" in text
        or _has_hidden(text)
    ):
        raise complaint("is not a path inside the project", "write it relative to the project's folder, without ..")
    return text


def _input_glob(text: str) -> str:
    if text.split("/").count("**") > _DEEP_STARS:
        raise complaint(f"has more than {_DEEP_STARS} `**`", "name the folders")
    return text


def _text_or(tag: str) -> Discriminator:
    # Tags in <> are choices of pydantic's, no places in the document.
    return Discriminator(lambda value: tag if isinstance(value, dict) else "<text>")


StepId = Annotated[
    str,
    BeforeValidator(step_id),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": f"^({STEP_ID.pattern})$"}]}
    ),
]
Title = Annotated[str, Field(max_length=200), AfterValidator(_visible)]
AgentName = Annotated[
    str, _fitting(AGENT_NAME, "is not a name of an agent", "write letters, digits, ., _ and - (63 at most)")
]
ParamName = Annotated[
    str, _fitting(PARAM_NAME, "is not a name of a parameter", "write letters, digits and _, no digit first")
]
VariableName = Annotated[
    str, _fitting(VARIABLE_NAME, "is not a name of a variable", "write letters, digits and _, no digit first")
]
RelativePath = Annotated[str, AfterValidator(relative_path)]
InputGlob = Annotated[RelativePath, AfterValidator(_input_glob)]
TriedAgain = Literal["transient", "timeout", "lost", "invalid_output", "agent_failed", "internal"]


class Retry(Strict):
    """How often and when a failed step is tried again."""

    attempts: int | None = Field(None, ge=1, le=100, description="tries in all, the first included")
    delay: Duration | None = Field(None, description="before the second try")
    factor: float | None = Field(None, ge=1, le=100, strict=False, description="each further delay is so much longer")
    max_delay: Duration | None = None
    jitter: bool | None = Field(None, description="a random part of the delay instead of all of it")
    on: list[TriedAgain] | None = Field(None, description="the classes of errors that are tried again")


class Timeout(Strict):
    """Bounds of one attempt; of `queue`, the wait for the agent before it."""

    run: Duration | None = None
    idle: Duration | None = Field(None, description="without a sign of life")
    queue: Duration | None = None


class TextFile(Strict):
    """A text that stands in a file of its own."""

    file: RelativePath


class Run(Strict):
    """A script and the interpreter, declared in the configuration, that runs it."""

    file: RelativePath | None = None
    text: Annotated[str, Field(min_length=1)] | None = None
    with_: AgentName = Field(alias="with", description="the name of an interpreter under `commands:`")


class Output(Strict):
    """The shape that the answer must have."""

    format: Literal["text", "json"] | None = None
    schema_: (
        Annotated[
            Annotated[RelativePath, Tag("<text>")] | Annotated[dict[str, Any], Tag("<schema>")],
            _text_or("<schema>"),
        ]
        | None
    ) = Field(None, alias="schema", description="JSON Schema, or the path of a file with one")
    reask: int | None = Field(None, ge=0, le=10, description="asked again with the errors, so many times")


OnChange = Literal["run", "hold", "keep"]
TimeoutValue = Annotated[
    Annotated[Duration, Tag("<text>")] | Annotated[Timeout, Tag("<each>")],
    _text_or("<each>"),
]
TaskValue = Annotated[
    Annotated[str, Field(min_length=1), Tag("<text>")] | Annotated[TextFile, Tag("<file>")],
    _text_or("<file>"),
]


class Defaults(Strict):
    """What every step has unless it says otherwise."""

    name: Title | None = None
    agent: AgentName | None = None
    args: list[str] | None = Field(None, max_length=1_000)
    env: dict[VariableName, str] | None = None
    stdin: str | None = Field(None, description="with `run`: the script's standard input")
    join: Literal["all_success", "none_failed", "one_success", "all_done"] | None = None
    when: Annotated[str, Field(min_length=1)] | None = Field(None, description="an expression; false skips the step")
    inputs: list[InputGlob] | None = Field(None, max_length=1_000, description="files whose content counts")
    artifacts: list[RelativePath] | None = Field(None, max_length=1_000, description="files that the step makes")
    output: Output | None = None
    retry: Retry | None = None
    timeout: TimeoutValue | None = Field(None, description="one duration is `run`")
    reuse: bool | None = Field(None, description="whether earlier answers may be used again")
    side_effects: bool | None = None
    allow_failure: bool | None = None
    context: Literal["all", "none"] | None = Field(None, description="which answers are handed over beside the task")
    with_: dict[str, str | int | float | bool] | None = Field(
        None, alias="with", description="what the agent's `allow:` lets a step choose"
    )
    on_change: OnChange | None = None


class StepEntry(Defaults):
    """One step."""

    step: StepId
    task: TaskValue | None = Field(None, description="the text handed to the agent, a template")
    run: Run | None = None
    after: list[StepId] | None = Field(None, max_length=10_000, description="left out: the step before, see `mode`")


class Parameter(Strict):
    """One parameter of the workflow in its long form."""

    type: Literal["string", "integer", "number", "boolean", "array", "object"] | None = None
    default: Any = None
    enum: list[str | int | float | bool] | None = Field(None, min_length=1, max_length=1_000)
    minimum: int | float | None = None
    pattern: str | None = Field(None, description="RE2, the whole text")
    required: bool | None = None
    description: str | None = None


ParameterValue = Annotated[
    Annotated[str | int | float | bool | list[Any], Tag("<default>")] | Annotated[Parameter, Tag("<long>")],
    Discriminator(lambda value: "<long>" if isinstance(value, dict) else "<default>"),
]


class WorkflowFile(Strict):
    """A whole workflow."""

    name: Title | None = Field(None, description="title; the project's name is its path")
    description: str | None = None
    labels: dict[Title, str] | None = Field(None, max_length=100)
    mode: Literal["sequential", "parallel"] | None = Field(None, description="what an omitted `after` means")
    params: dict[ParamName, ParameterValue] | None = Field(None, max_length=1_000)
    defaults: Defaults | None = None
    on_change: OnChange | None = Field(None, description="what an edit does to finished steps")
    suspend: bool | None = None
    steps: list[StepEntry]
