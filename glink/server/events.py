"""`/events`: what is on the bus, as an answer or as a stream that goes on.

A short answer is given by the application's thread; a long one, and every stream, is left to `streams`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from glink.event import Record
from glink.permit import Scope
from glink.server.choice import Choice, types_of
from glink.server.form import Form
from glink.server.problem import HttpProblem
from glink.server.reader import Reader
from glink.server.reading import Reading, Source
from glink.server.route import PROJECT, Call, Param, Reply, Route
from glink.server.streams import PIECE_BYTES, Streams

_SEQ: Final = (0, 10**18)
_FLAG: Final = r"[01]"
_AT_ONCE: Final = 1_000
_QUERY: Final = (
    PROJECT,
    Param("since", "only what came after this seq", number=_SEQ),
    Param("type", "globs over types, with commas between", pattern=r"[a-z0-9_.*?-]{1,64}(?:,[a-z0-9_.*?-]{1,64}){0,9}"),
    Param("agent", "only what names this agent", pattern=r"[A-Za-z0-9._-]{1,63}"),
    Param("open", "1: only what is still open", pattern=_FLAG),
    Param("limit", "at most so many", number=(1, 1_000_000)),
    Param("follow", "1: go on as events come", pattern=_FLAG),
)
_RESUME: Final = Param("Last-Event-ID", "", number=_SEQ)
_UNBUFFERED: Final = {"X-Accel-Buffering": "no"}


def events_route(source: Source, streams: Streams, *, is_open: Callable[[Record], bool]) -> Route:
    """The route; `is_open` says whether what a record asks for is still to be done."""

    def answer(call: Call) -> Reply:
        form = Form.EVENTS if Form.EVENTS in call.headers.get("accept", "") else Form.LINES
        follows = call.query.get("follow", "1" if form is Form.EVENTS else "0") == "1"
        reading = Reading(
            source,
            _choice(call, is_open),
            form,
            after=_after(call, source.durable_seq),
            end=None if follows else source.durable_seq,
            left=int(call.query["limit"]) if "limit" in call.query else None,
        )
        if follows:
            return _stream(streams, Reader(streams, reading), form)
        first = reading.more(_AT_ONCE, PIECE_BYTES)
        if reading.gap:
            first += form.gap("what follows is not kept any more", reading.cursor)
        if reading.done:
            return Reply(first, content_type=form)
        return _stream(streams, Reader(streams, reading, first), form)

    replies = {200: (Form.LINES.value, Form.EVENTS.value)}
    return Route("GET", "/events", Scope.READ, answer, "events, as they are or as they come", _QUERY, replies=replies)


def _stream(streams: Streams, reader: Reader, form: Form) -> Reply:
    streams.admit(reader)
    return Reply(reader, content_type=form, headers=_UNBUFFERED)


def _after(call: Call, durable: int) -> int:
    """Where to begin: what the browser had last is newer than what the page was made with."""
    last = call.headers.get("last-event-id")
    written = call.query.get("since", "0") if last is None else _RESUME.read(last)
    if int(written) > durable:
        raise HttpProblem(400, f"there is no event {int(written)} yet: the bus ends at {durable}")
    return int(written)


def _choice(call: Call, is_open: Callable[[Record], bool]) -> Choice:
    types = call.query.get("type")
    return Choice(
        call.who,
        project=call.project,
        types=None if types is None else types_of(types),
        agent=call.query.get("agent"),
        is_open=is_open if call.query.get("open") == "1" else None,
    )
