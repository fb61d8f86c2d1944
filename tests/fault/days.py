"""Random days of a whole engine: people edit and ask, agents and workers answer, the disk refuses, engines come and go.

A seed gives the same day each time. Time and agents are the test's own (`tests.rig`),
the bus is real. Between rounds of acts all that `day_checks` knows must hold; now and then everything is answered, and
the day must come to rest.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import glink.fold
import glink.stepfold
import glink.world
from glink import digest
from glink.agents.agent import Adoption
from glink.bus.fsio import Disk
from glink.errors import BusError, GlinkError, Problem
from glink.jsontext import canonical
from glink.limits import Limits
from glink.project import Loaded
from glink.reconciler.actions import Reason
from glink.reconciler.dispatch import Job
from glink.reconciler.inbox import Request, Result
from glink.reconciler.retention import retention_of
from glink.roster import AgentSpec, CommandSpec
from glink.state import StepState
from glink.watch.source import Observation
from glink.workflow import Workflow
from tests.fault.day_checks import (
    Foretold,
    Ledger,
    ask_everything,
    check_boards,
    check_rest,
    check_slots,
    check_states,
    is_open,
    same_states,
    states_of,
)
from tests.fault.day_files import Author
from tests.rig import Rig, Time, failed, outcome

_ROUNDS = 60  # of one to four acts
_DAY = 86_400.0
_PASSES = 400  # that a round may cost at most
_DEEDS = 600  # until everything that was begun in a day has ended
_FAILURES = (
    "transient", "agent_failed", "lost", "internal", "invalid_output", "timeout", "refused", "auth", "throttled", "config",
)  # fmt: skip
_AGENTS = {
    "a": AgentSpec("a", "echo", {}, profile="p1"),
    "b": AgentSpec("b", "echo", {}, profile="p1"),  # only answers
    "c": AgentSpec("c", "echo", {}, profile="p1", concurrency=1),
    "q": AgentSpec("q", "echo", {}, profile="p1", concurrency=1, timeout={"queue": 30.0}),
    "w": AgentSpec("w", "pull", {"lease": 60}, profile="w"),
}
_COMMANDS = {"sh": CommandSpec("sh", ("sh",), profile="c")}


def live_through(seeds: Iterable[int]) -> int:
    """Days of these seeds, each on a bus of its own; gives back the number of acts."""
    done = 0
    for seed in seeds:
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            day = Day(seed, Path(folder))
            day.live()
            done += len(day.done)
    return done


class MoodyDisk(Disk):
    """Refuses the next `refusals` writes, and of all others `share`. Syncs nothing: the machine itself never stops."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self.refusals, self.share = 0, 0.0

    def pwrite(self, fd: int, data: Any, offset: int) -> int:
        self._may_refuse()
        return super().pwrite(fd, data, offset)

    def write(self, fd: int, data: Any) -> int:
        self._may_refuse()
        return super().write(fd, data)

    def fdatasync(self, fd: int) -> None:
        pass

    def fsync(self, fd: int) -> None:
        pass

    def fsync_dir(self, path: Path) -> None:
        pass

    def heal(self) -> None:
        self.refusals, self.share = 0, 0.0

    @property
    def is_well(self) -> bool:
        return not self.refusals and not self.share

    @contextmanager
    def well(self) -> Iterator[None]:
        """Takes everything for a while: what another process writes, or what is not today's question."""
        mood = self.refusals, self.share
        self.heal()
        try:
            yield
        finally:
            self.refusals, self.share = mood

    def _may_refuse(self) -> None:
        if self.refusals:
            self.refusals -= 1
        elif not self.share or self._random.random() >= self.share:
            return
        raise OSError(errno.ENOSPC, "no room")


class Day:
    """One day. `done` lists the acts, `events` what became durable in all lives: type, project and step."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed, self.done, self.events = seed, list[str](), list[tuple[str, str, str]]()
        self._folder, self._random, self._time = folder, Random(seed), Time()
        pick = self._random.choice
        self._disk, self._fails = MoodyDisk(seed), pick([0, 10, 30])
        self._disk_has_moods, self._forgets = self._happens(70), self._happens(40)
        self._author = Author(self._random, ["p", "q", "o"][: pick([1, 2, 3])])
        self._concurrency, self._engine, self._profile = pick([1, 2, 8, 64]), pick([None, "e", "e"]), "p1"
        self._kinds: dict[str, str] = {}
        bounds = pick([{"inline_bytes": 200, "batch_bytes": 20_000}, {"inline_bytes": 200}, {}])
        self._limits = Limits(
            **bounds, reserve_bytes=0, segment_bytes=8 << 10 if self._forgets else 64 << 10,
            checkpoint_events=pick([5, 50, 20_000]),
        )  # fmt: skip
        self._ledger = Ledger(remembers=not self._forgets)
        self._broken: set[str] = set()
        self._claimed: list[tuple[str, str, int]] = []
        self._asked: list[Request] = []
        self._begin(Adoption.NEVER_STARTED, rebooted=False)

    def live(self, rounds: int = _ROUNDS) -> None:
        """From morning to evening; AssertionError names the seed and the act."""
        try:
            with _short_memory(answers=self._forgets):
                self._live(rounds)
        except Exception as error:
            act = self.done[-1] if self.done else "the morning"
            raise AssertionError(f"seed {self.seed}, act {len(self.done)} ({act}): {error}") from error
        finally:
            self._rig.bus.close(clean=False)

    def _live(self, rounds: int) -> None:
        self._turns()
        for _ in range(rounds):
            for _ in range(self._random.choice([1, 1, 1, 2, 4])):  # in one pass
                self._act()
            self._turns()
            self._report_ended()
            if self._happens(30):
                self._turns()
            if self._happens(5) and self._rig.conductor.failure is None:
                self._look()
            if self._happens(4):
                self._rest()
        self._rest()
        self._restart()
        self._rest()
        self._end(clean=True)

    def _act(self) -> None:
        act = self._random.choices([act for _, act in _ACTS], [weight for weight, _ in _ACTS])[0]
        self.done.append(act.__name__.strip("_"))
        act(self)

    def _happens(self, percent: int) -> bool:
        return self._random.random() * 100 < percent

    def _project(self) -> str:
        return self._random.choice(self._author.projects)

    # Lives.

    def _begin(self, adoption: Adoption, *, rebooted: bool) -> None:
        commands = _COMMANDS if self._happens(95) else {}
        with self._disk.well():
            self._rig = rig = Rig(
                self._folder / "bus", disk=self._disk, time=self._time, agents=self._agents(), commands=commands,
                engine=self._engine, adoption=adoption, at_once=lambda job: self._answer(job) if job.agent == "b" else None,
                concurrency=self._concurrency, limits=self._limits, rebooted=rebooted,
            )  # fmt: skip
        self._ledger.rig, conductor = rig, rig.conductor
        conductor.listeners += [self._ledger.hear, self._hear]
        if self._forgets:
            conductor.retention = retention_of(
                conductor.books, conductor.saver, self._time.at, seconds=2 * _DAY, work=self._folder / "work"
            )
        with suppress(BusError):
            conductor.start()
        self._foretold = Foretold(rig)
        self._see(*self._author.files)

    def _hear(self, records: Sequence[Any]) -> None:
        self.events += [(one["type"], one.get("project", ""), one.get("step", "")) for one in records]

    def _agents(self) -> dict[str, AgentSpec]:
        """As the configuration has them today: an agent may be gone, work elsewhere, or have another profile."""
        agents = {}
        for name, spec in _AGENTS.items():
            kind = self._kinds.get(name, spec.kind)
            profile = self._profile if name == "a" else spec.profile
            if kind != "gone":
                agents[name] = replace(
                    spec, kind=kind, profile=profile, options={"lease": 60} if kind == "pull" else {}
                )
        return agents

    def _restart(self) -> None:
        """The engine ends and another begins, which thinks what the one before thought."""
        clean = self._happens(50)
        self._end(clean=clean)
        before = states_of(self._rig)
        if not clean and self._happens(40):
            for path in (self._folder / "bus" / "checkpoints").iterdir():
                path.unlink()
        if self._happens(10):
            self._profile = self._random.choice(["p1", "p2"])
        if self._happens(20):
            self._kinds[self._random.choice("aw")] = self._random.choice(["echo", "pull", "gone"])
        if self._happens(10):
            self._engine = self._random.choice([None, "e"])
        self._time.at += self._random.choice([0, 1, 50])
        self._begin(self._random.choice(list(Adoption)), rebooted=self._happens(30))
        same_states(before, states_of(self._rig), "the engines before and after a restart")

    def _end(self, *, clean: bool) -> None:
        self._heal()
        self._look_at_states()
        if clean:
            self._rig.conductor.stop()
        else:
            self._rig.conductor.saver.wait()
            self._rig.bus.close(clean=False)

    def _heal(self) -> None:
        self._disk.heal()
        if self._rig.conductor.failure is not None:
            self._time.at += 2
        self._turns()

    # Passes, and what must hold between them.

    def _turns(self) -> None:
        """Passes until nothing more is to be decided without an answer or the clock."""
        conductor, inbox = self._rig.conductor, self._rig.inbox
        for _ in range(_PASSES):
            conductor.turn(0)
            self._let_threads_end()
            if not len(inbox) and (conductor.failure is not None or not conductor.books.todo):
                break
        else:
            raise AssertionError(f"no end of passes: {self.events[-6:]}")
        assert not self._foretold.wrong, self._foretold.wrong
        if conductor.failure is None:
            self._look_at_requests()
            check_slots(self._rig)
            self._forget_sometimes()
            check_boards(self._rig)

    def _let_threads_end(self) -> None:
        """Whoever writes beside the conductor is done before it goes on, so that chance alone orders a day."""
        conductor = self._rig.conductor
        if conductor.saver._thread is not None:
            conductor.saver._thread.join()
        if conductor.retention is not None:
            conductor.retention.close()

    def _forget_sometimes(self) -> None:
        for desk in self._rig.desks.values():
            if desk.board is not None and self._happens(10):
                desk.board.forget()

    def _look_at_requests(self) -> None:
        for request in self._asked:
            assert request.done.is_set(), f"{request.verb} {request.project} has no answer"
            assert type(request.error) is not GlinkError, f"{request.verb} {request.project}: {request.error}"
            assert request.error is None or isinstance(request.error, GlinkError), f"{request.verb}: {request.error!r}"
        self._asked.clear()

    def _look_at_states(self) -> None:
        if self._rig.conductor.failure is None:
            check_states(self._rig, whole=not self._forgets)

    def _look(self) -> None:
        ask_everything(self._rig, self._folder)
        self._turns()
        self._look_at_states()

    def _rest(self) -> None:
        """The disk heals, everybody answers, and all comes to rest: then nothing happens by itself."""
        self.done.append("rest")
        self._heal()
        rig, conductor = self._rig, self._rig.conductor
        conductor.world.serve_only = False
        conductor.books.touch_all()
        self._see(*sorted(self._broken & self._author.files.keys()))
        self._broken.clear()
        for project in self._author.projects:
            self._ask("resume", project)
        fails, self._fails = self._fails, 0
        for _ in range(_DEEDS):
            self._turns()
            self._report_ended()
            if not len(rig.inbox) and not self._go_on():
                break
        else:
            raise AssertionError(f"it does not come to rest: {self.events[-8:]}")
        self._fails = fails
        check_rest(conductor, self._author.files, self._time.at)
        before = len(self.events)
        for desk in rig.desks.values():
            conductor.books.touch(desk, None)
        self._turns()
        self._look()
        assert len(self.events) == before, f"at rest, and yet {self.events[before:]}"

    def _go_on(self) -> bool:
        """The next thing that brings the day to its rest; False when there is none."""
        conductor, jobs = self._rig.conductor, self._rig.hands.jobs
        if conductor.failure is not None or conductor._returned:
            self._time.at += 1.1
        elif jobs:
            self._rig.inbox.put(self._answer(jobs.pop(min(jobs))))
        elif (keeper := conductor.retention) is not None and (keeper.busy or keeper.wake_at <= self._time.at):
            self._time.at += 1
        elif held := self._held_by_workers():
            self._send_result(*held[0], _good("w"))
        elif offers := self._takeable_offers():
            request = self._take(*offers[0], "w1")
            self._turns()
            assert request.error is None, f"the offer of {offers[0]} cannot be taken: {request.error}"
        else:
            return self._wait_for_timer()
        return True

    def _wait_for_timer(self) -> bool:
        times = self._rig.conductor._wakes.values()
        self._time.at = max(self._time.at, min(times, default=0.0))
        return bool(times)

    def _takeable_offers(self) -> list[tuple[str, str, str]]:
        conductor, found = self._rig.conductor, []
        for project, step, past in self._steps(lambda step: step.offer is not None):
            desk, offer = conductor.desks[project], past.offer
            if desk.board is None or offer is None or step not in desk.board.decisions:
                continue
            waits = desk.board.decisions[step].reason is Reason.NO_WORKER
            if waits and is_open(conductor, desk, step, offer.agent, self._time.at):
                found.append((project, step, offer.agent))
        return found

    def _steps(self, which: Callable[[StepState], bool]) -> list[tuple[str, str, StepState]]:
        return [
            (desk.name, name, step)
            for desk in self._rig.desks.values()
            for name, step in desk.state.steps.items()
            if which(step)
        ]

    # Agents and workers.

    def _answer(self, job: Job) -> Result:
        if self._happens(self._fails):
            cls = self._random.choice(_FAILURES)
            if cls == "throttled" and self._happens(70):
                return failed(job, cls, retry_at=self._time.at + self._random.choice([0, 3, 100]))
            return failed(job, cls)
        if job.output.format == "json":
            return outcome(job, {"k": len(job.task.text) % 3})
        if self._happens(1):
            return outcome(job, "z" * 5000)
        if self._happens(3) and self._disk.is_well:
            body = (job.task.bare * 2000).encode()
            data = {"digest": digest.brief(body), "blob": self._rig.bus.blobs.put(body), "seconds": 0.0}
            return Result(job.task.project, job.task.step, job.task.fence, job.agent, "step.succeeded", data)
        return outcome(job, f"{job.task.step}:{sum(job.task.text.encode()) % 3}")

    def _report_ended(self) -> None:
        """Attempts that were told to end say that they did, or that they were done before they heard it."""
        hands = self._rig.hands
        for fence in hands.cancelled:
            job = hands.jobs.pop(fence, None)
            if job is not None:
                self._rig.inbox.put(failed(job, "cancelled") if self._happens(70) else self._answer(job))
        hands.cancelled.clear()

    def _take(self, project: str, step: str, agent: str, worker: str) -> Request:
        return self._ask("claim", project, step=step, agent=agent, worker=worker)

    def _send_result(self, project: str, step: str, fence: int, said: tuple[str, dict[str, Any]]) -> None:
        kind, data = said
        self._ask("result", project, step=step, fence=fence, type=kind, data=data, digests=[data.get("digest")])

    def _ask(self, verb: str, project: str, **arguments: Any) -> Request:
        request = Request(verb=verb, project=project, arguments=arguments, by="somebody")
        self._rig.inbox.put(request)
        self._asked.append(request)
        return request

    def _see(self, *projects: str, gone: tuple[str, ...] = ()) -> None:
        with self._disk.well():
            self._rig._see(*(self._author.files[one] for one in projects), gone=gone)

    # Acts.

    def _edit(self) -> None:
        project = self._project()
        self._author.write(project, self._author.edit(project))
        self._see(project)

    def _move(self) -> None:
        """A project's files get another name."""
        old, new = self._project(), self._project()
        if old in self._author.files and new not in self._author.files:
            self._author.write(new, {**self._author.files.pop(old), "project": new})
            self._see(new, gone=(old,))

    def _remove(self) -> None:
        project = self._project()
        if self._author.files.pop(project, None) is not None:
            self._see(gone=(project,))

    def _break(self) -> None:
        """What the files of a project say is not right until the day's next rest, or the next edit."""
        project, rig = self._project(), self._rig
        if project in self._author.files:
            problem = Problem(project, 1, 1, "", "it is broken", "mend it")
            rig._last[project] = Loaded(project, None, (problem,), {}, {})
            stamp = f"broken{self._random.randrange(99)}"
            rig.inbox.put(Observation(stamp, dict(rig._last), frozenset({project}), frozenset()))
            self._broken.add(project)

    def _serve_only(self) -> None:
        conductor = self._rig.conductor
        conductor.world.serve_only = not conductor.world.serve_only
        conductor.books.touch_all()

    def _finish(self) -> None:
        jobs = self._rig.hands.jobs
        if jobs:
            self._rig.inbox.put(self._answer(jobs.pop(self._random.choice(sorted(jobs)))))

    def _wait(self) -> None:
        self._time.at += self._random.choice([0.5, 2, 7, 40, 400])

    def _sleep(self) -> None:
        if self._forgets:
            self._time.at += self._random.choice([1, 3]) * _DAY

    def _run(self) -> None:
        arguments: dict[str, Any] = {}
        if self._happens(30):
            arguments["force"] = True
        if self._happens(30):
            arguments["params"] = {"x": self._random.choice("1234")}
        if self._happens(10):
            arguments |= {"key": self._random.choice("kl"), "body": "b"}
        self._ask("run", self._project(), **arguments)

    def _retry(self) -> None:
        self._ask_of_step("retry")

    def _cancel(self) -> None:
        self._ask_of_step("cancel")

    def _ask_of_step(self, verb: str) -> None:
        """Of one step, or of the whole project."""
        project = self._project()
        desk = self._rig.desks.get(project)
        workflow = desk.workflow if desk is not None else None
        known = {*(desk.state.steps if desk is not None else ()), *(workflow.steps if workflow is not None else ())}
        if self._happens(60):
            self._ask(verb, project, step=self._random.choice(sorted(known or {"s1"})))
        else:
            self._ask(verb, project)

    def _suspend(self) -> None:
        self._ask("suspend", self._project())

    def _resume(self) -> None:
        self._ask("resume", self._project())

    def _release(self) -> None:
        self._ask("release", self._project())

    def _delete(self) -> None:
        self._ask("delete", self._project())

    def _note(self) -> None:
        project = self._project()
        self._ask(
            "write", project, events=[{"project": project, "type": "note", "data": {"z": self._random.randrange(3)}}]
        )

    def _submit(self) -> None:
        """Somebody hands in a workflow that no file says: a new one, a former one, or what the files say."""
        project, author = self._project(), self._author
        source = author.former(project) if self._happens(60) else author.edit(project)
        author.written[project].append(source)
        with self._disk.well():
            submitted = Workflow.of(source, self._rig.bus.blobs.put(canonical(source)))
        arguments = {"force": True} if self._happens(30) else {}
        self._ask("submit", project, workflow=submitted, **arguments)

    def _claim(self) -> None:
        offers = [
            (project, step, past.offer.agent)
            for project, step, past in self._steps(lambda step: step.offer is not None)
            if past.offer is not None
        ]
        if offers:
            self._take(*self._random.choice(offers), self._random.choice(["w1", "w2"]))

    def _heartbeat(self) -> None:
        if held := self._held_by_workers():
            project, step, fence = self._random.choice(held)
            self._ask("heartbeat", project, step=step, fence=fence)

    def _work(self) -> None:
        """A worker sends a result, perhaps once more, or of a claim that is over."""
        self._claimed += self._held_by_workers()
        if self._claimed:
            said = _good(f"w{self._random.randrange(2)}")
            if self._happens(20):
                cls = self._random.choice(["agent_failed", "transient", "throttled", "auth"])
                said = "step.failed", {"class": cls, "code": "x", "message": "it broke"}
            self._send_result(*self._random.choice(self._claimed), said)

    def _held_by_workers(self) -> list[tuple[str, str, int]]:
        held = self._steps(lambda step: bool(step.fence and step.worker))
        return [(project, step, past.fence) for project, step, past in held]

    def _change_disk(self) -> None:
        if self._disk_has_moods:
            self._disk.refusals, self._disk.share = self._random.choice(
                [(1, 0.0), (2, 0.0), (5, 0.0), (0, 0.3), (0, 1.0), (0, 0.0)]
            )


def _good(output: str) -> tuple[str, dict[str, Any]]:
    return "step.succeeded", {"digest": digest.brief(output.encode()), "output": output, "seconds": 1.0}


@contextmanager
def _short_memory(*, answers: bool) -> Iterator[None]:
    """What an engine keeps of the past is so little that a day is enough to come to its bounds."""
    bounds = [
        (glink.fold, "MAX_NOTES", 3),
        (glink.fold, "MAX_KEYS", 2),
        (glink.world, "MAX_SPANS", 3),
        (glink.world, "MAX_REVISIONS", 3),
    ]
    with ExitStack() as stack:
        for module, name, most in [*bounds, *([(glink.stepfold, "MAX_ANSWERS", 3)] if answers else [])]:
            stack.enter_context(patch.object(module, name, most))
        yield


_ACTS: Sequence[tuple[float, Callable[[Day], None]]] = (
    (20, Day._edit),
    (1, Day._move),
    (2, Day._remove),
    (1, Day._break),
    (1, Day._serve_only),
    (26, Day._finish),
    (6, Day._wait),
    (2, Day._sleep),
    (6, Day._run),
    (4, Day._retry),
    (4, Day._cancel),
    (2, Day._suspend),
    (3, Day._resume),
    (2, Day._release),
    (1, Day._delete),
    (2, Day._note),
    (3, Day._submit),
    (5, Day._claim),
    (1, Day._heartbeat),
    (5, Day._work),
    (4, Day._change_disk),
    (1.5, Day._restart),
)
