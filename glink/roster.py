"""Who may be named by a workflow: the agents and interpreters that the operator declared.

Built by `glink.config` from `glink-config.yaml`; read by the loader (is this agent declared, and for this project?),
by the plan (`profile`) and by `glink.agents.registry`, which makes working agents of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from glink import digest
from glink.jsontext import canonical

PULL: Final = "pull"  # the kind whose steps workers come for


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """One declared agent.

    `options` are the keys of its kind, as written. `env` names variables that are passed on. `allow` maps a key of a
    step's `with` to the values it may take. `timeout` is {"run"|"idle"|"queue": seconds} and a ceiling; `retry` has
    attempts, delay, factor, max_delay, jitter, on. `projects` are globs over project names. `profile` is a brief
    digest of what decides an answer: the kind and its options, not env, concurrency, retry or timeout.
    """

    name: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    env: tuple[str, ...] = ()
    allow: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    concurrency: int | None = None
    retry: Mapping[str, Any] = field(default_factory=dict)
    timeout: Mapping[str, float] = field(default_factory=dict)
    projects: tuple[str, ...] = ("*",)
    profile: str = ""

    @property
    def access(self) -> str:
        """A brief digest of all that may decide whether its credentials are taken: a pause is for this one alone."""
        return digest.brief(canonical([self.kind, self.options, self.env, self.profile]))

    def serves(self, project: str) -> bool:
        """Whether steps of this project may name the agent."""
        return _covers(self.projects, project)


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """One declared interpreter of `run:` steps: its argv, to which the script's file and the step's args are added.

    `exit_record` has the exit code written down by a line of `sh`, so that a script that outlived the engine can be
    judged. `profile` is a brief digest of `exec`.
    """

    name: str
    exec: tuple[str, ...]
    projects: tuple[str, ...] = ("*",)
    env: tuple[str, ...] = ()
    exit_record: bool = False
    profile: str = ""

    def serves(self, project: str) -> bool:
        """Whether steps of this project may name the interpreter."""
        return _covers(self.projects, project)


def _covers(globs: tuple[str, ...], project: str) -> bool:
    """`*` crosses folders: `team-a/*` covers all of team-a, `*` covers everything."""
    return any(fnmatchcase(project, glob) for glob in globs)
