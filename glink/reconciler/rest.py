"""What is known of projects at rest: what their plan was made of, and what it says. Written beside the checkpoints.

A project is at rest when nothing is to be done for it, now or at a later time, and nothing but its files, the
configuration and its own records could change that. As long as those are the same `glink plan` answers from here
(`glink.cli.unchanged`), without loading or deciding anything. The format, JSON:

    {"version": "0.1.0", "config": "<sha256 of its file>", "limits": {"steps": 20000}, "all": true,
     "projects": {"coffee": {"generation": 3, "content": "<sha256>", "sources": {"coffee.yaml": "<sha256>"},
                             "listings": {}, "bodies": [], "reasons": {"2": "condition_false"}}}}

`limits` are those that are not the defaults; `all` tells whether every project that has a plan is here. `sources` are
empty for what was submitted. `bodies` may be read to render tasks; `reasons` of steps that are not simply up to date.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from glink import __version__
from glink.agents import registry as agents
from glink.config import Config
from glink.jsontext import dumps
from glink.limits import Limits
from glink.project import Loaded
from glink.reconciler.actions import Decision, Reason
from glink.reconciler.board import Board
from glink.reconciler.decide import decide
from glink.reconciler.desk import Desk
from glink.reporters import registry as reporters

_STILL = frozenset({Reason.RESTORED, Reason.KEPT, Reason.CONDITION_FALSE, Reason.UPSTREAM_SKIPPED})


class _Seen(NamedTuple):
    """What a finding about a project holds for."""

    board: Board
    loaded: Loaded | None
    seq: int


class Rest:
    """The projects at rest on these desks, under this configuration. Only what changed since it was last asked is looked at."""

    def __init__(self, config: Config, desks: Mapping[str, Desk]) -> None:
        self._desks = desks
        self._about = _about(config)
        self._found: dict[str, tuple[_Seen, dict[str, Any] | None]] = {}

    def packed(self) -> bytes | None:
        """The JSON bytes; None under a configuration of which too little is known."""
        if self._about is None:
            return None
        projects, everything = {}, True
        for name, desk in self._desks.items():
            found = self._of(desk)
            if found is not None:
                projects[name] = found
            else:
                everything = everything and _has_no_plan(desk)
        return dumps({**self._about, "all": everything, "projects": projects})

    def _of(self, desk: Desk) -> dict[str, Any] | None:
        if desk.board is None or desk.dirty is None:
            self._found.pop(desk.name, None)
            return None
        seen = _Seen(desk.board, desk.loaded, desk.state.seq)
        known = self._found.get(desk.name)
        if known is None or known[0] != seen:
            try:
                known = seen, at_rest(desk, desk.board)
            except (
                Exception
            ):  # the next pass meets it as well, and has the project say so; no checkpoint waits for that
                known = seen, None
            self._found[desk.name] = known
        return known[1]


def at_rest(desk: Desk, board: Board) -> dict[str, Any] | None:
    """What is known of the project of a board that was decided on as a whole; None when it is not at rest."""
    state, decisions = desk.state, board.decisions
    if state.run is not None or not _as_wanted(desk):
        return None
    reasons: dict[str, str] = {}
    for step in decisions:
        decision = _decided(desk, board, step)
        if decision is None or _depends_on_more(board, step):
            return None
        if decision.reason is not Reason.UP_TO_DATE:
            if decision.reason not in _STILL or decision.action is not None:
                return None
            reasons[step] = decision.reason
    children = board.workflow.graph.children
    bodies = {one.answer.blob for step, one in decisions.items() if one.answer and one.answer.blob and children[step]}
    files = desk.loaded if not state.submitted else None
    return {
        "generation": state.generation,
        "content": state.content,
        "sources": files.sources if files is not None else {},
        "listings": files.listings if files is not None else {},
        "bodies": sorted(bodies),
        "reasons": reasons,
    }


def _decided(desk: Desk, board: Board, step: str) -> Decision | None:
    """What is thought of a step, anew where it is to be looked at again; None when that may change others."""
    known = board.decisions[step]
    if not desk.dirty or step not in desk.dirty:
        return known
    fresh = decide(board, step)
    same = fresh.status is known.status and _digest(fresh) == _digest(known)
    return fresh if same else None


def _depends_on_more(board: Board, step: str) -> bool:
    """Whether its condition rests on what is on the bus elsewhere, or on the time."""
    if board.workflow.steps[step].when is None:
        return False
    when = board.recipe(step).when
    return when is not None and bool(when.names.volatile)


def _digest(decision: Decision) -> str:
    return decision.answer.digest if decision.answer is not None else ""


def _as_wanted(desk: Desk) -> bool:
    """Whether what was decided on is what the files say, or what was submitted."""
    read = desk.loaded.workflow if desk.loaded is not None else None
    return desk.state.submitted or (read is not None and read.digest == desk.state.content)


def _has_no_plan(desk: Desk) -> bool:
    """Whether it is deleted, or its files are gone: nothing is planned for it as long as no files come."""
    state = desk.state
    return state.deleted or (state.orphaned and not state.submitted)


def _about(config: Config) -> dict[str, Any] | None:
    """What is to be the same for all projects; None where other things than the file's text decide what it means."""
    kinds = all(agents.is_built_in(one.kind) for one in config.agents.values())
    kinds = kinds and all(reporters.is_built_in(one.kind) for one in config.reporting)
    usual = (config.base / "projects", config.base / "bus")
    if not kinds or (config.projects_dir, config.bus_dir) != usual:
        return None
    defaults = Limits()._asdict()
    limits = {name: value for name, value in config.limits._asdict().items() if value != defaults[name]}
    return {"version": __version__, "config": config.digest, "limits": limits}
