"""Digests: full sha256 where bytes are stored under it, its first 32 hex digits where it only compares."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from glink.jsontext import canonical


def of_bytes(data: bytes) -> str:
    """sha256 of the bytes, 64 hex digits: the name of a blob."""
    return sha256(data).hexdigest()


def of_text(text: str) -> str:
    """sha256 of the UTF-8 of the text, 64 hex digits."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def of_value(value: Any) -> str:
    """sha256 of the canonical JSON of the value, 64 hex digits."""
    return sha256(canonical(value)).hexdigest()


def brief(data: bytes) -> str:
    """The first 128 bits of sha256 as 32 hex digits: parts of a fingerprint."""
    return sha256(data).hexdigest()[:32]
