"""Status pages of projects that the real engine ran: what the tests of the pages and of the browser look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from glink.limits import Limits
from glink.pages.files import whole_site, write_files
from glink.pages.past import Pasts
from glink.pages.prompts import Prompt, Prompts
from glink.project import load_project
from glink.reconciler.desk import Desk
from glink.reconciler.dispatch import Job
from glink.reconciler.survey import survey
from glink.report import Report
from glink.roster import AgentSpec
from glink.state import ProjectState
from tests.rig import Rig, step, workflow

NAMES = ("search-agent", "code-agent", "frontend-agent", "review-agent", "translator", "qa-agent", "deploy-agent")
AGENTS = {name: AgentSpec(name=name, kind="echo", profile="p1") for name in ("a", "b", *NAMES)}
TASKS = (
    "Search coffee shops in Shanghai",
    "Convert results to JSON",
    "Translate to zh/en",
    "Review the patch",
    "Build HTML card page",
    "Summarise findings",
    "Run acceptance tests",
    "Deploy preview",
)
# Thirteen columns, thirty steps: what each comes after.
SHAPE: Mapping[int, tuple[int, ...]] = {
    1: (), 2: (1,), 3: (1,), 4: (1,), 5: (4,), 6: (2,), 7: (2,), 8: (2,), 9: (4,), 10: (9,), 11: (6,), 12: (7,), 13: (8,),
    14: (11,), 15: (10,), 16: (12, 10), 17: (11,), 18: (12,), 19: (11, 13, 5), 20: (18,), 21: (15,), 22: (19, 12), 23: (21,),
    24: (20, 22), 25: (20,), 26: (14, 22), 27: (25,), 28: (24,), 29: (27, 24), 30: (29,),
}  # fmt: skip
UNAVAILABLE = "HTTP 503 from the search index: upstream connect error or disconnect before headers"


class Site:
    """An engine on a folder, and its pages."""

    def __init__(self, path: Path, **more: Any) -> None:
        self.limits = Limits(**more)
        self.folder = path / "site"
        self.rig = Rig(path / "bus", agents=AGENTS)

    def report(self, project: str) -> Report:
        return survey(self.rig.desks[project], self.rig.time.at)

    def reports(self) -> list[Report]:
        return [self.report(name) for name in sorted(self.rig.desks)]

    def pasts(self) -> Pasts:
        return Pasts.of(self.rig.records, self.limits)

    def prompts(self, fences: Sequence[int]) -> Mapping[int, Prompt]:
        return Prompts(self.rig.bus.read, self.rig.bus.blobs.get, self.limits)(fences)

    def write(self) -> Path:
        """The whole site on the disk; its folder."""
        files = whole_site(
            self.reports(),
            self.pasts(),
            now=self.rig.time.at,
            limits=self.limits,
            prompts=self.prompts,
            revision="main@sha1:3f2a9c1d77b0c2f1e5ab",
        )
        write_files(self.folder, files)
        return self.folder

    def play(self, answer: Callable[[Job], Any], *, seconds: Callable[[Job], float | None]) -> None:
        """Answer in the order of ends, each job after its seconds; a job with None goes on, an Exception fails it."""
        rig = self.rig
        ends: dict[int, float] = {}
        while True:
            rig.turn()
            for fence, job in rig.hands.jobs.items():
                length = seconds(job)
                if fence not in ends and length is not None:
                    ends[fence] = rig.time.at + length
            over = [fence for fence in rig.hands.jobs if fence in ends]
            if not over:
                return
            fence = min(over, key=lambda one: (ends[one], one))
            rig.time.at = max(rig.time.at, ends[fence])
            given, took = answer(rig.hands.jobs[fence]), seconds(rig.hands.jobs[fence])
            if isinstance(given, Exception):
                rig.fail(fence, "agent_failed", "exit-1", str(given), seconds=took)
            else:
                rig.succeed(fence, given, took or 0.0)


def coffee(site: Site, project: str = "team-a/coffee-cards") -> None:
    """Thirty steps in the middle of their run: one failed, two at work, one held up behind the failure."""
    steps = [
        step(
            str(number),
            TASKS[number * 5 % len(TASKS)],
            tuple(map(str, after)),
            NAMES[number * 3 % len(NAMES)],
            implied=after == (number - 1,),
            retry={"attempts": 1},
        )
        for number, after in SHAPE.items()
    ]
    site.rig.observe(
        workflow(project, *steps, description="Coffee shops of Shanghai as a page of cards, in two languages"),
        revision="main@sha1:3f2a9c1d77b0c2f1e5ab",
    )

    def answer(job: Job) -> Any:
        return RuntimeError(UNAVAILABLE) if job.task.step == "21" else f"{job.task.bare}: 12 cards, 3 of them new"

    def seconds(job: Job) -> float | None:
        number = int(job.task.step)
        return None if number in (20, 22) else 4.0 + number * 7 % 11

    site.play(answer, seconds=seconds)
    site.rig.time.at += 9


def three(site: Site, project: str = "hello-world") -> None:
    """Three steps, all done."""
    steps = [
        step("1", "Say hello"),
        step("2", "Translate it", ("1",), implied=True),
        step("3", "Print it", ("2",), "b"),
    ]
    site.rig.observe(workflow(project, *steps))
    site.play(lambda job: job.task.bare, seconds=lambda job: 0.4)


def many(site: Site, count: int, project: str = "many", *, wide: bool = False) -> None:
    """So many steps, all done: in rows of ten that pass on what they have, or (`wide`) all after the first."""
    steps = [step("1", "Begin")]
    for number in range(2, count + 1):
        after = "1" if wide else str(max(1, number - 10))
        steps.append(
            step(str(number), f"Translate part {number}", (after,), NAMES[number % len(NAMES)], context="none")
        )
    site.rig.observe(workflow(project, *steps))
    site.rig.settle(lambda job: f"part {job.task.step} is translated")


def invalid(site: Site, project: str = "typing", text: str = "") -> None:
    """A file that somebody is still typing, read by the real loader."""
    file = site.folder.parent / "projects" / f"{project}.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text or 'steps:\n  - step: 1\n    agnet: a\n    task: "Say {{ steps[3].output }}"\n')
    loaded = load_project(project, file, file.parent, limits=site.limits)
    assert loaded.problems
    desk = site.rig.desks.setdefault(project, Desk(project, ProjectState(project)))
    desk.problems = loaded.problems


def mixed(site: Site) -> None:
    """A project of each kind: running and failed, done, invalid, held, suspended, cancelled, without a worker, gone."""
    rig = site.rig
    coffee(site)

    def settle() -> None:
        site.play(lambda job: "ok", seconds=lambda job: None if job.task.project.startswith("team-a/") else 1.0)

    letter = workflow("letter", step("draft", "Write it", on_change="hold"), step("send", "Send it", ("draft",)))
    rig.observe(letter, workflow("hello-world", step("1", "Say hello")), workflow("nightly", step("1", "Count")))
    settle()
    letter["steps"][0]["task"] = "Write the next one"
    rig.observe(letter)
    rig.ask("suspend", "nightly")
    rig.observe(workflow("stopped", step("1", "Wait for the lorry"), step("2", "Unload", ("1",))))
    rig.ask("cancel", "stopped", step="1")
    rig.hands.jobs.pop(rig.hands.cancelled[-1])
    rig.observe(workflow("lonely", step("1", "Nobody does this", agent="nobody")), workflow("old", step("1", "Once")))
    settle()
    rig.observe(gone=("old",))
    invalid(site)
