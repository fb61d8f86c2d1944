"""The bytes of one record: framing, checking, and finding whole records inside damage.

A line is JSON that ends with the crc of the line before it and its own:

    {"seq":7,"b":6,"e":1,"time":"…","type":"…", … ,"p":"89abcdef","crc":"01234567"}\n

`crc` is crc32 of all bytes before `,"crc":`, started from a seed: the segment's id for records and seals, 0 for the
segment's header. Checking is done on the bytes, never by serialising again. Called by the log when it writes and by
recovery and readers when they read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from zlib import crc32

CRC_BYTES = 18  # ,"crc":"01234567"}   (the newline is the nineteenth)
TAIL_BYTES = 33  # ,"p":"89abcdef" and the crc: also how much longer than its JSON text a line with newline is

_START = re.compile(rb'\{"seq":(\d{1,19}),"b":(\d{1,19}),"e":\d{1,19},"time":"')
_END = re.compile(rb',"p":"[0-9a-f]{8}"(?P<crc>,"crc":"(?P<value>[0-9a-f]{8})"\})')


class Found(NamedTuple):
    """An intact record among damage: its seq, the first seq of its batch, where its line starts and ends (no newline)."""

    seq: int
    batch: int
    start: int
    end: int


def frame(text: bytes, previous: bytes, seed: int) -> tuple[bytes, bytes]:
    """The line for a JSON object, and its crc as 8 hex digits; `previous` is the crc of the line before it."""
    body = b"".join((text[:-1], b',"p":"', previous, b'"'))
    crc = b"%08x" % crc32(body, seed)
    return b"".join((body, b',"crc":"', crc, b'"}\n')), crc


def frame_alone(text: bytes) -> tuple[bytes, bytes]:
    """The line for a segment's header, which follows nothing and has the seed 0."""
    crc = b"%08x" % crc32(text[:-1])
    return b'%b,"crc":"%b"}\n' % (text[:-1], crc), crc


def is_whole(line: bytes, previous: bytes, seed: int) -> bool:
    """Whether a line (without its newline) is intact and follows the line whose crc is `previous`."""
    return line[-TAIL_BYTES:] == b',"p":"%b","crc":"%08x"}' % (previous, crc32(line[:-CRC_BYTES], seed))


def is_intact(line: bytes, seed: int) -> bool:
    """Whether a line (without its newline) is intact, whatever it follows."""
    return line[-CRC_BYTES:] == b',"crc":"%08x"}' % crc32(line[:-CRC_BYTES], seed)


def crc_of(line: bytes) -> bytes:
    """The 8 hex digits of the crc that an intact line (without its newline) ends with."""
    return line[-10:-2]


def previous_of(line: bytes) -> bytes:
    """The 8 hex digits of the crc of the line before, as an intact line (without its newline) names it."""
    return line[-27:-19]


def seq_of(line: bytes) -> int:
    """The seq that a record's bytes begin with; -1 for anything else."""
    found = _START.match(line)
    return int(found[1]) if found else -1


def starts(data: bytes) -> Iterator[re.Match[bytes]]:
    """Whatever looks like the beginning of a record; group 1 is its seq."""
    return _START.finditer(data)


def whole_records(window: bytes, seed: int, longest: int) -> Iterator[Found]:
    """Every intact record in `window`, found by bytes: newlines may be among what is damaged.

    `longest` is the most bytes that a record may have. The crc of each candidate runs on from end mark to end mark,
    so bytes made to look like many beginnings and ends cost a bounded time.
    """
    ends = [(found.start("crc"), int(found["value"], 16)) for found in _END.finditer(window)]
    reached = 0
    for start in starts(window):
        begin = start.start()
        while reached < len(ends) and ends[reached][0] < begin:
            reached += 1
        at, running = begin, seed
        for end, crc in ends[reached:]:
            if end - begin > longest:
                break
            running = crc32(window[at:end], running)
            at = end
            if running == crc:
                yield Found(int(start[1]), int(start[2]), begin, end + CRC_BYTES)
                break
