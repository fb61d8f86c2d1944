"""Workers' words over HTTP: claim, heartbeat, result, and the bodies that go with them. Called by `tell_routes` and `app`.

Whoever holds the key of a fence may answer for it. The key is checked here against the bus; whether the fence is still
current is judged by the conductor, in the order of the log.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from glink.agents.agent import ErrorClass, Failure, Outcome
from glink.agents.message import clipped
from glink.clock import seconds_of
from glink.event import Record
from glink.jsontext import JSONError, loads
from glink.outputs import OutputProblem, digest_of, raw_of
from glink.permit import Scope
from glink.reconciler.claims import key_of
from glink.server.engine import Engine
from glink.server.problem import HttpProblem
from glink.server.route import Call, Param, Reply, Route

if TYPE_CHECKING:
    from glink.server.tell_routes import Said

_GIVEN: Final = frozenset({"step.claimed", "step.dispatched"})
_FENCE: Final = Param("fence", "the claim that it belongs to", number=(1, 10**18))
_KEY: Final = Param("key", "the key of that claim", pattern=r"[0-9a-f]{64}")
_OFFSET: Final = Param("offset", "where these bytes begin", number=(0, 1 << 40))
_TOTAL: Final = Param("total", "how many bytes there are in all", number=(0, 1 << 40))


class Work:
    """`words` maps an event type to its handler."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.words: Mapping[str, Callable[[Call, Said], Reply]] = {
            "step.claim": self._claim,
            "step.heartbeat": self._heartbeat,
            "step.result": self._result,
        }

    def routes(self) -> list[Route]:
        """Bodies in and out. Without a fence only a token that may read everything gets one."""
        return [
            Route(
                "GET", "/blobs/sha256/{sha}", (Scope.READ, Scope.WORK), self._fetch, "a body, by its sha256",
                (_FENCE, _KEY), replies={200: ("application/octet-stream",)},
            ),
            Route(
                "PUT", "/blobs/sha256/{sha}", Scope.WORK, self._store, "a body for a claim, in one piece or in several",
                (_FENCE, _KEY, _OFFSET, _TOTAL), raw={"type": "string", "format": "binary"}, replies={200: {}, 201: {}},
            ),
        ]  # fmt: skip

    def _claim(self, call: Call, said: Said) -> Reply:
        if said.project is None or said.step is None or said.agent is None or said.worker is None:
            raise HttpProblem(422, "step.claim needs project, step, agent and worker")
        call.must(Scope.WORK, agent=said.agent)
        arguments = {"step": str(said.step), "agent": said.agent, "worker": said.worker}
        return Reply.json(self._engine.ask("claim", said.project, arguments, by=call.who.name))

    def _heartbeat(self, call: Call, said: Said) -> Reply:
        record = self._given(call, said.fence, said.key)
        arguments = {"step": record["step"], "fence": said.fence}
        return Reply.json(self._engine.ask("heartbeat", record["project"], arguments, by=call.who.name))

    def _result(self, call: Call, said: Said) -> Reply:
        record = self._given(call, said.fence, said.key)
        if said.status is None:
            raise HttpProblem(422, "step.result needs status: ok or failed")
        project, step, fence = record["project"], record["step"], record["seq"]
        outcome = self._outcome(said, record)
        job = self._engine.job_in_flight(project, step, fence)
        if job is None:
            # Not current any more, or committed already: the conductor says which, by the digest.
            kind, data = _bare(outcome)
        else:
            judged = self._engine.judged(job, outcome)
            kind, data = judged.type, judged.data
        arguments = {"step": step, "fence": fence, "type": kind, "data": data, "digests": _digests(outcome)}
        answer = self._engine.ask("result", project, arguments, by=call.who.name)
        facts = {name: data[name] for name in ("class", "code", "message") if name in data}
        return Reply.json({**answer, "status": kind.removeprefix("step."), **facts})

    def _outcome(self, said: Said, record: Record) -> Outcome:
        limits = self._engine.config.limits
        seconds = max(0.0, self._engine.now() - seconds_of(record["time"]))
        more: dict[str, Any] = {"usage": said.usage or {}, "seconds": seconds}
        if said.status == "failed":
            return Outcome(failure=_failure(said.error or {}, limits.message_bytes), **more)
        output = said.output
        if said.blob is not None:
            try:
                output = self._engine.bus.blobs.get(said.blob).decode("utf-8", "replace")
            except KeyError:
                raise HttpProblem(422, f"the body {said.blob} was not stored") from None
        if output is None or (isinstance(output, str) and not output.strip()):
            return Outcome(failure=Failure(ErrorClass.INVALID_OUTPUT, "empty", "the answer is empty"), **more)
        return Outcome(output=output, artifacts=said.artifacts or {}, **more)

    def _given(self, call: Call, fence: int | None, key: str | None) -> Record:
        """The event that gave a step away under this fence; raises 403 unless the key and the token are right."""
        if fence is None or key is None:
            raise HttpProblem(422, "name the fence and the key of the claim")
        record = self._engine.bus.read(fence)
        if record is None or record["type"] not in _GIVEN:
            raise HttpProblem(404, f"nothing was given away under fence {fence}")
        if not hmac.compare_digest(key_of(self._engine.bus.secret, fence, record["e"]).encode(), key.encode()):
            raise HttpProblem(403, "the key is not the one of this fence")
        call.who.must(Scope.WORK, record["project"], agent=record["data"]["agent"])
        return record

    def _fetch(self, call: Call) -> Reply:
        sha = _sha(call)
        if "fence" in call.query or Scope.READ not in call.who.may:
            fence = int(call.query.get("fence", "0"))
            record = self._given(call, fence, call.query.get("key", ""))
            job = self._engine.job_in_flight(record["project"], record["step"], fence)
            handed = () if job is None else (job.inputs, *job.handed.values())
            if not any(sha in files.values() for files in handed):
                raise HttpProblem(403, "this body is not handed over by that claim")
        else:
            call.who.must_have_all()
        if not self._engine.bus.blobs.has(sha):
            raise HttpProblem(404, "there is no such body")
        return Reply.file(self._engine.bus.blobs.path(sha))

    def _store(self, call: Call) -> Reply:
        """Pieces are appended in order; where it goes on is told, so an upload that was cut off can be resumed."""
        sha, query, limits = _sha(call), call.query, self._engine.config.limits
        record = self._given(call, int(query.get("fence", "0")), query.get("key", ""))
        data: bytes = call.body
        offset, total = int(query.get("offset", "0")), int(query.get("total", str(len(data))))
        if self._engine.bus.blobs.has(sha):
            return Reply.json({"sha256": sha, "offset": total}, 201)
        folder = self._engine.config.work_dir / "attempts" / str(record["seq"]) / "uploads"
        folder.mkdir(0o700, parents=True, exist_ok=True)
        part = folder / sha
        have = part.stat().st_size if part.exists() else 0
        if offset != have:
            raise HttpProblem(409, f"{have} bytes are here: go on from there", more={"offset": have})
        if _bytes_in(folder) + len(data) > limits.artifact_bytes or total > limits.artifact_bytes:
            raise HttpProblem(413, f"the bodies of one attempt hold at most {limits.artifact_bytes} bytes")
        with open(part, "ab") as sink:
            sink.write(data)
        if have + len(data) < total:
            return Reply.json({"sha256": sha, "offset": have + len(data)})
        return self._complete(part, sha)

    def _complete(self, part: Path, sha: str) -> Reply:
        size = part.stat().st_size
        stored = self._engine.bus.blobs.put_file(part)
        part.unlink()
        if stored != sha:
            raise HttpProblem(422, f"these bytes have the sha256 {stored}")
        return Reply.json({"sha256": sha, "offset": size}, 201)


def _bytes_in(folder: Path) -> int:
    return sum(one.stat().st_size for one in folder.iterdir())


def _sha(call: Call) -> str:
    sha = call.path["sha"]
    if len(sha) != 64 or not set(sha) <= set("0123456789abcdef"):
        raise HttpProblem(404, "a body is named by 64 hex digits")
    return sha


def _failure(error: Mapping[str, Any], most: int) -> Failure:
    """What the worker says went wrong; an unknown class is `agent_failed`."""
    cls, code = str(error.get("class", "")), str(error.get("code", "") or "failed")
    known = ErrorClass(cls) if cls in set(ErrorClass) else ErrorClass.AGENT_FAILED
    retry_at = error.get("retry_at")
    due = float(retry_at) if isinstance(retry_at, int | float) else None
    return Failure(known, clipped(code, 64), clipped(str(error.get("message", "") or "failed"), most), due)


def _bare(outcome: Outcome) -> tuple[str, dict[str, Any]]:
    """What an outcome is known by when nobody knows any more what shape it was to have."""
    if outcome.failure is not None:
        failure = outcome.failure
        return "step.failed", {"class": failure.cls, "code": failure.code, "message": failure.message}
    return "step.succeeded", {"digest": digest_of(raw_of(outcome.output), outcome.artifacts)}


def _digests(outcome: Outcome) -> list[str]:
    """The digests that the answer may have been committed with: as text, and as the JSON that the text is."""
    found = [digest_of(raw_of(outcome.output), outcome.artifacts)]
    if isinstance(outcome.output, str):
        with suppress(JSONError, OutputProblem):
            found.append(digest_of(raw_of(loads(outcome.output)), outcome.artifacts))
    return found
