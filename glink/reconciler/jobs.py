"""Jobs around the bus: what of a dispatch stands on it, and the same job made again after a restart.

Called by the conductor alone, before the dispatch is durable (`prompt`) and when it adopts (`again`).
"""

from __future__ import annotations

from typing import Any

from glink.bus.bus import Bus
from glink.jsontext import is_short
from glink.limits import Limits
from glink.reconciler.actions import Dispatch, Wish
from glink.reconciler.board import Surroundings
from glink.reconciler.desk import Desk
from glink.reconciler.dispatch import Job
from glink.reconciler.plan import given_again
from glink.reconciler.retention import dispatch_of
from glink.workflow import Step, Workflow
from glink.world import World


class Jobs:
    """Knows where bodies are kept."""

    def __init__(self, bus: Bus, surroundings: Surroundings, world: World, limits: Limits) -> None:
        self.bus, self.surroundings, self.world, self.limits = bus, surroundings, world, limits

    def again(self, desk: Desk, step: str) -> tuple[Job, bool] | None:
        """The job of an attempt in flight, made again from its record and the workflow of its generation.

        The flag tells whether it could be started with it: not when what it would be handed is another by now.
        """
        past = desk.state.steps[step]
        record = dispatch_of(self.bus, desk.name, past.given)
        workflow = self.surroundings.earlier(desk.state.contents.get(str(past.generation), ""))
        if record is None or workflow is None or step not in workflow.steps:
            return None
        data = record["data"]
        try:
            text = data["task"] if "task" in data else self.surroundings.bodies(data["prompt"]).decode()
            given = given_again(desk.board, step, past.run, past.key) if desk.board is not None else None
            wish = Wish(
                data["reason"], past.agent, past.key, past.fingerprint, past.definition, past.attempt, past.reask
            )
            action = Dispatch(step, wish, past.run, text, text[: data.get("bare", len(text))])
            if given is not None:
                action.context, action.args, action.env, action.stdin = (
                    given.context, given.args, given.env, given.stdin
                )  # fmt: skip
            return desk.job(action, past.fence, self.world, self.script, workflow), given is not None
        except KeyError:
            return None

    def prompt(self, action: Dispatch) -> dict[str, Any]:
        """What the agent is given, in the event itself or as blobs that are durable before it."""
        most = self.limits.inline_bytes
        data: dict[str, Any] = {}
        if is_short(action.text, most):
            data["task"] = action.text
        else:
            data["prompt"] = self.bus.blobs.put(action.text.encode())
        if len(action.bare) != len(action.text):
            data["bare"] = len(action.bare)
        return data

    def script(self, workflow: Workflow, step: Step) -> bytes:
        run = step.run
        if run is None or run.file is None:
            return (run.text or "").encode() if run is not None else b""
        return self.bus.blobs.get(workflow.files[run.file])
