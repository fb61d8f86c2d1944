"""What happens after a failure: the table of error classes, the retry arithmetic. Pure.

A delay is a due time computed from the failure's event, never a sleep: a restart or a second look gives the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from glink import digest
from glink.agents.agent import ErrorClass as E
from glink.clock import seconds_of
from glink.roster import AgentSpec
from glink.state import Lapse
from glink.workflow import Step


@dataclass(frozen=True, slots=True)
class Rule:
    """`again`: tried again by default; `uses`: the attempt counts; `listable`: may stand in `retry.on`."""

    again: bool
    uses: bool
    listable: bool


RULES: Mapping[str, Rule] = {
    E.THROTTLED: Rule(again=True, uses=False, listable=False),
    E.TRANSIENT: Rule(again=True, uses=True, listable=True),
    E.TIMEOUT: Rule(again=True, uses=True, listable=True),
    E.QUEUE_TIMEOUT: Rule(again=False, uses=False, listable=False),
    E.LOST: Rule(again=True, uses=True, listable=True),
    E.INVALID_OUTPUT: Rule(again=True, uses=True, listable=True),
    E.AGENT_FAILED: Rule(again=False, uses=True, listable=True),
    E.TRUNCATED: Rule(again=False, uses=True, listable=False),
    E.LIMIT: Rule(again=False, uses=True, listable=False),
    E.REFUSED: Rule(again=False, uses=True, listable=False),
    E.TOO_LARGE: Rule(again=False, uses=True, listable=False),
    E.AUTH: Rule(again=False, uses=False, listable=False),
    E.CONFIG: Rule(again=False, uses=False, listable=False),
    E.TEMPLATE: Rule(again=False, uses=False, listable=False),
    E.BUDGET: Rule(again=False, uses=False, listable=False),
    E.REJECTED: Rule(again=False, uses=False, listable=False),
    E.CANCELLED: Rule(again=False, uses=False, listable=False),
    E.INTERNAL: Rule(again=True, uses=True, listable=True),
}

BEFORE_THE_START = frozenset({E.QUEUE_TIMEOUT, E.TEMPLATE, E.CONFIG})
STALLED_AFTER = 3
ENGINES_OWN = frozenset({"drained", "superseded"})  # the engine ended these, not a person: no attempt is used
DEFAULT_RETRY: Mapping[str, Any] = {"attempts": 3, "delay": 5.0, "factor": 2.0, "max_delay": 300.0, "jitter": True}
DEFAULT_RUN_TIMEOUT = 3600.0


@dataclass(frozen=True, slots=True)
class Again:
    """Try again at `due` as attempt `attempt`; `reask` > 0 asks the same question with the errors of the last answer."""

    due: float
    attempt: int
    reask: int = 0


def retry_of(step: Step, agent: AgentSpec | None) -> dict[str, Any]:
    """The retry policy of a step: nearest wins (the step with the file's defaults, the agent, the built-in)."""
    return {**DEFAULT_RETRY, **(agent.retry if agent else {}), **step.retry}


def timeout_of(step: Step, agent: AgentSpec | None) -> dict[str, float | None]:
    """`run`, `idle`, `queue` in seconds or None. The agent's are ceilings."""
    ceiling = agent.timeout if agent else {}
    wanted: dict[str, float | None] = {"run": DEFAULT_RUN_TIMEOUT, "idle": None, "queue": None}
    if "run" in ceiling:
        wanted["run"] = None
    wanted |= step.timeout
    for name, most in ceiling.items():
        own = wanted[name]
        wanted[name] = most if own is None else min(own, most)
    return wanted


def after_failure(step: Step, lapse: Lapse, agent: AgentSpec | None) -> Again | None:
    """When to try again; None when the policy is used up or the class forbids it."""
    rule = RULES.get(lapse.cls, RULES[E.INTERNAL])
    failed_at = seconds_of(lapse.time)
    if lapse.cls == E.CANCELLED and lapse.code in ENGINES_OWN:
        return Again(failed_at, max(lapse.attempt, 1))
    if lapse.cls == E.THROTTLED:
        return Again(max(lapse.retry_at or failed_at, failed_at), max(lapse.attempt, 1))
    if lapse.cls == E.INVALID_OUTPUT and lapse.reask < step.output.reask:
        return Again(failed_at, lapse.attempt, lapse.reask + 1)
    retry = retry_of(step, agent)
    chosen = retry.get("on")
    again = lapse.cls in chosen if chosen is not None else rule.again or lapse.retry
    most = min(retry["attempts"], 2) if lapse.cls == E.INTERNAL and chosen is None else retry["attempts"]
    if not again or lapse.attempt >= most:
        return None
    return Again(failed_at + _delay(retry, lapse), lapse.attempt + 1)


def needs_a_person(step: Step, lapse: Lapse) -> bool:
    """Whether an attempt may have done something in the world before it failed, so that nobody but a person can tell."""
    return step.side_effects and lapse.cls not in BEFORE_THE_START and lapse.cls not in (step.retry.get("on") or ())


def gives_up(step: Step, lapse: Lapse, agent: AgentSpec | None) -> bool:
    """Whether a failure is the last word, until somebody does something. Not where the agent is paused: it is that."""
    if lapse.cls == E.AUTH and agent is not None:
        return False
    return needs_a_person(step, lapse) or after_failure(step, lapse, agent) is None


def _delay(retry: Mapping[str, Any], lapse: Lapse) -> float:
    """Exponential with full jitter (a number between 0 and the delay, drawn from the failure's own seq)."""
    doublings = min(lapse.attempt - 1, 64)
    delay: float = min(retry["delay"] * float(retry["factor"]) ** doublings, retry["max_delay"])
    if retry["jitter"]:
        delay *= int(digest.brief(b"%d" % lapse.seq)[:8], 16) / 0xFFFFFFFF
    return delay
