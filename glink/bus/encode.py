"""From an event to the JSON text of its record: limits, lone surrogates, secrets. Called by the log, twice a step."""

from __future__ import annotations

from typing import Any

from glink.bus.mask import Mask
from glink.bus.record import TAIL_BYTES
from glink.errors import BusRefused
from glink.jsontext import compact
from glink.limits import Limits


class Encoder:
    """`encode` gives the text and the dict that the text stands for, which differs from the input where it was cleaned."""

    def __init__(self, limits: Limits, mask: Mask) -> None:
        self._mask = mask if mask.active else None
        self._longest = limits.record_bytes - TAIL_BYTES
        self._deepest = limits.json_depth

    def encode(self, record: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Raises BusRefused for what no JSON can say, for a record that is too long and for one that is too deep."""
        try:
            text = compact(record, plain=True)
        except TypeError:
            record, text = _cleaned(record)
        if self._mask is not None and self._mask.hits(text):
            record = self._mask.in_body(record)
            text = compact(record, plain=True)
        if len(text) > self._longest:
            raise BusRefused(
                f"a {record['type']} event of {len(text)} bytes: a record holds at most {self._longest}; "
                "put the body into a blob"
            )
        # every level opens with one of these bytes, so few of them prove that the record is not deep
        if text.count(b"{") + text.count(b"[") > self._deepest and depth(record) > self._deepest:
            raise BusRefused(f"a {record['type']} event is nested deeper than {self._deepest} levels")
        return record, text


def depth(value: Any) -> int:
    """Levels of nesting; a plain value has none."""
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list | tuple):
        return 1 + max(map(depth, value), default=0)
    return 0


def _cleaned(record: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    try:
        clean = {key: _without_surrogates(value) for key, value in record.items()}
        return clean, compact(clean, plain=True)
    except (TypeError, RecursionError) as error:
        raise BusRefused(f"a {record.get('type')} event cannot be written as JSON: {error}") from error


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_surrogates(item) for item in value]
    return value
