"""How values are written on a page: lengths of time, moments, revisions, money. Pure; called by models and templates."""

from __future__ import annotations

import re
from typing import Any

_HEX = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{5,}\b")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def span(seconds: float) -> str:
    """A length of time: `0.02 s`, `4.1 s`, `2 min 5 s`, `3 h 20 min`, `2 d 4 h`."""
    if seconds < 0.0995:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    whole = round(seconds)
    for size, unit, less, lesser in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // less
            return f"{whole // size} {unit}" + (f" {rest} {lesser}" if rest else "")
    return f"{whole} s"


def moment(text: str) -> str:
    """A time as on the bus, for people, in UTC: `26 Nov 2026, 10:23:45`; nothing for nothing."""
    if not text:
        return ""
    return f"{int(text[8:10])} {_MONTHS[int(text[5:7]) - 1]} {text[:4]}, {text[11:19]}"


def revision(text: str) -> str:
    """A revision with its digests cut to 8 digits: `main@3f2a9c1d`, `main@3f2a9c1d + changes`."""
    name, plus, _ = text.partition("+dirty")
    short = _HEX.sub(r"\1", name).replace("sha1:", "").replace("sha256:", "")
    return f"{short} + changes" if plus else short


def money(amount: Any) -> str:
    """US dollars, with as many digits as small amounts need; nothing for what is no number."""
    if not isinstance(amount, int | float) or isinstance(amount, bool):
        return ""
    return f"${amount:,.2f}" if amount >= 1 else f"${amount:.4f}".rstrip("0").rstrip(".")


def count(number: int, one: str, many: str = "") -> str:
    """`1 step`, `3 steps`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
