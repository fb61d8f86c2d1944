"""One project as the conductor holds it: its state, the last good workflow, the board, what is wrong with its files.

Turns actions into the bodies of events and dispatches into jobs. No effects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, assert_never

from glink import digest
from glink.agents.agent import Program, Task
from glink.errors import Problem, UsageError
from glink.limits import Limits
from glink.loading.params import check_params
from glink.reconciler.actions import Action, Dispatch, Fail, Hold, Park, Restore, Settle, Skip
from glink.reconciler.board import Board, Surroundings
from glink.reconciler.dispatch import Job
from glink.reconciler.policy import timeout_of
from glink.state import ProjectState
from glink.workflow import Step, Workflow, files_of
from glink.world import World

if TYPE_CHECKING:
    from glink.project import Loaded

MOST_ARGUMENTS = 20
MOST_ARGUMENT = 200


@dataclass(slots=True)
class Desk:
    """`workflow` is the last good one; `problems` what is wrong with the newest files; `dirty` None means all steps.

    `unknown` says why its state is not known, "" where it is: nothing is then decided or written of it. `loaded` is what
    an engine last read of its files.
    """

    name: str
    state: ProjectState
    workflow: Workflow | None = None
    board: Board | None = None
    problems: tuple[Problem, ...] = ()
    unknown: str = ""
    dirty: set[str] | None = field(default_factory=set)
    loaded: Loaded | None = None

    def seat(self, workflow: Workflow, world: World, limits: Limits, surroundings: Surroundings) -> None:
        """Take a workflow (or new parameters, or a new roster) as what is wanted: everything is to be decided anew."""
        self.workflow = workflow
        try:
            params = check_params(workflow, self.state.params)
        except UsageError:
            params = check_params(workflow, {})
        self.board = Board(workflow, self.state, world, limits=limits, surroundings=surroundings, params=params)
        self.dirty = None

    def unseat(self) -> None:
        """Nothing is wanted of it: there are no files, or none that were ever right."""
        self.board, self.workflow, self.dirty = None, None, set()

    def lacks_workflow(self) -> None:
        """What was last wanted cannot be read any more: said beside whatever is wrong with its files."""
        what = f"the workflow that it had last, blob {self.state.content}, is gone or damaged, so nothing of it runs"
        self.problems = (*self.problems, Problem(self.name, 0, 0, "", what, "mend its files, or submit it again"))

    def touch(self, steps: Iterable[str] | None) -> None:
        """Mark steps as dirty; None marks all."""
        if steps is None or self.dirty is None:
            self.dirty = None
        else:
            self.dirty.update(steps)

    def dispatch_body(self, action: Dispatch, prompt: dict[str, Any], kind: str = "step.dispatched") -> dict[str, Any]:
        """The body of `step.dispatched` or `step.offered`. `prompt` is {"task": text} or {"prompt": digest of the blob}.

        Its size beyond payload is bounded: what holds for a whole generation is on the bus once, in `workflow.changed`.
        """
        wish, state = action.wish, self.state
        past = state.steps.get(action.step)
        generation = past.answer.generation if wish.released and past and past.answer else state.generation
        data: dict[str, Any] = {
            "reason": wish.reason,
            "agent": wish.agent,
            "generation": generation,
            "definition": wish.definition,
            "key": wish.key,
            "fingerprint": wish.fingerprint,
        }
        if wish.floor:
            data["floor"] = wish.floor
        if wish.reask:
            data["reask"] = wish.reask
        if wish.changed:
            data["changed"] = wish.changed
            if past and past.answer:
                data["since"] = past.answer.fence
        if action.args:
            # For people: what was given is made again from the workflow. A record has no room for all of it.
            data["args"] = [
                one if len(one) <= MOST_ARGUMENT else f"{one[:MOST_ARGUMENT]}…" for one in action.args[:MOST_ARGUMENTS]
            ]
        data |= prompt
        return {
            "type": kind,
            "project": self.name,
            "run": action.run,
            "step": action.step,
            "attempt": wish.attempt,
            "data": data,
        }

    def body(self, action: Action) -> dict[str, Any]:
        """The body of the event that records an action which needs no slot."""
        own = {"project": self.name, "run": action.run, "step": action.step}
        match action:
            case Restore(answer=answer, source=source):
                data: dict[str, Any] = {"key": answer.key, "from": answer.fence}
                if source:
                    data |= {"source": source, "answer": asdict(answer)}
                return {"type": "step.restored", **own, "data": data}
            case Skip(reason=reason, key=key):
                return {"type": "step.skipped", **own, "data": {"reason": reason, "key": key}}
            case Hold(key=key):
                return {"type": "step.held", "project": self.name, "step": action.step, "data": {"key": key}}
            case Park(key=key, message=message):
                return {"type": "step.parked", **own, "data": {"key": key, "message": message}}
            case Fail(cls=cls, code=code, message=message, key=key, floor=floor):
                data = {"class": cls, "code": code, "message": message[:2000], "key": key, "floor": floor}
                return {"type": "step.failed", **own, "data": data}
            case Settle(status=status, failed=failed):
                data = {"status": status, "revision": self.state.revision, "generation": self.state.generation}
                if failed:
                    data["failed"] = failed[:500]
                return {"type": "run.settled", "project": self.name, "run": action.run, "data": data}
            case Dispatch():
                return self.dispatch_body(action, {"task": action.text})
            case _:
                assert_never(action)

    def job(
        self, action: Dispatch, fence: int, world: World, script: Callable[[Workflow, Step], bytes], workflow: Workflow
    ) -> Job:
        """What the dispatcher needs to run the step of `workflow` (today's, or the one it was released with)."""
        step = workflow.steps[action.step]
        agent = world.agent(step.agent) if step.agent is not None else None
        timeout = timeout_of(step, agent)
        wish = action.wish
        key = digest.brief(f"{self.name}\0\0{action.run}\0{step.id}\0\0\0{wish.reask}\0{wish.key}".encode())
        program = None
        if step.run is not None:
            command = world.commands[step.run.using]
            program = Program(
                exec=command.exec,
                name=step.run.file or "script",
                content=script(workflow, step),
                args=action.args,
                env=action.env,
                pass_env=command.env,
                exit_record=command.exit_record,
                stdin=action.stdin,
            )
        task = Task(
            project=self.name,
            step=step.id,
            run=action.run,
            attempt=wish.attempt,
            fence=fence,
            key=key,
            agent=wish.agent,
            text=action.text,
            bare=action.bare,
            context=action.context,
            schema=step.output.schema,
            format=step.output.format,
            with_=step.with_,
            env=action.env,
            program=program,
            run_seconds=timeout["run"],
            idle_seconds=timeout["idle"],
        )
        return Job(
            task=task,
            agent=wish.agent,
            output=step.output,
            artifacts=step.artifacts,
            inputs=files_of({"inputs": step.inputs}, workflow.files) if step.inputs else {},
            handed=_files_handed(action.context),
        )


def _files_handed(context: Any) -> Mapping[str, Mapping[str, str]]:
    if not context:
        return {}
    return {step: one["files"] for step, one in context["steps"].items() if one["files"]}
