"""Notes: events of free types that people and agents put on the bus, all of a list or none. Called by the intake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glink.digest import of_value
from glink.errors import NotThere, Reused, UsageError
from glink.event import is_free_type
from glink.jsontext import dumps
from glink.reconciler.books import Books
from glink.reconciler.inbox import Request
from glink.reconciler.verbs import Deed

RESERVED = "_"
_AROUND = 160  # bytes of a record beside its body


def write(books: Books, request: Request, now: float) -> Deed:
    """The events of a list, each `{project, type, data?, step?}`; answered with the seq of each."""
    events: list[Mapping[str, Any]] = request.arguments["events"]
    key, body = request.arguments.get("key"), of_value(events)[:32]
    for event in events:
        _check(books, event)
    if key is not None and (known := books.desks[events[0]["project"]].state.keys.get(key)) is not None:
        if known.body != body:
            raise Reused("this Idempotency-Key came with another body before")
        return Deed(answer={"seq": known.run, "seqs": list(range(known.run, known.run + len(events)))}, moves=False)
    bodies = [_body(event, request.by) for event in events]
    if (size := sum(len(dumps(body)) + _AROUND for body in bodies)) > (most := books.limits.batch_bytes // 2):
        raise UsageError(f"{len(events)} events of {size} bytes on the bus: at most {most} are written at once")
    if key is not None:
        bodies[0]["data"] |= {"_key": key, "_body": body}

    def answer() -> dict[str, Any]:
        seqs = [record["seq"] for record in books.present.records[-len(bodies) :]]
        return {"seq": seqs[0], "seqs": seqs}

    for project in {event["project"] for event in events}:
        books.heard(project)
    return Deed(bodies, then=answer, moves=False)


def _check(books: Books, event: Mapping[str, Any]) -> None:
    books.must_know(event["project"])
    if event["project"] not in books.desks or books.desks[event["project"]].state.deleted:
        raise NotThere(f"no project {event['project']}: a note does not make one")
    if not is_free_type(event["type"]):
        raise UsageError(f"{event['type']!r} is no free type: write a-z first, then a-z, 0-9, _, . and -")
    if (size := len(dumps(event))) > books.limits.inline_bytes:
        raise UsageError(f"an event of {size} bytes: a note holds at most {books.limits.inline_bytes}")
    if any(name.startswith(RESERVED) for name in event.get("data") or {}):
        raise UsageError("names in data that begin with _ are the engine's")


def _body(event: Mapping[str, Any], by: str) -> dict[str, Any]:
    step = {"step": str(event["step"])} if event.get("step") is not None else {}
    data = {**(event.get("data") or {}), "_by": by}
    return {"type": event["type"], "project": event["project"], **step, "data": data}
