"""Hands a dispatched step to its agent and brings the outcome to the inbox as the data of an event.

Called by the conductor after the dispatch is durable. Everything slow happens here, in an agent's thread: the attempt's
folder, the agent itself, artifacts and bodies to blobs (synced before the inbox hears of them), the output's schema.
An instant agent without files and schema answers where the conductor stands.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from select import POLLIN, poll
from threading import Lock
from time import monotonic
from typing import Any, Final

from glink.agents.agent import Adoption, Agent, ErrorClass, Failure, Outcome, Task
from glink.bus.blobs import Blobs
from glink.bus.encode import depth
from glink.errors import BusError
from glink.jsontext import dumps, is_short
from glink.limits import Limits
from glink.outputs import OutputProblem, check_artifacts, collect_artifacts, digest_of, raw_of, shaped
from glink.reconciler.inbox import Result
from glink.workflow import Output

_ROOM_SECONDS = 1.0
_RECORD_LEVELS = 2  # a record and its data stand around an answer
_RECORD_ROOM = (
    8_192  # what a record holds beside artifacts and answer: six words of usage of 200 characters, and its own
)
_WORD = 200
USAGE = ("input", "output", "cached", "calls", "cost_usd", "basis")
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM})


@dataclass(slots=True)
class Job:
    """A task with what the engine itself does around it: files in, artifacts and the shape of the answer out."""

    task: Task
    agent: str
    output: Output = field(default_factory=Output)
    artifacts: tuple[str, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    handed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def plain(self) -> bool:
        """Whether an instant agent can do it without folder and checks."""
        return not self.artifacts and not self.inputs and self.output.format == "text"


class Leash:
    """The engine's end of a running attempt: see `glink.agents.agent.Control`."""

    def __init__(self, *, adoptable: bool = False) -> None:
        self.adoptable = adoptable
        self.cancelled = False
        self.detached = False
        self._pipe: tuple[int, int] | None = None
        self._closed = False
        self._lock = Lock()

    def fileno(self) -> int:
        """A descriptor that turns readable when one of the flags is set."""
        with self._lock:
            if self._pipe is None:
                self._pipe = os.pipe2(os.O_CLOEXEC)
                if self.cancelled or self.detached:
                    os.write(self._pipe[1], b"!")
            return self._pipe[0]

    def cancel(self) -> None:
        self.cancelled = True
        self._ring()

    def detach(self) -> None:
        self.detached = True
        self._ring()

    def _ring(self) -> None:
        with self._lock:
            if self._pipe is not None and not self._closed:
                os.write(self._pipe[1], b"!")

    def waits(self, seconds: float) -> bool:
        """Wait, at most so long, to be cancelled or detached; whether it was."""
        poller = poll()
        poller.register(self.fileno(), POLLIN)
        return bool(poller.poll(seconds * 1000))

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._pipe is not None:
                for descriptor in self._pipe:
                    os.close(descriptor)


# For agents that answer at once: nobody has the time to pull at it.
_UNHELD: Final = Leash()


class Dispatcher:
    """Runs attempts, up to `concurrency` at once. `start`, `adopt`, `cancel` and `stop` are the conductor's."""

    def __init__(
        self,
        *,
        agent: Callable[[str], Agent],
        work: Path,
        blobs: Blobs,
        limits: Limits,
        concurrency: int,
        deliver: Callable[[Result], None],
    ) -> None:
        self._agent, self._work, self._blobs, self._limits, self._deliver = agent, work, blobs, limits, deliver
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="agent")
        self._leashes: dict[int, Leash] = {}

    def at_once(self, job: Job) -> Result | None:
        """What an agent that only answers makes of the task; it has no effect, so the dispatch need not be durable.

        None for all others, and for an answer that the disk does not take now: those are to be started.
        """
        try:
            agent = self._agent(job.agent)
            return self._judge(job, job.task, *_asked(agent, job.task)) if agent.instant and job.plain else None
        except Exception:  # a third party's kind may raise anything while it is set up: `start` says what
            return None

    def start(self, job: Job) -> None:
        """Begin the attempt, whose dispatch is durable; the result comes through `deliver`."""
        try:
            agent = self._agent(job.agent)
            adoptable, foldered = agent.adoptable, agent.foldered or bool(job.artifacts or job.inputs or job.handed)
        except Exception as error:  # as in `at_once`
            self._deliver(_failed(job, _internal(error, ErrorClass.CONFIG), Outcome(), 0.0))
            return
        task, outcome = job.task, None
        if agent.instant and job.plain:
            outcome, seconds = _asked(agent, task)
            try:
                self._deliver(self._judge(job, task, outcome, seconds))
                return
            except BusError:
                foldered = False  # what the disk refuses waits in a thread
            except Exception as error:  # a third party's kind may answer with anything
                self._deliver(_internal_result(job, error))
                return
        leash = self._leashes[task.fence] = Leash(adoptable=adoptable)
        if foldered:
            self._pool.submit(self._attempt, agent, job, leash)
        else:
            self._pool.submit(self._complete, lambda: outcome or agent.run(task, leash), job, task, leash)

    def adopt(self, job: Job, *, same_boot: bool) -> Adoption:
        """Look at what an earlier engine left running; RUNNING and FINISHED are waited for, the rest is the caller's."""
        folder = self.folder(job.task.fence)
        try:
            agent = self._agent(job.agent)
        except Exception:  # as in `start`: an agent that cannot be set up judges nothing
            return Adoption.LOST
        found = agent.examine(folder, same_boot=same_boot)
        if found in (Adoption.RUNNING, Adoption.FINISHED):
            leash = self._leashes[job.task.fence] = Leash(adoptable=agent.adoptable)
            task = replace(job.task, folder=folder)
            self._pool.submit(self._complete, lambda: agent.adopt(task, leash), job, task, leash)
        return found

    def cancel(self, fence: int) -> None:
        """Ask an attempt to end; nothing happens when it is not running here."""
        if (leash := self._leashes.get(fence)) is not None:
            leash.cancel()

    def forget(self, fence: int) -> None:
        """The outcome came another way: whoever waits for it here may stop."""
        if (leash := self._leashes.get(fence)) is not None:
            leash.detach()

    @property
    def in_flight(self) -> int:
        return len(self._leashes)

    def let_go(self, *, kill: bool) -> None:
        """The engine goes: attempts that outlive it are left running for the next start, the others are cancelled.

        `kill` cancels all of them.
        """
        for fence, leash in list(self._leashes.items()):
            if leash.adoptable and not kill:
                leash.detach()
            else:
                self.cancel(fence)

    def close(self) -> None:
        """Wait for the agents' threads; called when nothing is in flight any more, or all is let go."""
        self._pool.shutdown(wait=True)

    def folder(self, fence: int) -> Path:
        """The attempt's own folder."""
        return self._work / "attempts" / str(fence)

    def publish(self, target: Path, artifacts: Mapping[str, str]) -> None:
        """Copy a committed answer's artifacts to where people look for them."""
        self._pool.submit(self._copy_all, target, artifacts)

    def judged(self, job: Job, outcome: Outcome) -> Result:
        """What an outcome comes to that was brought from outside; any thread. Raises BusError for a full disk."""
        return self._judge(job, job.task, outcome, outcome.seconds)

    # In an agent's thread.

    def _attempt(self, agent: Agent, job: Job, leash: Leash) -> None:
        if leash.detached:
            self._forget(job, leash)
            return
        folder = self.folder(job.task.fence)
        try:
            self._prepare(job, folder)
        except (OSError, KeyError) as error:
            self._finish(job, _failed(job, _internal(error, ErrorClass.TRANSIENT), Outcome(), 0.0), leash)
            return
        task = replace(job.task, folder=folder)
        self._complete(lambda: agent.run(task, leash), job, task, leash)

    def _complete(self, run: Callable[[], Outcome], job: Job, task: Task, leash: Leash) -> None:
        started = monotonic()
        try:
            outcome = run()
            if leash.detached and not _ended_with_us(outcome):
                self._forget(job, leash)
                return
            result = self._kept(job, task, outcome, outcome.seconds or monotonic() - started, leash)
        except Exception as error:  # as in `_asked`
            result = _internal_result(job, error)
        self._finish(job, result, leash)

    def _kept(self, job: Job, task: Task, outcome: Outcome, seconds: float, leash: Leash) -> Result | None:
        """The result once the disk has taken its bodies: an answer that was paid for waits for room, as long as it takes.

        None when the engine goes first: an attempt that outlives it is judged by the next start.
        """
        while True:
            try:
                return self._judge(job, task, outcome, seconds)
            except BusError as error:
                if error.errno not in _NO_ROOM:
                    raise
                if not leash.waits(_ROOM_SECONDS):
                    continue
                if leash.adoptable and leash.detached:
                    return None
                what = f"ended before the disk took its answer: {error}"
                return _failed(job, Failure(ErrorClass.CANCELLED, "drained", what), outcome, seconds)

    def _judge(self, job: Job, task: Task, outcome: Outcome, seconds: float) -> Result:
        """The event that says what became of the attempt; artifacts and a long body are blobs by then."""
        if outcome.failure is not None:
            return _failed(job, outcome.failure, outcome, seconds)
        try:
            body = (
                outcome.output if job.plain and isinstance(outcome.output, str) else shaped(job.output, outcome.output)
            )
            artifacts = dict(outcome.artifacts)
            if job.artifacts and task.folder is not None:
                artifacts |= collect_artifacts(task.folder, job.artifacts, self._blobs, self._limits)
            elif job.artifacts or artifacts:
                check_artifacts(artifacts, job.artifacts, self._blobs)
            data = self._stored(body, artifacts)
        except OutputProblem as problem:
            return _failed(job, Failure(problem.cls, problem.code, str(problem)), outcome, seconds)
        _add_measures(data, outcome, seconds)
        return Result(task.project, task.step, task.fence, job.agent, "step.succeeded", data)

    def _stored(self, body: Any, artifacts: Mapping[str, str]) -> dict[str, Any]:
        """What the event says of an answer, with its body where there is room; raises OutputProblem for too many names."""
        raw, most = raw_of(body), self._limits.inline_bytes
        data: dict[str, Any] = {"digest": digest_of(raw, artifacts)}
        if artifacts:
            data["artifacts"] = dict(sorted(artifacts.items()))
            room = self._limits.record_bytes - _RECORD_ROOM - (size := len(dumps(artifacts)))
            if room < 0:
                what = f"the names of its artifacts take {size} bytes: make fewer, or give them shorter names"
                raise OutputProblem("artifacts", what, ErrorClass.TOO_LARGE)
            most = min(most, room)
        if isinstance(body, str):
            inline = is_short(body, most)
        else:
            inline = len(raw) <= most and depth(body) + _RECORD_LEVELS <= self._limits.json_depth
        if inline:
            data["output"] = body
        else:
            data |= {"blob": self._blobs.put(raw), "json": not isinstance(body, str)}
        return data

    def _prepare(self, job: Job, folder: Path) -> None:
        folder.mkdir(0o700, parents=True, exist_ok=True)
        for path, sha in job.inputs.items():
            self._copy(sha, folder / "inputs" / path)
        for step, files in job.handed.items():
            for path, sha in files.items():
                self._copy(sha, folder / "in" / step / path)
        if job.task.context is not None:
            (folder / "context.json").write_bytes(dumps(job.task.context))

    def _copy_all(self, target: Path, artifacts: Mapping[str, str]) -> None:
        for path, sha in artifacts.items():
            with suppress(OSError, KeyError):
                self._copy(sha, target / path)

    def _copy(self, sha: str, target: Path) -> None:
        """A copy, not a link: what an agent does to it must not reach the blob."""
        target.parent.mkdir(0o700, parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.tmp")
        with open(self._blobs.path(sha), "rb") as source, open(temporary, "wb") as sink:
            while os.copy_file_range(source.fileno(), sink.fileno(), 1 << 24):
                pass
        os.replace(temporary, target)

    def _finish(self, job: Job, result: Result | None, leash: Leash) -> None:
        # Delivered first: an engine that drains ends when nothing is in flight and nothing is waiting to be taken in.
        if result is not None:
            self._deliver(result)
        self._forget(job, leash)

    def _forget(self, job: Job, leash: Leash) -> None:
        self._leashes.pop(job.task.fence, None)
        leash.close()


def _asked(agent: Agent, task: Task) -> tuple[Outcome, float]:
    """The outcome of an agent that answers where the conductor stands, and the seconds it took."""
    started = monotonic()
    try:
        outcome = agent.run(task, _UNHELD)
        return outcome, outcome.seconds or monotonic() - started
    except Exception as error:  # an agent of a third party must not take the engine with it
        return Outcome(failure=_internal(error, ErrorClass.INTERNAL)), monotonic() - started


def _ended_with_us(outcome: Outcome) -> bool:
    """Whether an attempt that was let go could not go on by itself."""
    return outcome.failure is not None and outcome.failure.cls is ErrorClass.CANCELLED


def _failed(job: Job, failure: Failure, outcome: Outcome, seconds: float) -> Result:
    data: dict[str, Any] = {"class": failure.cls, "code": failure.code, "message": failure.message}
    if failure.retry:
        data["retry"] = True
    if failure.retry_at is not None:
        data["retry_at"] = failure.retry_at
    _add_measures(data, outcome, seconds)
    return Result(job.task.project, job.task.step, job.task.fence, job.agent, "step.failed", data)


def _add_measures(data: dict[str, Any], outcome: Outcome, seconds: float) -> None:
    data["seconds"] = round(seconds, 6)
    if outcome.usage and (usage := {name: _bounded(outcome.usage[name]) for name in USAGE if name in outcome.usage}):
        data["usage"] = usage
    if outcome.session is not None:
        data["session"] = outcome.session[:_WORD]


def _bounded(value: Any) -> Any:
    """A number as it is, anything else as a short word: an agent says what it used, and nothing more."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and abs(value) < 1e15 else str(value)[:_WORD]


def _internal(error: BaseException, cls: ErrorClass) -> Failure:
    return Failure(cls, type(error).__name__, str(error)[:500] or type(error).__name__)


def _internal_result(job: Job, error: BaseException) -> Result:
    return _failed(job, _internal(error, ErrorClass.INTERNAL), Outcome(), 0.0)
