"""What people write in a day: workflows that chance makes, and edits of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from random import Random
from typing import Any

from glink import digest
from tests.rig import step, workflow

_NAMES = tuple(f"s{number}" for number in range(6))
_SPARE = ("x1", "x2")
_FILE = "data/a"
_OF_PARENTS = (  # how many of a hundred tasks with parents say this of one
    (40, " {{ steps['%s'].output | default('-') }}"),
    (8, " {{ steps['%s'].error | default('ok') }}"),
    (5, " {{ steps['%s'].status }}"),
    (5, " {{ steps['%s'].output.nokey }}"),
)
_OF_THE_MOMENT = (
    " {{ now }}",
    " {{ revision }}",
    " {{ trigger }}",
    " {{ run.number }} {{ attempt }}",
    " {{ bus.latest('note') | default('none') }}",
    " {{ bus.latest('note').data.z }}",
)
_CONDITIONS = (
    "steps['%s'].output | length > 5",
    "steps['%s'].status == 'succeeded'",
    "steps['%s'].output.k == 1",
)

Source = dict[str, Any]


class Author:
    """`files` is what the files say now, `written` every version that there was, by project."""

    def __init__(self, random: Random, projects: Sequence[str]) -> None:
        self._random, self.projects = random, projects
        self.files: dict[str, Source] = {}
        self.written: dict[str, list[Source]] = {name: [] for name in projects}

    def write(self, project: str, source: Source) -> Source:
        """The files of a project say this from now on."""
        self.files[project] = source
        self.written[project].append(source)
        return source

    def edit(self, project: str) -> Source:
        """An edit of what the files say, not written yet; a new workflow where they say nothing."""
        old = self.files.get(project)
        if old is None:
            return self.anew(project)
        weights = [weight for weight, _ in _EDITS]
        kind = self._random.choices([how for _, how in _EDITS], weights)[0]
        return kind(self, deepcopy(old))

    def anew(self, project: str) -> Source:
        """A workflow of one to six steps; parents come earlier."""
        more: Source = {}
        if self._happens(40):
            more["params"] = self._params()
        if self._happens(15):
            more["concurrency"] = self._random.choice([1, 2])
        if self._happens(5):
            more["suspend"] = True
        names = self._random.sample(_NAMES, self._random.randint(1, 6))
        steps = [self._step(name, names[:number], "params" in more) for number, name in enumerate(names)]
        return self._with_files(workflow(project, *steps, **more))

    def former(self, project: str) -> Source:
        """A version of before; a new one where there is none."""
        versions = self.written[project]
        return self._random.choice(versions) if versions else self.anew(project)

    # One step.

    def _step(self, name: str, earlier: Sequence[str], has_params: bool) -> Source:
        count = min(len(earlier), self._random.choice([0, 1, 1, 2]))
        after = tuple(sorted(self._random.sample(list(earlier), count)))
        more = self._joining(after) | self._policies()
        if not after and has_params and self._happens(10):
            more["when"] = "params.x == '1'"
        if self._happens(3):
            more["when"] = "bus.latest('note').data.z == 1"
        if self._happens(10):
            return self._program(name, after, more)
        if self._happens(10):
            more["output"] = {"format": "json", "schema": {"type": "object"}, "reask": self._random.choice([0, 2])}
        agent = self._random.choice("aabbbccqww")
        return step(name, self._task(after, has_params), after, agent=agent, **more)

    def _program(self, name: str, after: tuple[str, ...], more: Source) -> Source:
        script = {"using": "sh", "text": f"echo {self._random.randrange(3)}"}
        made = {"id": name, "run": script, "after": list(after), **more}
        if after and self._happens(50):
            made["args"] = [f"{{{{ steps['{after[0]}'].output | default('-') }}}}"]
        if self._happens(30):
            made["stdin"] = "{{ run.number }}"
        return made

    def _task(self, after: Sequence[str], has_params: bool) -> str:
        text = f"t{self._random.randrange(3)}"
        for percent, saying in _OF_PARENTS:
            if after and self._happens(percent):
                text += saying % self._random.choice(after)
        if has_params and self._happens(40):
            text += " {{ params.x }}"
        if self._happens(20):
            text += self._random.choice(_OF_THE_MOMENT)
        return text

    def _joining(self, after: Sequence[str]) -> Source:
        made: Source = {}
        if after and self._happens(50):
            made["join"] = self._random.choice(["all_success", "none_failed", "one_success", "all_done"])
        if after and self._happens(40):
            made["context"] = self._random.choice(["auto", "none", "all"])
        if after and self._happens(20):
            made["when"] = self._random.choice(_CONDITIONS) % after[0]
        return made

    def _policies(self) -> Source:
        pick = self._random.choice
        made: Source = {}
        if self._happens(15):
            made["on_change"] = pick(["hold", "hold", "keep"])
        if self._happens(10):
            made["reuse"] = False
        if self._happens(10):
            made["side_effects"] = True
        if self._happens(15):
            made["allow_failure"] = True
        if self._happens(50):
            made["retry"] = {"attempts": pick([1, 2, 3]), "delay": pick([0.0, 1.0])}
        if self._happens(10):
            made["timeout"] = {"queue": pick([5.0, 100.0])}
        if self._happens(10):
            made["inputs"] = ["data/*"]
        return made

    def _params(self) -> Source:
        return {"x": {"default": self._random.choice(["1", "2", "3"])}}

    def _with_files(self, source: Source) -> Source:
        if any("inputs" in one for one in source["steps"]) and "files" not in source:
            source["files"] = {_FILE: digest.of_text("1")}
        return source

    def _happens(self, percent: int) -> bool:
        return self._random.random() * 100 < percent

    # Edits: each gets a copy of what the files say, which it may change.

    def _go_back(self, source: Source) -> Source:
        return self.former(source["project"])

    def _start_over(self, source: Source) -> Source:
        return self.anew(source["project"])

    def _change_step(self, source: Source) -> Source:
        steps = source["steps"]
        number = self._random.randrange(len(steps))
        one = steps[number]
        steps[number] = self._step(one["id"], [other["id"] for other in steps[:number]], "params" in source)
        return self._with_files(source)

    def _change_task(self, source: Source) -> Source:
        one = self._random.choice(source["steps"])
        if "task" in one:
            one["task"] = self._task(one["after"], "params" in source)
        if self._happens(30):
            one["name"] = self._random.choice(["one name", "another"])
        return source

    def _rename_step(self, source: Source) -> Source:
        taken = [one["id"] for one in source["steps"]]
        old = self._random.choice(taken)
        new = self._random.choice([name for name in (*_NAMES, *_SPARE) if name not in taken])
        text = json.dumps(source).replace(f"'{old}'", f"'{new}'").replace(f'"{old}"', f'"{new}"')
        renamed: Source = json.loads(text)
        return renamed

    def _drop_step(self, source: Source) -> Source:
        """One that nobody comes after, and not the last one."""
        steps = source["steps"]
        named = {parent for one in steps for parent in one["after"]}
        if len(steps) > 1:
            steps.remove(self._random.choice([one for one in steps if one["id"] not in named]))
        return source

    def _change_file(self, source: Source) -> Source:
        if "files" in source:
            source["files"] = {_FILE: digest.of_text(self._random.choice("123"))}
        return source

    def _change_params(self, source: Source) -> Source:
        if "params" in source:
            source["params"] = self._params()
        return source

    def _change_concurrency(self, source: Source) -> Source:
        source["concurrency"] = self._random.choice([1, 2])
        return source

    def _take_steps_of_another(self, source: Source) -> Source:
        other = self._random.choice(self.projects)
        return {**deepcopy(self.files.get(other, source)), "project": source["project"]}

    def _turn_on_or_off(self, source: Source) -> Source:
        source["suspend"] = not source.get("suspend", False)
        return source


_EDITS: Sequence[tuple[int, Callable[[Author, Source], Source]]] = (
    (15, Author._start_over),
    (15, Author._go_back),
    (12, Author._change_step),
    (13, Author._change_task),
    (15, Author._rename_step),
    (10, Author._drop_step),
    (6, Author._change_file),
    (4, Author._change_params),
    (2, Author._change_concurrency),
    (5, Author._take_steps_of_another),
    (5, Author._turn_on_or_off),
)
