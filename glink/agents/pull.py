"""The kind `pull`: workers come for its steps over the API, and the engine only offers them.

    coder: {type: pull, lease: 60s}

There is no agent to call: an offer, a claim and its lease are the conductor's (`glink.reconciler.claims`).
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from glink.loading.duration import Duration


class PullOptions(BaseModel):
    """The keys of the configuration that belong to this kind. `lease`: how long a worker may be silent."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    lease: Duration = 60.0
