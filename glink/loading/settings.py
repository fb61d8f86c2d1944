"""The vocabulary of `glink-config.yaml`: every key that may stand in it, and the type of its value.

`glink.config` validates the file by these models. The keys that belong to one kind of agent are the kind's own.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from glink.loading.duration import Duration
from glink.loading.vocabulary import AGENT_NAME, AgentName, Retry, Strict, TimeoutValue, VariableName, complaint
from glink.permit import Scope

ProjectGlobs = Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=1_000)]
Port = Annotated[int, Field(ge=0, le=65_535)]


HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,253}$")]


class ServerKeys(Strict):
    host: Annotated[str, Field(min_length=1, max_length=255)] = "127.0.0.1"
    port: Port = 8426
    auth: Literal["token", "none"] = "token"
    behind_proxy: bool = False
    hosts: Annotated[list[HostName], Field(max_length=100)] = Field(default_factory=list)


_WORDS = frozenset(Scope) - {Scope.OPEN}


def _word(written: str) -> str:
    word, colon, agent = written.partition(":")
    fits = AGENT_NAME.fullmatch(agent) or agent == "*" if word == Scope.WORK else not colon
    if word not in _WORDS or not fits:
        raise complaint("is nothing that a token may do", "write read, write, control or work:AGENT")
    return written


class TokenKeys(Strict):
    name: AgentName
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    may: Annotated[list[Annotated[str, AfterValidator(_word)]], Field(min_length=1, max_length=100)]
    projects: ProjectGlobs = Field(default_factory=lambda: ["*"])


class BusKeys(Strict):
    dir: Annotated[str, Field(min_length=1)] = "bus"
    retention_days: int = Field(30, ge=1, le=36_500)
    network: bool = False


class WorkKeys(Strict):
    dir: Annotated[str, Field(min_length=1)] | None = None


class ReporterKeys(Strict):
    """What every kind of reporter has; the kind adds keys of its own."""

    type: str
    when: Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(min_length=1, max_length=100)] | (
        None
    ) = Field(None, description="globs over the kinds of news")
    labels: dict[str, str] = Field(default_factory=dict, max_length=100)
    projects: ProjectGlobs = Field(default_factory=lambda: ["*"])
    group: Duration = Field(0.0, le=86_400, description="news of so long are one message")


class AgentKeys(Strict):
    """What every kind of agent has; the kind adds keys of its own."""

    type: str
    env: list[VariableName] = Field(default_factory=list, description="variables that are passed on")
    allow: dict[str, Annotated[list[str | int | float | bool], Field(min_length=1)]] = Field(default_factory=dict)
    concurrency: int | None = Field(None, ge=1, le=10_000)
    retry: Retry | None = None
    timeout: TimeoutValue | None = None
    projects: ProjectGlobs = Field(default_factory=lambda: ["*"])


class CommandKeys(Strict):
    exec: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
    projects: ProjectGlobs = Field(default_factory=lambda: ["*"])
    env: list[VariableName] = Field(default_factory=list, description="variables that are passed on")
    exit_record: bool = False


class ConfigFile(Strict):
    """The whole file. Agents and reporters are validated one by one, since their kinds say what they may have."""

    engine: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")] | None = None
    server: ServerKeys = ServerKeys()
    tokens: Annotated[list[TokenKeys], Field(max_length=1_000)] = Field(default_factory=list)
    bus: BusKeys = BusKeys()
    work: WorkKeys = WorkKeys()
    reporting: list[Any] = Field(default_factory=lambda: [{"type": "console"}], max_length=50)
    agents: dict[str, Any] = Field(default_factory=dict)
    commands: dict[AgentName, CommandKeys] = Field(default_factory=dict)
    concurrency: int | None = Field(None, ge=1, le=10_000)
    undeclared_agents: Literal["error", "pull"] = "error"
    limits: dict[str, int | float] = Field(default_factory=dict)
