"""Reasons in words: for the command line, the reporters and the page. A test holds the table against the closed list."""

from __future__ import annotations

from collections.abc import Mapping

REASONS: Mapping[str, str] = {
    "never_ran": "never ran",
    "task_changed": "the task changed",
    "agent_changed": "another agent",
    "input_changed": "an input file changed",
    "output_changed": "a step before it answered differently, or another output is wanted",
    "script_changed": "the script or its arguments changed",
    "triggered": "a run was asked for",
    "forced": "someone asked for it",
    "retry_due": "the next try is due",
    "lost": "the last attempt was lost",
    "up_to_date": "up to date",
    "restored": "an earlier answer was restored",
    "kept": "kept as it is",
    "condition_false": "its condition is false",
    "upstream_skipped": "a step before it was skipped",
    "orphaned": "its file or step is gone",
    "in_flight": "at work",
    "backing_off": "waits for its next try",
    "waiting_for": "waits for a step before it",
    "upstream_failed": "a step before it failed",
    "no_slot": "waits for a free slot",
    "agent_cooling": "its agent is cooling down",
    "agent_paused": "its agent was refused its credentials; mend them, then `glink retry`",
    "held": "held: an edit waits for a release",
    "suspended": "suspended",
    "serve_only": "the engine serves only: nothing runs but what is asked for",
    "other_engine": "side effects are for a named engine (`engine:` in the config)",
    "spec_invalid": "its file is invalid",
    "no_worker": "waits for a worker to claim it",
    "draining": "the engine is stopping",
    "stalled": "parked: it failed alike in three runs",
    "exhausted": "failed, and will not be tried again by itself",
    "cancelled": "cancelled",
    "unknown_outcome": "failed after it began, with side effects: a person must look",
    "bus_corrupt": "not known: events of its project may be lost",
}


def in_words(reason: str, *, holder: str = "", detail: str = "", due: str | None = None) -> str:
    """The reason with who holds it, until when (RFC 3339, UTC) and the detail, on one line."""
    text = REASONS.get(reason, reason)
    if holder:
        text = f"{text} ({holder})"
    if due:
        text = f"{text} until {due[:19]}Z"
    return f"{text}: {detail}" if detail else text


def escaped(text: str) -> str:
    """The text with control characters shown, so that no agent's text can steer a terminal or break a line of a log."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _shown(one) for one in text)


def escaped_block(text: str) -> str:
    """As `escaped`, keeping newlines and tabs."""
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(one if one.isprintable() or one in " \n\t" else _shown(one) for one in text)


def _shown(one: str) -> str:
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(one) or f"\\x{ord(one):02x}"
