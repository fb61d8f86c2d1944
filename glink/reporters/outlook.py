"""What the conductor knows beyond a record, for those who tell people. Asked in the conductor's thread alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from glink.event import Record
from glink.reconciler.policy import gives_up

if TYPE_CHECKING:
    from glink.reconciler.desk import Desk
    from glink.world import World


class Outlook:
    """Over the conductor's own desks and world, as they are once a record was folded."""

    def __init__(self, desks: Mapping[str, Desk], world: World) -> None:
        self._desks = desks
        self._world = world

    def labels(self, project: str) -> Mapping[str, str]:
        """The labels of a project's workflow; they are never changed in place."""
        desk = self._desks.get(project)
        return desk.workflow.labels if desk is not None and desk.workflow is not None else {}

    def is_last(self, record: Record) -> bool:
        """Whether a failure is the last word on its step: it will not be tried again by itself."""
        desk = self._desks.get(record["project"])
        past = desk.state.steps.get(record["step"]) if desk is not None else None
        if desk is None or past is None or past.lapse is None or past.lapse.seq != record["seq"]:
            return False
        step = desk.workflow.steps.get(record["step"]) if desk.workflow is not None else None
        if step is None:
            return True
        return gives_up(step, past.lapse, self._world.agent(step.agent) if step.agent is not None else None)
