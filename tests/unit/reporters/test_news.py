"""The vocabulary of what people are told, and which records are news."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from glink.event import ENGINE_TYPES, Record
from glink.reporters.conditions import Conditions
from glink.reporters.console import line_of
from glink.reporters.news import TROUBLE, Kind, news_of, types_of
from glink.reporters.rules import Rules
from glink.words import REASONS
from tests.unit.reporters.desk import failed, record, settled, some

RECORDS = [
    (record("step.dispatched", step="2", run=3, attempt=2, data={"agent": "a", "reason": "retry_due"}), "step.started", f"given to a, attempt 2: {REASONS['retry_due']}"),
    (record("step.offered", step="2", run=3, attempt=1, data={"agent": "a", "reason": "never_ran"}), "step.offered", "waits for a worker of a"),
    (record("step.claimed", step="2", run=3, attempt=1, data={"agent": "a", "worker": "w", "offer": 3}), "step.started", "claimed by w for a"),
    (record("step.succeeded", step="2", run=3, fence=9, data={"seconds": 1.5, "digest": "d", "output": "long"}), "step.succeeded", "succeeded in 1.50 s"),
    (failed(), "step.failed", "failed (transient, x): it broke"),
    (record("step.parked", step="2", run=3, data={"key": "k", "message": "it broke"}), "step.parked", "parked: it broke"),
    (record("step.held", step="2", data={"key": "k"}), "step.held", "held"),
    (record("step.restored", step="2", run=3, data={"key": "k", "from": 4}), "step.restored", "restored: an earlier answer stands again"),
    (record("step.skipped", step="2", run=3, data={"key": "k", "reason": "condition_false"}), "step.skipped", "skipped: its condition is false"),
    (record("step.cancelled", step="2", data={"by": "ana"}), "step.cancelled", "cancelled"),
    (settled(status="succeeded"), "run.succeeded", "settled: succeeded"),
    (settled(), "run.failed", "settled: failed (steps 2)"),
    (record("agent.cooling", project=None, data={"agent": "a", "until": 1_800_000_000.0}), "agent.cooling", "cools down until 2027-01-15T08:00:00Z"),
    (record("agent.paused", project=None, data={"agent": "a", "profile": "p"}), "agent.paused", "is paused: its credentials were refused"),
    (record("workflow.changed", data={"generation": 2, "revision": "r"}), "project.changed", "changed: generation 2 of r"),
    (record("workflow.orphaned", data={}), "project.orphaned", "orphaned: its files are gone; history and answers are kept"),
    (record("project.suspended", data={"by": "ana"}), "project.suspended", "suspended"),
    (record("project.resumed", data={"by": "ana"}), "project.resumed", "resumed"),
    (record("project.released", data={"by": "ana", "generation": 2}), "project.released", "released"),
]  # fmt: skip


@pytest.mark.parametrize(("record", "kind", "text"), RECORDS, ids=[kind for _, kind, _ in RECORDS])
def test_a_record_is_told_in_one_sentence(record: Record, kind: str, text: str) -> None:
    """Of one kind of the vocabulary."""
    found = some(record)
    assert (found.kind, found.text) == (kind, text)
    assert record["type"] in types_of(frozenset((found.kind,)))
    assert record["type"] in ENGINE_TYPES


def test_every_kind_of_news_comes_from_some_record() -> None:
    """The vocabulary is closed, and none of it is never told."""
    assert {kind for _, kind, _ in RECORDS} | {"step.retrying"} == set(Kind)
    assert some(failed(), last=False).kind is Kind.STEP_RETRYING


@pytest.mark.parametrize("kind", ["source.observed", "step.stale", "engine.started", "note.x", "run.requested"])
def test_what_only_the_bus_needs_is_no_news(kind: str) -> None:
    assert news_of(record(kind)) is None


def test_the_console_shows_whom_it_is_about_and_no_control_characters() -> None:
    """An agent's text steers no terminal."""
    assert line_of(failed(message="a\n\x1b[31mb")) == (
        "08:00:00 team-a/news #3 step 2 failed (transient, x): a\\n\\x1b[31mb"
    )
    cooling = record("agent.cooling", project=None, data={"agent": "a", "until": 1_800_000_000.0})
    assert line_of(cooling) == "08:00:00 agent a cools down until 2027-01-15T08:00:00Z"


def test_the_usual_is_trouble() -> None:
    """What is wrong, or waits for somebody."""
    assert {kind for kind in Kind if any(fnmatchcase(kind, glob) for glob in TROUBLE)} == {
        *("run.failed", "step.failed", "step.parked", "step.held", "agent.cooling", "agent.paused")
    }


def test_rules_choose_by_kind_project_and_label() -> None:
    """What concerns no project passes projects and labels."""
    rules = Rules(("run.*",), {"team": "[ab]"}, ("team-a/*",))
    assert rules.kinds(("*",)) == {Kind.RUN_SUCCEEDED, Kind.RUN_FAILED}
    assert Rules().kinds(("agent.*",)) == {Kind.AGENT_COOLING, Kind.AGENT_PAUSED}
    assert rules.concern(some(settled()))
    assert not rules.concern(some(settled(project="team-b/news")))
    assert not Rules(labels={"team": "b"}).concern(some(settled()))
    assert not Rules(labels={"tier": "*?"}).concern(some(settled()))
    assert rules.concern(some(record("agent.paused", project=None, data={"agent": "a"})))


def cooling(seq: int, agent: str = "a") -> Record:
    return record("agent.cooling", seq, None, data={"agent": agent, "until": 1.0})


def dispatched(seq: int, agent: str = "a") -> Record:
    return record("step.dispatched", seq, step="2", run=1, data={"agent": agent, "reason": "retry_due"})


def succeeded(seq: int, fence: int) -> Record:
    return record("step.succeeded", seq, step="2", run=1, fence=fence, data={"digest": "d"})


def test_a_condition_of_an_agent_is_told_once_until_it_answers() -> None:
    """However often it is throttled again, and each agent and condition by itself."""
    conditions = Conditions()
    paused = record("agent.paused", 3, None, data={"agent": "a", "profile": "p"})
    assert conditions.repeated([cooling(1), cooling(2), paused, cooling(4, "b"), cooling(5)]) == {2, 5}
    assert conditions.repeated([dispatched(6), failed(7) | {"fence": 6}, cooling(8)]) == {8}
    assert conditions.repeated([succeeded(9, 6), cooling(10)]) == {10}
    assert conditions.repeated([dispatched(11), succeeded(12, 11), cooling(13), cooling(14, "b")]) == {14}
    assert conditions.repeated([record("agent.ready", 15, None, data={"agent": "a"}), cooling(16)]) == frozenset()
