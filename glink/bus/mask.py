"""Values of declared secrets are replaced before anything is stored. Called by the log and the blobs.

A secret is looked for as it is and as JSON writes it inside a string, also one level deeper (JSON text inside JSON
text). Values under 8 characters are not masked: they would hit by chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from glink.jsontext import dumps

SHORTEST = 8
STAND_IN = "***"


class Mask:
    """Knows the secrets; `active` is False when there are none, and then nothing costs anything."""

    def __init__(self, secrets: Sequence[str]) -> None:
        values = {secret for secret in secrets if len(secret) >= SHORTEST}
        forms = {form for value in values for form in _forms(value)}
        self._texts = sorted(forms, key=lambda form: (-len(form), form))
        self._bytes = [form.encode() for form in self._texts]
        self.active = bool(forms)
        self.longest = max((len(form) for form in self._bytes), default=0)

    def hits(self, data: bytes) -> bool:
        """Whether a secret stands in the bytes."""
        return any(form in data for form in self._bytes)

    def in_bytes(self, data: bytes) -> bytes:
        for form in self._bytes:
            data = data.replace(form, STAND_IN.encode())
        return data

    def in_text(self, text: str) -> str:
        for form in self._texts:
            text = text.replace(form, STAND_IN)
        return text

    def in_value(self, value: Any) -> Any:
        """A copy of a JSON value with every text and key masked; numbers are left as they are."""
        if isinstance(value, str):
            return self.in_text(value)
        if isinstance(value, dict):
            return {self.in_text(key): self.in_value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.in_value(item) for item in value]
        return value

    def in_body(self, body: dict[str, Any]) -> dict[str, Any]:
        """A record's body with its `data` masked. Ids and the names of the facts in `data` are the engine's own and stay."""
        data = body.get("data")
        if not isinstance(data, dict):
            return body
        return {**body, "data": {key: self.in_value(item) for key, item in data.items()}}


def _forms(secret: str) -> Iterator[str]:
    text = secret.encode("utf-8", "replace").decode()
    for _ in range(3):
        yield text
        text = dumps(text)[1:-1].decode()
