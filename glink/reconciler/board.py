"""What the plan knows of one project between two looks: the decision on every step, kept up to date incrementally.

A change enters as a set of dirty steps. Each is decided anew; when what its dependents see of it changed, they are
decided too, in topological order. Counters of unmet parents and a heap of ready steps keep a look's cost in what
changed, not in the number of steps. A property test holds the board equal to one that is built from nothing.

The conductor owns a board for each project; `glink plan` and `glink status` build theirs and throw it away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Any

from glink.clock import text_of
from glink.limits import Limits
from glink.reconciler.actions import Decision, Reason
from glink.reconciler.decide import IN_FLIGHT, decide, fingerprint_of
from glink.reconciler.fingerprint import Bodies, Recipe, StepValues, recipe_of
from glink.state import Answer, ProjectState
from glink.templates.template import NoteQuery, RenderProblem
from glink.workflow import Step, Workflow
from glink.world import World


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What lies outside the project: bodies by digest, notes on the bus, earlier workflows, answers of what is gone.

    Each is a pure lookup: the same name always gives the same content. `orphans` are the projects that are gone, in the
    order of their going; whoever folds keeps it, so that nobody has to look through all projects for them.
    """

    bodies: Bodies
    notes: Callable[[str, str], list[dict[str, Any]]] = lambda project, kind: []
    earlier: Callable[[str], Workflow | None] = lambda content: None
    vanished: Callable[[str], tuple[str, Answer] | None] = lambda key: None
    orphans: dict[str, None] = field(default_factory=dict)

    def note(self, state: ProjectState) -> None:
        """A project may have gone, or come back."""
        if state.orphaned:
            self.orphans[state.project] = None
        elif self.orphans:
            self.orphans.pop(state.project, None)


class _Notes(Mapping[NoteQuery, Any]):
    """`bus.latest` and `bus.all` of templates."""

    def __init__(self, project: str, notes: Callable[[str, str], list[dict[str, Any]]]) -> None:
        self._project, self._notes = project, notes

    def __getitem__(self, query: NoteQuery) -> Any:
        found = self._notes(query.project or self._project, query.type)
        if query.kind == "all":
            return found[-query.limit :] if query.limit else found
        return found[-1] if found else None

    def __iter__(self) -> Iterator[NoteQuery]:
        return iter(())

    def __len__(self) -> int:
        return 0


class Board:
    """Decisions on all steps of one workflow over one state. Not thread-safe; its owner changes the state."""

    def __init__(
        self,
        workflow: Workflow,
        state: ProjectState,
        world: World,
        *,
        limits: Limits,
        surroundings: Surroundings,
        params: Mapping[str, Any],
    ) -> None:
        self.workflow, self.state, self.world = workflow, state, world
        self.limits, self.surroundings = limits, surroundings
        self.now = 0.0
        self.decisions: dict[str, Decision] = {}
        self.unmet: dict[str, int] = {}
        self.memo: dict[str, tuple[tuple[Any, ...], dict[str, str], str]] = {}
        self.open = self.running = self.unsound = 0
        self.ready: dict[str, list[tuple[int, str]]] = {}
        self.due: list[tuple[float, str]] = []
        self._acting: dict[str, int] = {}
        self._recipes: dict[str, Recipe] = {}
        self._released: dict[tuple[str, str], Recipe | None] = {}
        self._orphans: dict[str, tuple[str, Answer]] | None = None
        self.values: dict[str, Any] = {
            "steps": StepValues(self.decisions, surroundings.bodies),
            "decisions": self.decisions,
            "params": params,
            "project": workflow.project,
            "files": workflow.texts,
            "bus": _Notes(workflow.project, surroundings.notes),
            "trigger": {},
        }

    def refresh(self, dirty: Iterable[str] | None, now: float) -> None:
        """Decide the dirty steps anew (None: all of them) and whatever follows."""
        self.now = now
        if dirty is None:
            self._decide_all()
            return
        rank = self.workflow.graph.rank
        queue = [(rank[step], step) for step in dirty if step in rank]
        while self.due and self.due[0][0] <= now:
            step = heappop(self.due)[1]
            queue.append((rank[step], step))
        heapify(queue)
        last = ""
        while queue:
            step = heappop(queue)[1]
            if step != last:
                last = step
                self._decide_one(step, queue)

    def _decide_all(self) -> None:
        self.decisions.clear()
        self.ready.clear()
        self.due.clear()
        self._acting.clear()
        self._orphans = None
        self.open = self.running = self.unsound = 0
        decisions, unmet = self.decisions, self.unmet
        parents = self.workflow.graph.parents
        for step in self.workflow.graph.order:
            if step not in self._recipes:
                self._foresee(step)
            count = 0
            for parent in parents[step]:
                if not decisions[parent].final:
                    count += 1
            unmet[step] = count
            decision = decisions[step] = decide(self, step)
            if decision.reason is not Reason.UP_TO_DATE:  # which counts nowhere
                self._account(step, None, decision)

    def _foresee(self, step: str) -> None:
        """What needs no other step's answer is done when the project is seated, so that a step's turn costs only the step."""
        recipe = self.recipe(step)
        if not recipe.uses:
            with suppress(RenderProblem):
                fingerprint_of(self, step, recipe)

    def _decide_one(self, step: str, queue: list[tuple[int, str]]) -> None:
        old = self.decisions[step]
        new = self.decisions[step] = decide(self, step)
        if new is old:
            return
        self._account(step, old, new)
        turned = int(old.final) - int(new.final)
        if not turned and (not new.final or (old.status is new.status and old.answer is new.answer)):
            return
        rank, unmet = self.workflow.graph.rank, self.unmet
        for child in self.workflow.graph.children[step]:
            before = unmet[child]
            unmet[child] = after = before + turned
            if not after or not before:
                heappush(queue, (rank[child], child))

    def _account(self, step: str, old: Decision | None, new: Decision) -> None:
        """Keep the counters and heaps in step with one decision."""
        if old is None:
            self.open += not new.final
            self.running += new.reason is Reason.IN_FLIGHT
            self.unsound += not new.sound
        else:
            self.open += old.final - new.final
            self.running += (new.reason is Reason.IN_FLIGHT) - (old.reason is Reason.IN_FLIGHT)
            self.unsound += old.sound - new.sound
        if new.wish is not None:
            heappush(self.ready.setdefault(new.wish.agent, []), (self.workflow.graph.rank[step], step))
        if new.due is not None:
            heappush(self.due, (new.due, step))
        if new.action is not None:
            self._acting[step] = self.workflow.graph.rank[step]
        elif self._acting:
            self._acting.pop(step, None)

    def forget(self) -> None:
        """Let go of what only deciding needs; a step that is touched has it made again."""
        self._recipes.clear()
        self._released.clear()
        self.memo.clear()
        self._orphans = None

    def acting(self) -> list[str]:
        """Steps whose decision asks for a deed that needs no slot, in topological order."""
        return sorted(self._acting, key=self._acting.__getitem__) if self._acting else []

    def next_due(self) -> float | None:
        """When the first step is to be looked at again; what is not waited for any more is forgotten."""
        while self.due and self.decisions[self.due[0][1]].due != self.due[0][0]:
            heappop(self.due)
        return self.due[0][0] if self.due else None

    def dispatched(self, step: str) -> None:
        """A dispatch was folded: what `decide` would say, without asking it."""
        old = self.decisions[step]
        self.decisions[step] = IN_FLIGHT
        self._account(step, old, IN_FLIGHT)

    # What `decide` asks.

    def recipe(self, step: str) -> Recipe:
        found = self._recipes.get(step)
        if found is None:
            found = self._recipes[step] = recipe_of(self.workflow.steps[step], self.workflow, self.world, self.limits)
        return found

    def released_recipe(self, step: str, generation: int) -> Recipe | None:
        """The step as it was in an earlier generation; None when that cannot run beside today's steps."""
        content = self.state.contents.get(str(generation), "")
        if (step, content) not in self._released:
            self._released[step, content] = self._load_released(step, content)
        return self._released[step, content]

    def _load_released(self, step: str, content: str) -> Recipe | None:
        earlier = self.surroundings.earlier(content)
        if earlier is None or step not in earlier.steps:
            return None
        recipe = recipe_of(earlier.steps[step], earlier, self.world, self.limits)
        graph = self.workflow.graph
        known = all(one in graph.rank and graph.is_ancestor(one, step) for one in recipe.uses)
        return recipe if known else None

    def takeover(self, step: str, key: str) -> tuple[str, Answer] | None:
        """An answer of a step or project that is gone, earned with an equal fingerprint."""
        if self._orphans is None:
            living = self.workflow.steps
            gone = {name: one for name, one in self.state.steps.items() if name not in living and not one.fence}
            self._orphans = {key: (name, one.answers[key]) for name, one in gone.items() for key in one.answers}
        return self._orphans.get(key) or self.surroundings.vanished(key)

    def holder(self, step: str) -> str:
        """The first parent that is not final: whom a waiting step waits for."""
        for parent in self.workflow.graph.parents[step]:
            if not self.decisions[parent].final:
                return parent
        return ""

    def moment(self, *, attempt: int, run: int) -> dict[str, Any]:
        """The values of templates, with those that change from render to render."""
        status = "failed" if self.unsound else "running"
        return {
            **self.values,
            "attempt": attempt,
            "now": text_of(self.now),
            "revision": self.state.revision,
            "run": {"id": f"{self.workflow.project}#{run}", "number": run, "status": status},
        }

    def step(self, step: str) -> Step:
        return self.workflow.steps[step]
