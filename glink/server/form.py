"""How records are written to a reader: a line of JSON each, or an event of `text/event-stream`.

A JSON text has no CR or LF in it, so no stored text can begin a line of its own.
"""

from __future__ import annotations

from enum import StrEnum

from glink.event import Record, as_shown
from glink.jsontext import compact, dumps


class Form(StrEnum):
    """The two content types."""

    LINES = "application/x-ndjson"
    EVENTS = "text/event-stream"

    def record(self, seq: int, text: bytes) -> bytes:
        """One record, encoded before."""
        return b"id: %d\ndata: %b\n\n" % (seq, text) if self is Form.EVENTS else text + b"\n"

    def gap(self, reason: str, resume: int) -> bytes:
        """The last thing that a reader who is cut gets: after which seq it may go on."""
        text = dumps({"type": "gap", "reason": reason, "resume": resume})
        return b"id: %d\nevent: gap\ndata: %b\n\n" % (resume, text) if self is Form.EVENTS else text + b"\n"

    @property
    def greeting(self) -> bytes:
        """What opens a stream, as part of its first event: how soon a browser that lost it may come again."""
        return b"retry: 2000\n" if self is Form.EVENTS else b""

    @property
    def comment(self) -> bytes:
        """What shows that the other end is still there: a line that is no event and ends none."""
        return b":\n" if self is Form.EVENTS else b"\n"


def text_of(record: Record) -> bytes:
    """A record as readers see it: without what belongs to the log itself."""
    return compact(as_shown(record))
