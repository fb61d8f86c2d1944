"""Which agents and interpreters a project's steps may name, by the operator's configuration.

Called by `glink.project` when there is a configuration: a workflow can only name what the operator declared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from glink.config import Config
from glink.loading.canonical import Draft
from glink.loading.document import quoted
from glink.loading.mistakes import Mistake, suggestion, unknown
from glink.roster import AgentSpec

_ADD_PROJECT = "add the project to its `projects:` in the configuration"


def check_permits(drafts: Sequence[Draft], project: str, config: Config) -> list[Mistake]:
    """Agents and interpreters that are not declared, not for this project, or not to be steered as `with` says."""
    return [mistake for draft in drafts for mistake in _of_step(draft, project, config)]


def _of_step(draft: Draft, project: str, config: Config) -> Iterator[Mistake]:
    agent, script = draft.form.get("agent"), draft.form.get("run")
    if agent is not None:
        yield from _agent(draft, agent, project, config)
    elif script is not None:
        yield from _interpreter(draft, script["using"], project, config)


def _agent(draft: Draft, name: str, project: str, config: Config) -> Iterator[Mistake]:
    spec = config.agents.get(name)
    if spec is None:
        if config.undeclared_agents == "error":
            what, cure = unknown("agent", name, config.agents)
            yield Mistake(draft.place("agent"), what, cure or "declare it under `agents:` in the configuration")
        return
    if not spec.serves(project):
        yield Mistake(draft.place("agent"), f"the agent {quoted(name)} is not for this project", _ADD_PROJECT)
    yield from _choices(draft, spec)


def _choices(draft: Draft, spec: AgentSpec) -> Iterator[Mistake]:
    for key, value in draft.form.get("with", {}).items():
        allowed = spec.allow.get(key)
        where = draft.place("with", key)
        if allowed is None:
            what = f"the agent {quoted(spec.name)} does not let a step choose {quoted(key)}"
            yield Mistake(
                where, what, suggestion(key, spec.allow) or "its `allow:` in the configuration says what may be"
            )
        elif not any(type(value) is type(one) and value == one for one in allowed):
            choices = ", ".join(str(one) for one in allowed)
            yield Mistake(where, f"the agent {quoted(spec.name)} does not allow this value", f"allowed: {choices}")


def _interpreter(draft: Draft, name: str, project: str, config: Config) -> Iterator[Mistake]:
    where = ("steps", draft.index, "run", "with")
    command = config.commands.get(name)
    if command is None:
        what, cure = unknown("interpreter", name, config.commands)
        yield Mistake(where, what, cure or "declare it under `commands:` in the configuration")
    elif not command.serves(project):
        yield Mistake(where, f"the interpreter {quoted(name)} is not for this project", _ADD_PROJECT)
