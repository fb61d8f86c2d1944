"""A small site over a real bus, for tests: handlers that do little, and everything around them as it is."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Annotated, Any
from urllib.parse import unquote
from wsgiref.util import FileWrapper

from pydantic import Field

from glink.bus.bus import Bus
from glink.clock import SystemClock
from glink.errors import NotThere
from glink.event import Record
from glink.limits import Limits
from glink.loading.vocabulary import Strict
from glink.permit import Scope, TokenSpec
from glink.server.auth import Tokens, digest_of
from glink.server.events import events_route
from glink.server.guard import Guard
from glink.server.health import Pulse, health_route
from glink.server.metrics import Gauges, Metrics, metrics_route
from glink.server.route import PROJECT, Call, Reply, Route
from glink.server.serve import Serving
from glink.server.site import Site
from glink.server.streams import Streams
from tests.unit.bus.buses import UnsyncedDisk

MAIN = "the-main-token-of-the-tests"
READER, WRITER, WORKER = "reader-of-team-a", "writer-of-team-a", "worker-for-coder"
TOKENS = (
    TokenSpec("reader", digest_of(READER), ("read",), ("team-a/*",)),
    TokenSpec("writer", digest_of(WRITER), ("read", "write"), ("team-a/*", "solo")),
    TokenSpec("worker", digest_of(WORKER), ("work:coder",)),
)


class Note(Strict):
    project: str
    type: str = Field(pattern=r"^note\.[a-z]{1,20}$")
    data: dict[str, Any] = Field(default_factory=dict)


class Stored:
    """A bus as the server reads it."""

    def __init__(self, path: Path) -> None:
        self.bus = Bus.open(path, clock=SystemClock(), limits=Limits(), disk=UnsyncedDisk())
        self.listeners: list[Any] = []
        self._lock = Lock()

    @property
    def durable_seq(self) -> int:
        return self.bus.durable_seq

    def replay(self, after: int, project: str | None) -> Iterator[Record]:
        return self.bus.replay(after)

    def write(self, *bodies: dict[str, Any]) -> int:
        with self._lock:
            records = [self.bus.stage(one) for one in bodies]
            self.bus.commit()
            for listener in self.listeners:
                listener(records)
            return records[-1]["seq"]

    def notes(self, count: int, project: str = "team-a/x", kind: str = "note.a") -> int:
        for start in range(0, count, 5_000):
            numbers = range(start, min(start + 5_000, count))
            self.write(*({"type": kind, "project": project, "data": {"n": n}} for n in numbers))
        return self.durable_seq


@dataclass
class Small:
    """The parts of the small server; `serve` gives it a port."""

    folder: Path
    limits: Limits = field(default_factory=Limits)
    tokens: Tokens = field(default_factory=lambda: Tokens.of(TOKENS, MAIN))
    pulse: Pulse = field(default_factory=lambda: Pulse(1.5))
    more: tuple[Route, ...] = ()
    calls: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stored = Stored(self.folder / "bus")
        self.streams = Streams(self.stored, self.limits)
        gauges = Gauges(
            inbox=lambda: 0,
            in_flight=lambda: 2,
            streams=lambda: len(self.streams),
            watch_missed=lambda: 3,
            untidied=lambda: 4,
            unsaved=lambda: 5,
            unpublished=lambda: 6,
            durable_seq=lambda: self.stored.durable_seq,
            damages=lambda: 6,
            projects=lambda: [("team-a/x", "Synced", "Healthy")],
        )
        self.metrics = Metrics(gauges, agent_of=lambda record: str(record.get("data", {}).get("agent", "")))
        self.stored.listeners += [self.streams.hear, self.metrics.hear]
        self.site = Site(
            [*self._routes(), *self.more],
            tokens=self.tokens,
            guard=Guard.of("127.0.0.1", ("glink.example",)),
            limits=self.limits,
        )
        self.serving: Serving | None = None

    def _routes(self) -> list[Route]:
        def noted(call: Call) -> Reply:
            self.calls.append(call)
            call.must(Scope.WRITE)
            items = call.body if isinstance(call.body, list) else [call.body]
            return Reply.json({"seq": self.stored.write(*(one.model_dump() for one in items))}, 201)

        def shown(call: Call) -> Reply:
            self.calls.append(call)
            return Reply.json({"project": call.project, "path": dict(call.path), "query": dict(call.query)})

        def output(call: Call) -> Reply:
            if call.path["step"] == "gone":
                raise NotThere("there is no step gone")
            return shown(call)

        shape = {"type": "object", "required": ["project", "path", "query"]}
        return [
            health_route(lambda: self.pulse),
            events_route(self.stored, self.streams, is_open=lambda record: record["type"] == "note.open"),
            metrics_route(self.metrics),
            Route("GET", "/status", Scope.READ, shown, "one project", (PROJECT,), replies={200: shape}),
            Route("GET", "/projects/{project}/plan", Scope.READ, shown, "a plan", replies={200: shape}),
            Route(
                "GET", "/projects/{project}/steps/{step}/output", Scope.READ, output, "an answer", replies={200: shape}
            ),
            Route(
                "POST",
                "/write",
                (Scope.WRITE, Scope.WORK),
                noted,
                "a note",
                body=Note | Annotated[list[Note], Field(min_length=1, max_length=100)],
                keyed=True,
                replies={201: {"type": "object", "required": ["seq"]}},
            ),
            Route("POST", "/projects/{project}/suspend", Scope.CONTROL, shown, "stop", replies={200: shape}),
            Route(
                "GET",
                "/page",
                Scope.READ,
                lambda call: Reply.html(b"<p>page"),
                "page",
                page=True,
                replies={200: "text/html"},
            ),
        ]

    def ask(self, method: str, target: str, body: bytes = b"", token: str | None = MAIN, **headers: str) -> Answer:
        """One request through WSGI, no socket; `Content_Type=` is the header Content-Type."""
        fields = {"host": "127.0.0.1", **({} if token is None else {"x-api-key": token})}
        fields |= {name.lower().replace("_", "-"): text for name, text in headers.items()}
        return call(self.site, method, target, body, fields)

    def post(self, target: str, value: Any, token: str | None = MAIN, **headers: str) -> Answer:
        return self.ask("POST", target, json.dumps(value).encode(), token, Content_Type="application/json", **headers)

    def serve(self) -> int:
        """The port."""
        self.serving = Serving(self.site, host="127.0.0.1", port=0, limits=self.limits)
        return self.serving.port

    def close(self) -> None:
        self.streams.stop()
        if self.serving is not None:
            self.serving.stop(seconds=2)
        self.stored.bus.close()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def call(application: Any, method: str, target: str, body: bytes, fields: dict[str, str]) -> Answer:
    """What a server does with an application, without the server."""
    path, _, query = target.partition("?")
    environ = {
        "REQUEST_METHOD": method,
        "REQUEST_URI": target,
        "PATH_INFO": unquote(path, "latin-1"),
        "QUERY_STRING": query,
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
        "wsgi.file_wrapper": FileWrapper,
    }
    for name, text in fields.items():
        key = name.upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = text
    begun: list[Any] = []
    pieces = application(environ, lambda status, headers, fault=None: begun.extend((status, headers)))
    read = b"".join(pieces)
    if hasattr(pieces, "close"):
        pieces.close()
    return Answer(int(begun[0][:3]), {name.lower(): text for name, text in begun[1]}, read)
