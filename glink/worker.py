"""A worker in a box: claims steps of one agent from a server, runs a command for each, brings the answer back.

    offers      the open ones, then each as it comes; those that could not be claimed are asked for again
    claim       a folder of its own, its files fetched; the command is run as a `command` agent runs it
    heartbeat   every third of the lease; a cancel ends the command
    result      artifacts first, then the answer under the fence and the key of the claim; again until it is taken

It runs on any machine that reaches the server. Called by `glink worker`.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from threading import Event, Lock, Thread
from typing import Any, Final

from glink.agents import registry
from glink.agents.agent import Agent, Outcome, Task
from glink.errors import BusError, Conflict, GlinkError, NoState, UsageError
from glink.event import Record
from glink.jsontext import dumps
from glink.limits import Limits
from glink.outputs import matching_files
from glink.reconciler.dispatch import Leash
from glink.remote import Remote
from glink.roster import AgentSpec

PIECE: Final = 512 << 10
AGAIN_SECONDS: Final = 3.0
_TEMPORARY: Final = frozenset({"no_slot", "suspended", "agent_cooling", "agent_paused", "draining", "serve_only"})

Say = Callable[[str], None]


class Worker:
    """Runs until `stop`; `once` ends when nothing is open any more. `done` and `failed` count results."""

    def __init__(
        self, remote: Remote, agent: str, command: Sequence[str], *, slots: int, name: str, say: Say, limits: Limits
    ) -> None:
        self.done = self.failed = 0
        self._remote, self._agent, self._name, self._say, self._limits = remote, agent, name, say, limits
        spec = AgentSpec(agent, "command", {"command": list(command)}, env=tuple(os.environ))
        self._runner: Agent = registry.build(spec, base=Path.cwd(), limits=limits)
        self._pool = ThreadPoolExecutor(slots, thread_name_prefix="worker")
        self._free = slots
        self._lock = Lock()
        self._news, self._end = Event(), Event()
        self._offers: dict[tuple[str, str], int] = {}
        self._leashes: set[Leash] = set()

    def run(self, *, once: bool = False) -> None:
        """Claim and work until `stop`; raises NoState when the server cannot be reached at the start."""
        self._take(self._open_offers(follow=False))
        listener = Thread(target=self._listen, name="offers", daemon=True)
        if not once:
            listener.start()
        while not self._end.is_set():
            self._claim_what_is_free()
            if once and not self._offers and not self._leashes:
                break
            self._news.wait(AGAIN_SECONDS)
            self._news.clear()
        self._pool.shutdown(wait=True)

    def stop(self) -> None:
        """End what runs, tell the server that it failed, and return from `run`."""
        self._end.set()
        with self._lock:
            for leash in self._leashes:
                leash.cancel()
        self._news.set()

    # Offers.

    def _open_offers(self, *, follow: bool) -> Any:
        query = f"type=step.offered&agent={self._agent}&open=1"
        return self._remote.stream(f"/events?{query}{'&follow=1' if follow else ''}")

    def _listen(self) -> None:
        while not self._end.is_set():
            try:
                self._take(self._open_offers(follow=True))
            except NoState as error:
                self._say(f"{error}; asked again")
            self._end.wait(AGAIN_SECONDS)

    def _take(self, records: Any) -> None:
        for record in records:
            if record.get("type") == "step.offered":
                self._take_one(record)
            if self._end.is_set():
                return

    def _take_one(self, record: Record) -> None:
        with self._lock:
            self._offers[record["project"], record["step"]] = record["seq"]
        self._news.set()

    def _claim_what_is_free(self) -> None:
        for place in list(self._offers):
            with self._lock:
                if self._free <= 0 or self._end.is_set():
                    return
                self._free -= 1
            if not self._claim(*place):
                with self._lock:
                    self._free += 1

    def _claim(self, project: str, step: str) -> bool:
        event = {"type": "step.claim", "project": project, "step": step, "agent": self._agent, "worker": self._name}
        try:
            claim = self._remote.call("POST", "/write", event)
        except Conflict as refusal:
            if refusal.facts.get("reason") not in _TEMPORARY:
                self._offers.pop((project, step), None)
            return False
        except GlinkError as error:
            self._say(f"{project} step {step}: {error}")
            return False
        self._offers.pop((project, step), None)
        self._pool.submit(self._work, claim)
        return True

    # One claim.

    def _work(self, claim: Mapping[str, Any]) -> None:
        what = f"{claim['project']} #{claim['run']} step {claim['step']}"
        folder = Path(mkdtemp(prefix="glink-worker-"))
        leash = Leash()
        with self._lock:
            self._leashes.add(leash)
        over = Event()
        pulse = Thread(target=self._keep, args=(claim, leash, over), name="heartbeat", daemon=True)
        pulse.start()
        try:
            self._say(f"{what}: claimed, attempt {claim['attempt']}")
            self._fetch(claim, folder)
            outcome = self._runner.run(_task_of(claim, folder), leash)
            self._say(f"{what}: {self._bring(claim, folder, outcome, leash, what)}")
        except (GlinkError, OSError) as error:
            self._say(f"{what}: {error}")
            self.failed += 1
        finally:
            over.set()
            with self._lock:
                self._leashes.discard(leash)
                self._free += 1
            leash.close()
            shutil.rmtree(folder, ignore_errors=True)
            self._news.set()

    def _keep(self, claim: Mapping[str, Any], leash: Leash, over: Event) -> None:
        """Heartbeats until it is over; a server that cannot be reached is asked again, the lease decides."""
        event = {"type": "step.heartbeat", "fence": claim["fence"], "key": claim["key"]}
        while not over.wait(max(claim["lease"] / 3, 0.05)):
            try:
                if self._remote.call("POST", "/write", event)["cancel"]:
                    leash.cancel()
                    return
            except GlinkError:
                continue

    def _fetch(self, claim: Mapping[str, Any], folder: Path) -> None:
        wanted = {f"inputs/{path}": sha for path, sha in claim["inputs"].items()}
        wanted |= {f"in/{step}/{path}": sha for step, files in claim["files"].items() for path, sha in files.items()}
        for path, sha in wanted.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self._remote.fetch(f"/blobs/sha256/{sha}?fence={claim['fence']}&key={claim['key']}"))
        if claim["context"] is not None:
            (folder / "context.json").write_bytes(dumps(claim["context"]))

    def _bring(self, claim: Mapping[str, Any], folder: Path, outcome: Outcome, leash: Leash, what: str) -> str:
        """The answer was worked for: a server that is away, or has no room, is asked again as long as the claim holds."""
        while True:
            try:
                return self._answer(claim, folder, outcome)
            except (NoState, BusError) as error:
                if leash.cancelled or self._end.is_set():
                    raise
                self._say(f"{what}: {error}; brought again")
                self._end.wait(AGAIN_SECONDS)

    def _answer(self, claim: Mapping[str, Any], folder: Path, outcome: Outcome) -> str:
        """Bring the result; how it was taken."""
        said: dict[str, Any] = {"type": "step.result", "fence": claim["fence"], "key": claim["key"]}
        if outcome.failure is not None:
            failure = outcome.failure
            error = {"class": failure.cls, "code": failure.code, "message": failure.message}
            said |= {"status": "failed", "error": error}
        else:
            said |= {"status": "ok", "artifacts": self._store(claim, folder)}
            raw = outcome.output if isinstance(outcome.output, str) else dumps(outcome.output).decode()
            said |= {"output": raw} if len(raw) < PIECE // 4 else {"blob": self._put(claim, raw.encode())}
        taken = self._remote.call("POST", "/write", said)
        self.done += taken["status"] == "succeeded"
        self.failed += taken["status"] != "succeeded"
        return f"{taken['status']}{': ' + taken['message'] if 'message' in taken else ''}"

    def _store(self, claim: Mapping[str, Any], folder: Path) -> dict[str, str]:
        paths = matching_files(folder, tuple(claim["artifacts"]), self._limits)
        return {path: self._put(claim, (folder / path).read_bytes()) for path in paths}

    def _put(self, claim: Mapping[str, Any], data: bytes) -> str:
        sha = sha256(data).hexdigest()
        own = f"fence={claim['fence']}&key={claim['key']}&total={len(data)}"
        at, end = 0, max(len(data), 1)
        while at < end:
            try:
                self._remote.store(f"/blobs/sha256/{sha}?{own}&offset={at}", data[at : at + PIECE])
                at += PIECE
            except UsageError as refusal:
                have = refusal.facts.get("offset")
                if not isinstance(have, int) or have == at:
                    raise
                at, end = have, max(end, have + 1)  # an earlier try came so far, and was cut off
        return sha


def _task_of(claim: Mapping[str, Any], folder: Path) -> Task:
    return Task(
        project=claim["project"],
        step=claim["step"],
        run=claim["run"],
        attempt=claim["attempt"],
        fence=claim["fence"],
        key=claim["idempotency_key"],
        agent=claim["agent"],
        text=claim["task"],
        context=claim["context"],
        schema=claim["schema"],
        with_=claim["with"],
        folder=folder,
        run_seconds=claim["timeout"]["run"],
        idle_seconds=claim["timeout"]["idle"],
    )


def default_name() -> str:
    """This machine and process: two workers with one name would be taken for one."""
    return f"{socket.gethostname()}-{os.getpid()}"
