"""What the conductor compares of a workflow without looking into it: digests of its sources and its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glink.digest import of_value


def sources_digest(sources: Mapping[str, str]) -> str:
    """Digest over the files that a project was read from: equal digests need no reading."""
    return of_value(dict(sources))[:32]


def params_digest(params: Mapping[str, Any]) -> str:
    """Digest of a workflow's declared parameters."""
    return of_value(dict(params))[:32]
