"""Texts cut to a width: SVG has no ellipsis. Widths are those of a common sans-serif, a little on the safe side. Pure."""

from __future__ import annotations

from unicodedata import east_asian_width

_NARROW = frozenset("iljtfrI.,:;'|!()[]{}/ -`")
_BROAD = frozenset("mwMWOQGCDHNUAB@%&—")


def fitted(text: str, width: float, size: float) -> str:
    """The first line of the text, cut with an ellipsis where it would be wider than `width` at font size `size`."""
    line = text.strip().split("\n", 1)[0].rstrip()
    used, room = 0.0, width / size
    for index, one in enumerate(line):
        used += _share(one)
        if used > room:
            kept = line[:index]
            while kept and used + 0.9 > room:
                used -= _share(kept[-1])
                kept = kept[:-1]
            return f"{kept.rstrip()}…"
    return line


def _share(one: str) -> float:
    """The width of a character as a share of the font's size."""
    if one in _NARROW:
        return 0.34
    if one in _BROAD:
        return 0.82
    return 1.0 if east_asian_width(one) in "WF" else 0.59
