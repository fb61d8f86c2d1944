"""One step of a plan, as the answers give it. Called by whoever has decided on it, or knows that nothing changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def planned_step(
    step: str,
    decision: str,
    reason: str,
    agent: str,
    *,
    after: Sequence[str],
    implied: bool,
    holder: str = "",
    detail: str = "",
    due: str | None = None,
    changed: Sequence[str] = (),
) -> dict[str, Any]:
    """JSON data; `due` is RFC 3339, `changed` names parts of the fingerprint."""
    return {
        "step": step,
        "decision": decision,
        "reason": reason,
        "agent": agent,
        "holder": holder,
        "detail": detail,
        "due": due,
        "changed": changed,
        "after": after,
        "implied": implied,
    }
