"""The operator's settings: `glink-config.yaml`, read once.

Called by `glink.app` and by every verb. Flags beat `GLINK_*` variables, which beat the file, which beats the defaults.
The file decides what may be run on this machine, so it is refused where others could have written it.
"""

from __future__ import annotations

import dataclasses
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError

from glink import digest
from glink.document import Document
from glink.duration import Duration
from glink.errors import InvalidInput, Problem
from glink.folder import Folder, UnreadableError
from glink.jsontext import canonical
from glink.limits import Limits
from glink.mistakes import Mistake, mistakes, unknown
from glink.roster import AgentSpec, CommandSpec
from glink.vocabulary import AgentName, Retry, Strict, Timeout, TimeoutValue, VariableName
from glink.yamltext import read_yaml

FILE_NAME: Final = "glink-config.yaml"
_LIMITS: Final = Limits()
_SECRET_CHARACTERS: Final = 8
_SECRET_NAME: Final = re.compile(r"(?:^|_)(?:\w*KEY|\w*TOKEN|\w*SECRET|\w*PASSWORD|PASS|\w*PASSPHRASE|\w*CREDENTIALS?)$")
# These keys of a kind do not decide what it answers.
_NO_PROFILE: Final = frozenset({"exit_record"})

ProjectGlobs = Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=1_000)]
Port = Annotated[int, Field(ge=0, le=65_535)]


class ServerKeys(Strict):
    host: Annotated[str, Field(min_length=1, max_length=255)] = "127.0.0.1"
    port: Port = 8426


class BusKeys(Strict):
    dir: Annotated[str, Field(min_length=1)] = "bus"
    retention_days: int = Field(30, ge=1, le=36_500)


class WorkKeys(Strict):
    dir: Annotated[str, Field(min_length=1)] | None = None


class ReporterKeys(Strict):
    type: Literal["console"]


class AgentKeys(Strict):
    """What every kind of agent has; the kind adds keys of its own."""

    type: str
    env: list[VariableName] = []
    allow: dict[str, Annotated[list[str | int | float | bool], Field(min_length=1)]] = {}
    concurrency: int | None = Field(None, ge=1, le=10_000)
    retry: Retry | None = None
    timeout: TimeoutValue | None = None
    projects: ProjectGlobs = ["*"]


class CommandKeys(Strict):
    exec: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
    projects: ProjectGlobs = ["*"]
    env: list[VariableName] = []
    exit_record: bool = False


class ConfigFile(Strict):
    """The whole file. Agents are looked at one by one, since their kinds say what they may have."""

    engine: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")] | None = None
    server: ServerKeys = ServerKeys()
    bus: BusKeys = BusKeys()
    work: WorkKeys = WorkKeys()
    reporting: list[ReporterKeys] = [ReporterKeys(type="console")]
    agents: dict[AgentName, dict[str, Any]] = {}
    commands: dict[AgentName, CommandKeys] = {}
    concurrency: int = Field(_LIMITS.concurrency, ge=1, le=10_000)
    undeclared_agents: Literal["error", "pull"] = "error"
    limits: dict[str, Annotated[float, Field(gt=0, strict=False)]] = {}


@dataclass(frozen=True, slots=True)
class Config:
    """The settings in force. `path` is the file, None without one; `base` is what its relative paths start from.

    `secrets` are values of declared variables that look like secrets: whoever writes text down replaces them.
    """

    path: Path | None
    base: Path
    engine: str | None
    projects_dir: Path
    bus_dir: Path
    work_dir: Path
    retention_days: int
    host: str
    port: int
    reporting: tuple[Mapping[str, Any], ...]
    agents: Mapping[str, AgentSpec]
    commands: Mapping[str, CommandSpec]
    concurrency: int
    undeclared_agents: Literal["error", "pull"]
    limits: Limits
    secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line says; None where it says nothing."""

    projects_dir: Path | None = None
    bus_dir: Path | None = None
    work_dir: Path | None = None
    host: str | None = None
    port: int | None = None
    engine: str | None = None


_NO_FLAGS: Final = Flags()


def load_config(
    path: Path | None,
    *,
    environ: Mapping[str, str],
    folder: Path,
    projects_dir: Path | None = None,
    bus_dir: Path | None = None,
) -> Config:
    """The settings: of the file `path`, or of `glink-config.yaml` in `folder`, or the defaults where there is none.

    Raises InvalidInput with everything that is wrong.
    """
