"""The kind `http`: a service of somebody's that is sent a task and answers, at once or later.

    critic: {type: http, url: "http://127.0.0.1:9000/review", headers_env: {Authorization: CRITIC_AUTH}}
    old:    {type: http, url: "http://127.0.0.1:8420/ask", body: {message: "{{ task }}"}, pick: reply}

The task goes there by POST (`inquiry`); what comes back is judged by its status (`http_status`) and its body
(`envelope`). A service that needs longer than a connection lasts says 202: with `{"poll": URL}` it is asked there for
its answer, as often as its `Retry-After` says, without one the attempt waits for an answer that comes by itself. Such an
attempt outlives the engine: where it goes on is on the disk before the first poll (`elsewhere`).
"""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from glink.agents import elsewhere
from glink.agents.agent import Adoption, Control, ErrorClass, Outcome, Task
from glink.agents.elsewhere import Elsewhere
from glink.agents.envelope import complaint_in, outcome_of
from glink.agents.http_options import NAMES, HttpOptions, is_header_value
from glink.agents.http_status import class_of, class_of_fault, retry_after
from glink.agents.inquiry import body_of, headers_of, headers_with_body
from glink.agents.message import clipped
from glink.agents.waiting import Attempt
from glink.clock import SystemClock
from glink.jsontext import JSONError, loads
from glink.limits import Limits
from glink.outward.address import Address
from glink.outward.exchange import Broken, Reply, Request, exchange
from glink.outward.patience import Patience, Stop, Stopped
from glink.roster import AgentSpec
from glink.templates.body import Body
from glink.templates.problems import RenderProblem

_CLOCK: Final = SystemClock()
_ACCEPTED: Final = 202
_NOT_THERE: Final = frozenset((404, 410))
_LATER: Final = frozenset((ErrorClass.TRANSIENT, ErrorClass.THROTTLED))


class HttpAgent:
    """A declared service. Adoptable where the service works on without a connection; else it is cancelled with its engine."""

    instant = False
    free = False
    adoptable = True
    foldered = True
    options = HttpOptions

    def __init__(self, options: HttpOptions, *, environ: Mapping[str, str], limits: Limits) -> None:
        self._address = Address.of(options.url)
        self._body = None if options.body is None else Body(options.body, NAMES, limits)
        self._pick = options.pick
        self._limits = limits
        self._headers = dict(options.headers)
        self._fault = ""
        for name, variable in options.headers_env.items():
            value = environ.get(variable, "")
            if not is_header_value(value):
                self._fault = f"the variable {variable} {'cannot stand in a header' if value else 'is not set'}"
            self._headers[name] = value

    @classmethod
    def of(cls, spec: AgentSpec, *, base: Path, limits: Limits) -> HttpAgent:  # noqa: ARG003 - every kind has them
        """The agent of a declaration; pydantic.ValidationError when its options are wrong."""
        return cls(HttpOptions.model_validate(dict(spec.options)), environ=os.environ, limits=limits)

    def run(self, task: Task, control: Control) -> Outcome:
        attempt, patience = Attempt.of(task, self._limits), _patience(task, control)
        return self._outcome(task, patience, lambda: self._ask(task, attempt.folder, patience))

    def examine(self, folder: Path, *, same_boot: bool) -> Adoption:
        return elsewhere.examine(folder, same_boot=same_boot)

    def adopt(self, task: Task, control: Control) -> Outcome:
        attempt, patience = Attempt.of(task, self._limits), _patience(task, control)
        where = Elsewhere.read(attempt.folder)
        if where is None:
            return Outcome.failed(ErrorClass.LOST, "no-record", "its connection ended with an earlier engine")
        return self._outcome(task, patience, lambda: self._await(task, where, self._limits.poll, patience))

    def _outcome(self, task: Task, patience: Patience, work: Callable[[], Outcome]) -> Outcome:
        """What the work comes to, whatever stops or breaks it."""
        try:
            outcome = work() if not self._fault else self._failed(ErrorClass.CONFIG, "env", self._fault)
        except Stopped as stopped:
            outcome = _stopped(stopped.why, task)
        except Broken as broken:
            outcome = self._failed(class_of_fault(broken.code), broken.code, str(broken))
        except RenderProblem as problem:
            outcome = self._failed(ErrorClass.TEMPLATE, "body", f"the agent's body: {problem}")
        except OSError as error:  # of this machine: the folder, or no descriptor left
            code = errno.errorcode.get(error.errno or 0, "os").lower()
            outcome = self._failed(ErrorClass.TRANSIENT, code, error.strerror or str(error))
        return replace(outcome, seconds=patience.seconds)

    def _ask(self, task: Task, folder: Path, patience: Patience) -> Outcome:
        body = body_of(task, _CLOCK, self._body)
        if len(body) > self._limits.request_bytes:
            what = f"the task has {len(body)} bytes as it would be sent, over {self._limits.request_bytes}"
            return self._failed(ErrorClass.TOO_LARGE, "request", what)
        patience.check()
        elsewhere.start(folder)
        headers = headers_with_body(task, self._headers)
        reply = exchange(self._request(self._address, headers, body=body), patience)
        if reply.status != _ACCEPTED:
            return self._judged(reply)
        try:
            where = Elsewhere(self._poll_in(reply), reply.public)
        except (TypeError, ValueError) as error:
            return self._failed(ErrorClass.AGENT_FAILED, "poll", f"the `poll` that it answered {error}")
        where.keep(folder)
        patience.heard()
        return self._await(task, where, self._pause(reply), patience)

    def _poll_in(self, reply: Reply) -> str | None:
        """Where the answer is to be asked for; TypeError or ValueError where Glink will not ask."""
        try:
            answer: Any = loads(reply.body)
        except JSONError:
            return None
        poll = answer.get("poll") if isinstance(answer, dict) else None
        if poll is None:
            return None
        if not isinstance(poll, str):
            raise TypeError("is no text")
        return str(self._address.join(poll))

    def _await(self, task: Task, where: Elsewhere, pause: float, patience: Patience) -> Outcome:
        """Until there is an answer, or the time is over. When the engine goes, the work goes on without it."""
        try:
            if where.poll is None:
                patience.rest(math.inf)
            return self._poll(task, where, pause, patience)
        except Stopped as stopped:
            if stopped.why is Stop.DETACHED:
                return self._failed(ErrorClass.LOST, "detached", "left running")
            raise

    def _poll(self, task: Task, where: Elsewhere, pause: float, patience: Patience) -> Outcome:
        """Ask for the answer until there is one. A poll that fails loses nothing: the next one may not."""
        headers = headers_of(task, self._headers)
        address = Address.of(where.poll or "")
        request = self._request(address, headers, method="GET", only_public=where.public)
        while True:
            patience.rest(pause)
            pause = self._limits.poll
            try:
                reply = exchange(request, patience, longest=self._limits.poll_answer)
            except Broken as broken:
                if class_of_fault(broken.code) is not ErrorClass.TRANSIENT:
                    raise
                continue
            if reply.status in _NOT_THERE:
                return self._failed(ErrorClass.LOST, f"http-{reply.status}", "the service knows nothing of it any more")
            if reply.status != _ACCEPTED and class_of(reply.status) not in _LATER:
                return self._judged(reply)
            pause = self._pause(reply)
            if reply.status == _ACCEPTED:
                patience.heard()

    def _judged(self, reply: Reply) -> Outcome:
        """The outcome of an answer that is final."""
        kind = reply.headers.get("content-type", "")
        cls = class_of(reply.status)
        if cls is None:
            return outcome_of(reply.body, kind, self._pick, self._limits)
        said = complaint_in(reply.body, kind, self._limits)
        if reply.status // 100 == 3:
            said = "a redirect, which is not followed; write the address that it leads to"
        what = f"{self._address.place} answered {reply.status}{': ' if said else ''}{said}"
        pause = retry_after(reply.headers, _CLOCK.now()) if cls is ErrorClass.THROTTLED else None
        more = {} if pause is None else {"retry_at": _CLOCK.now() + pause}
        return self._failed(cls, f"http-{reply.status}", what, **more)

    def _pause(self, reply: Reply) -> float:
        asked = retry_after(reply.headers, _CLOCK.now())
        return max(self._limits.poll if asked is None else asked, self._limits.look)

    def _request(self, address: Address, headers: Mapping[str, str], **more: Any) -> Request:
        limits = self._limits
        return Request(address, headers=headers, most=limits.output_bytes, connect=limits.connect, **more)

    def _failed(self, cls: ErrorClass, code: str, message: str, **more: Any) -> Outcome:
        return Outcome.failed(cls, code, clipped(message, self._limits.message_bytes), **more)


def _patience(task: Task, control: Control) -> Patience:
    return Patience(run=task.run_seconds, idle=task.idle_seconds, control=control)


def _stopped(why: Stop, task: Task) -> Outcome:
    match why:
        case Stop.RUN:
            return Outcome.failed(ErrorClass.TIMEOUT, "run", f"ran longer than {task.run_seconds} s")
        case Stop.IDLE:
            return Outcome.failed(ErrorClass.TIMEOUT, "idle", f"said nothing for {task.idle_seconds} s")
        case Stop.CANCELLED:
            return Outcome.failed(ErrorClass.CANCELLED, "cancelled", "cancelled")
        case Stop.DETACHED:
            return Outcome.failed(ErrorClass.CANCELLED, "detached", "its connection ended with the engine")
