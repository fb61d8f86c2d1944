"""What decides a step's answer, as a map part -> digest; and what the agent is handed for it. Pure.

A `Recipe` is made once for a step of a workflow. Its `ingredients` (ends and output digests of the steps it uses) are
cheap to compare: equal ingredients, equal fingerprint, nothing is rendered.

Parts: `task` the rendered text with what was appended (for a task that names something volatile its source and the
digests of the other values it names), `context` the answers handed over, `agent`, `profile`, `inputs`, `output`, `script`.
`v` is the version of this layout: where versions differ, only the parts that both know are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from glink import digest
from glink.errors import BodyDamaged
from glink.jsontext import canonical, dumps, loads
from glink.limits import Limits
from glink.reconciler.actions import Decision, Reason, Status
from glink.state import Answer
from glink.templates.context import StepValue, appended
from glink.templates.template import Expression, Names, RenderProblem, Template, compile_expression, compile_template
from glink.workflow import Output, Step, Workflow, files_of
from glink.world import World

VERSION = "1"
_NO_ENV: Mapping[str, Template] = {}
_NO_FILES: Mapping[str, str] = {}
REQUEST_NAMES = frozenset({"trigger", "schedule", "run", "now"})

Bodies = Callable[[str], bytes]
Decisions = Mapping[str, Decision]


def value_of(answer: Answer, bodies: Bodies) -> Any:
    """The output of an answer: text or a JSON value; KeyError when its blob is gone."""
    if answer.blob is None:
        return answer.output
    body = bodies(answer.blob)
    return loads(body) if answer.json else body.decode()


def why_gone(problem: Exception) -> str:
    """What is wrong with a body that is not there, a KeyError of `Bodies`, or with a task that cannot be rendered."""
    is_gone = isinstance(problem, KeyError) and not isinstance(problem, BodyDamaged)
    return f"the body {problem} is not on the bus any more" if is_gone else str(problem)


class StepValues(Mapping[str, StepValue]):
    """`steps[ID]` of templates, read from the decisions when it is named; RenderProblem where the answer's body is gone."""

    def __init__(self, decisions: Decisions, bodies: Bodies) -> None:
        self._decisions, self._bodies = decisions, bodies

    def __getitem__(self, step: str) -> StepValue:
        decision = self._decisions[step]
        answer = decision.answer
        try:
            output = value_of(answer, self._bodies) if answer is not None else None
        except KeyError as problem:  # no step that is not there: nothing may take its place
            raise RenderProblem(f"the answer of step {step}: {why_gone(problem)}") from None
        text = output if output is None or isinstance(output, str) else dumps(output).decode()
        error = decision.detail if decision.status is Status.FAILED else None
        files = answer.artifacts if answer is not None else {}
        return StepValue(step, decision.status.value, output, text, files, error)

    def __iter__(self) -> Iterator[str]:
        return iter(self._decisions)

    def __len__(self) -> int:
        return len(self._decisions)


@dataclass(slots=True)
class Rendered:
    """What the agent is handed: the whole prompt, the bare task, a script's arguments, the context file's content."""

    text: str = ""
    bare: str = ""
    args: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    stdin: str | None = None
    context: Any = None


@dataclass(slots=True)
class Recipe:
    """A step with its templates compiled and the parts that no other step's answer changes. See `recipe_of`."""

    step: Step
    task: Template | None
    args: tuple[Template, ...]
    env: Mapping[str, Template]
    stdin: Template | None
    when: Expression | None
    uses: tuple[str, ...]
    handed: tuple[str, ...]
    appends: bool
    volatile: bool
    requested: bool
    fixed: dict[str, str]
    files: Mapping[str, str]
    names: Names

    def ingredients(self, decisions: Decisions) -> tuple[Any, ...]:
        """Ends and output digests of the steps that are used, in order."""
        if not self.uses:
            return ()
        return tuple(_ingredient(decisions[one]) for one in self.uses)

    def fingerprint(self, values: Mapping[str, Any]) -> dict[str, str]:
        """The map part -> digest; raises RenderProblem."""
        parts = dict(self.fixed)
        if self.volatile:
            parts["script" if self.task is None else "task"] = self._volatile_part(values)
        elif self.task is not None:
            parts["task"] = digest.brief(self._text(values)[0].encode())
        else:
            rendered = self._arguments(values)
            words = [self.fixed["script"], rendered.args, rendered.env, rendered.stdin]
            parts["script"] = digest.brief(canonical(words))
        if self.handed:
            parts["context"] = self._handed_part(values)
        return parts

    def render(self, values: Mapping[str, Any]) -> Rendered:
        """What the agent is handed; raises RenderProblem."""
        rendered = self._arguments(values)
        if self.task is not None:
            rendered.text, rendered.bare = self._text(values)
        if self.handed:
            rendered.context = self._context(values)
        return rendered

    def _text(self, values: Mapping[str, Any]) -> tuple[str, str]:
        assert self.task is not None
        bare = self.task.render(values)
        if not self.appends:
            return bare, bare
        steps = values["steps"]
        return appended(bare, [steps[one] for one in self.handed]), bare

    def _arguments(self, values: Mapping[str, Any]) -> Rendered:
        if not (self.args or self.env or self.stdin):
            return Rendered()
        return Rendered(
            args=tuple(one.render(values) for one in self.args),
            env={name: one.render(values) for name, one in self.env.items()},
            stdin=self.stdin.render(values) if self.stdin is not None else None,
        )

    def _handed_part(self, values: Mapping[str, Any]) -> str:
        return digest.brief(canonical([_handed(one, values["decisions"][one]) for one in self.handed]))

    def _volatile_part(self, values: Mapping[str, Any]) -> str:
        """The sources and the digests of what they name; the volatile values themselves never cause a run."""
        decisions: Decisions = values["decisions"]
        params = values["params"]
        named = params if "*" in self.names.params else {name: params.get(name) for name in self.names.params}
        steps = [_handed(one, decisions[one]) for one in sorted(self.names.steps)]
        texts = {path: values["files"][path] for path in sorted(self.names.files | self.names.includes)}
        return digest.brief(canonical([self.fixed.get("script"), list(self.step.templates), named, steps, texts]))

    def _context(self, values: Mapping[str, Any]) -> dict[str, Any]:
        steps = values["steps"]
        shown = {}
        for one in self.handed:
            value = steps[one]
            shown[one] = {"status": value.status, "output": value.output, "files": dict(value.files)}
        return {
            "project": values["project"],
            "run": values["run"]["number"],
            "step": self.step.id,
            "params": values["params"],
            "steps": shown,
        }


def _ingredient(decision: Decision) -> tuple[str, str]:
    answer = decision.answer
    return (decision.status, answer.digest if answer is not None else decision.detail)


def _handed(step: str, decision: Decision) -> list[str | None]:
    return [step, decision.status, decision.answer.digest if decision.answer is not None else None]


def recipe_of(step: Step, workflow: Workflow, world: World, limits: Limits) -> Recipe:
    """Compile a step's templates and take the digests of what only an edit or the configuration changes."""
    texts = workflow.texts
    task = None if step.task is None else compile_template(step.task, texts=texts, limits=limits)
    args = tuple(compile_template(one, texts=texts, limits=limits) for one in step.args)
    env = {name: compile_template(one, texts=texts, limits=limits) for name, one in step.env.items()} or _NO_ENV
    stdin = None if step.stdin is None else compile_template(step.stdin, texts=texts, limits=limits)
    when = None if step.when is None else compile_expression(step.when, limits=limits)
    names = _union(one.names for one in (task, *args, *env.values(), stdin) if one is not None)
    named = tuple(sorted(names.steps, key=workflow.graph.rank.__getitem__)) if names.steps else ()
    return Recipe(
        step=step,
        task=task,
        args=args,
        env=env,
        stdin=stdin,
        when=when,
        uses=_in_order(named, step.after if step.context != "none" else ()) if named else _unnamed(step),
        handed=_handed_steps(step, named),
        appends=step.task is not None
        and bool(step.after)
        and step.context != "none"
        and (not named or step.context == "all"),
        volatile=bool(names.volatile),
        requested=bool((names.volatile | (when.names.volatile if when else frozenset())) & REQUEST_NAMES),
        fixed=_fixed_parts(step, workflow, world),
        files=files_of({"inputs": step.inputs}, workflow.files) if step.inputs else _NO_FILES,
        names=names,
    )


def listeners(workflow: Workflow, limits: Limits) -> Iterator[tuple[str, str]]:
    """The steps whose condition asks for notes on the bus, each with the project that those are about."""
    for step in workflow.steps.values():
        if step.when is not None and "bus" in step.when:
            for query in compile_expression(step.when, limits=limits).names.notes:
                yield step.id, query.project or workflow.project


def _unnamed(step: Step) -> tuple[str, ...]:
    return step.after if step.context != "none" else ()


def _handed_steps(step: Step, named: tuple[str, ...]) -> tuple[str, ...]:
    match step.context:
        case "none":
            return ()
        case "all":
            return _in_order(named, step.after)
        case _:
            return named or step.after


def _in_order(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))


def _union(all_names: Iterable[Names]) -> Names:
    found = list(all_names)
    if len(found) == 1:
        return found[0]
    return Names(
        steps=frozenset().union(*(one.steps for one in found)),
        params=frozenset().union(*(one.params for one in found)),
        files=frozenset().union(*(one.files for one in found)),
        includes=frozenset().union(*(one.includes for one in found)),
        volatile=frozenset().union(*(one.volatile for one in found)),
        notes=frozenset().union(*(one.notes for one in found)),
    )


def _fixed_parts(step: Step, workflow: Workflow, world: World) -> dict[str, str]:
    if step.run is None and not (step.with_ or step.inputs or step.artifacts) and step.output == Output():
        spec = world.agent(step.agent or "")
        return _plain_parts(step.agent, spec.profile if spec else "")
    parts = {"v": VERSION}
    if step.run is not None:
        command = world.commands.get(step.run.using)
        content = workflow.files[step.run.file] if step.run.file is not None else digest.of_text(step.run.text or "")
        parts["script"] = digest.brief(canonical([step.run.using, content, step.env and sorted(step.env)]))
        parts["profile"] = command.profile if command else ""
    else:
        spec = world.agent(step.agent or "")
        parts["agent"] = digest.brief(canonical([step.agent, step.with_]))
        parts["profile"] = spec.profile if spec else ""
    if step.inputs:
        parts["inputs"] = digest.brief(canonical(files_of({"inputs": step.inputs}, workflow.files)))
    if step.output != Output() or step.artifacts:
        wanted = [step.output.format, step.output.schema, sorted(step.artifacts)]
        parts["output"] = digest.brief(canonical(wanted))
    return parts


@lru_cache(maxsize=256)
def _plain_parts(agent: str | None, profile: str) -> dict[str, str]:
    """Of a step that has an agent and a task, and nothing else: the same, and never changed, for all that have these."""
    return {"v": VERSION, "agent": digest.brief(canonical([agent, {}])), "profile": profile}


def differing(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    """The parts that differ, sorted; over versions of the layout only those that both know. The profile is left out."""
    parts = old.keys() | new.keys() if old.get("v") == new.get("v") else old.keys() & new.keys()
    return tuple(sorted(part for part in parts - {"v", "profile"} if old.get(part) != new.get(part)))


_ORDER = (
    ("agent", Reason.AGENT_CHANGED),
    ("script", Reason.SCRIPT_CHANGED),
    ("inputs", Reason.INPUT_CHANGED),
    ("task", Reason.TASK_CHANGED),
)


def reason_of(changed: tuple[str, ...], *, same_definition: bool) -> Reason:
    """The reason that says most: an edit of the step before what other steps answered."""
    if same_definition and ("context" in changed or "output" not in changed):
        # Nobody edited this step: what it is given came from steps before it (or from parameters, which are its task).
        if "context" in changed:
            return Reason.OUTPUT_CHANGED
        return Reason.SCRIPT_CHANGED if "script" in changed else Reason.TASK_CHANGED
    for part, reason in _ORDER:
        if part in changed:
            return reason
    return Reason.OUTPUT_CHANGED
