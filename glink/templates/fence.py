"""A labelled block around text that an agent wrote, which that text cannot end. Called by `context` and the filter `fence`.

The delimiter comes from the digest of the text, so it is the same every time and nobody who writes the text can
put it there.
"""

from __future__ import annotations

import re
from typing import Final

from glink import digest

_LABEL_CHARACTERS: Final = 100
_HEX_DIGITS: Final = 16
_UNSAFE: Final = re.compile(r"""[^\w .:/@#()'+-]+""")


def fence(text: str, label: str) -> str:
    """The text between `<data-HEX from="LABEL">` and `</data-HEX>`, where HEX does not occur in the text."""
    mark = digest.of_text(text)[:_HEX_DIGITS]
    while mark in text:
        mark = digest.of_text(f"{mark}\n{text}")[:_HEX_DIGITS]
    return f'<data-{mark} from="{_safe(label)}">\n{text}\n</data-{mark}>'


def _safe(label: str) -> str:
    """The label without what could end it: only words, spaces and a few signs are kept."""
    return _UNSAFE.sub(" ", label[:_LABEL_CHARACTERS]).strip()
