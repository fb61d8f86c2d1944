"""The table of questions: how each is answered from a view, and where the API answers it.

A question looks at the view at once, and gives back what is left to be done without it: reading bodies and files. So
the conductor's thread is held for the looking alone. What that gives is JSON data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from glink.answers.logs import logs
from glink.answers.output import output, prompt
from glink.answers.plan import plan_of, plans
from glink.answers.status import commit, project_status, projects
from glink.answers.why import why
from glink.jsontext import dumps, loads
from glink.view import View

Finish = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Question:
    """`answer(view, **arguments)`; `path` is of the API, with arguments in braces, the others go into the query."""

    answer: Callable[..., Finish]
    path: str
    needs_bus: bool = False


QUESTIONS: Mapping[str, Question] = {
    "projects": Question(projects, "/projects?detail=1"),
    "project": Question(project_status, "/status/project"),
    "commit": Question(commit, "/status/project"),
    "plans": Question(plans, "/plan"),
    "plan": Question(plan_of, "/projects/{project}/plan"),
    "why": Question(why, "/projects/{project}/why"),
    "why_step": Question(why, "/projects/{project}/steps/{step}/why"),
    "output": Question(output, "/projects/{project}/steps/{step}/output", needs_bus=True),
    "prompt": Question(prompt, "/projects/{project}/steps/{step}/prompt", needs_bus=True),
    "logs": Question(logs, "/projects/{project}/steps/{step}/logs", needs_bus=True),
}


def answer(view: View, question: str, **arguments: Any) -> Any:
    """The answer as plain JSON data."""
    return loads(dumps(QUESTIONS[question].answer(view, **arguments)()))
