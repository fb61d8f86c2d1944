"""Texts for people out of what agents wrote: one line, cut to size, with nothing that a terminal would obey.

Called wherever a `Failure` is made.
"""

from __future__ import annotations

_CUT = "…"


def printable(text: str) -> str:
    """The text in one line, with everything that a terminal could take for a command written out (`\\x1b`)."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def clipped(text: str, limit: int) -> str:
    """The printable beginning of a text, at most `limit` bytes of UTF-8."""
    encoded = printable(text[:limit]).encode()
    if len(encoded) <= limit and len(text) <= limit:
        return encoded.decode()
    return encoded[: limit - len(_CUT.encode())].decode(errors="ignore") + _CUT


def with_tail(what: str, said: str, limit: int) -> str:
    """`what` happened and the end of what was said about it, together at most `limit` bytes of UTF-8."""
    head = clipped(f"{what}: " if said.strip() else what, limit)
    tail = printable(said.strip()[-limit:]).encode()
    room = limit - len(head.encode())
    if len(tail) <= room:
        return head + tail.decode()
    room -= len(_CUT.encode())
    return head + _CUT + tail[len(tail) - room :].decode(errors="ignore") if room > 0 else head
