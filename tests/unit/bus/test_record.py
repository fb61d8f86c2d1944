"""The bytes of a line: framing, checking, and finding whole records inside damage."""

from hypothesis import given
from hypothesis import strategies as st

from glink.bus import record
from glink.jsontext import dumps, loads

SEED = 3141592653


def line_of(seq, batch, data=None, previous=b"00000000"):
    text = dumps(
        {"seq": seq, "b": batch, "e": 1, "time": "2026-11-24T00:00:00.000000Z", "type": "note.a", "data": data}
    )
    return record.frame(text, previous, SEED)[0]


def test_the_layout_is_fixed():
    """These bytes must stay readable for ever."""
    line, crc = record.frame(b'{"seq":1,"type":"note.a"}', b"89abcdef", SEED)
    assert line == b'{"seq":1,"type":"note.a","p":"89abcdef","crc":"%b"}\n' % crc
    assert crc == b"3fab7125"


@given(
    data=st.recursive(st.none() | st.integers(-9, 9) | st.text(), st.lists, max_leaves=5), seq=st.integers(1, 10**12)
)
def test_a_framed_line_is_whole_and_decodes_to_what_it_was(data, seq):
    """For any data; and it is one line."""
    line = line_of(seq, seq, data)
    assert line.count(b"\n") == 1
    body = line[:-1]
    assert record.is_whole(body, b"00000000", SEED)
    assert record.is_intact(body, SEED)
    assert not record.is_whole(body, b"00000001", SEED)
    assert not record.is_intact(body, SEED + 1)
    assert loads(body)["data"] == data
    assert (record.seq_of(body), record.previous_of(body)) == (seq, b"00000000")
    assert record.crc_of(body).decode() == loads(body)["crc"]


@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_any_flipped_bit_is_seen(place, bit):
    """crc32 sees every single flip."""
    body = bytearray(line_of(7, 7, {"text": "hello"})[:-1])
    body[place % len(body)] ^= 1 << bit
    assert not record.is_intact(bytes(body), SEED)


def test_whole_records_are_found_by_bytes():
    """Newlines may be flipped and anything may stand between."""
    window = b"\0\0junk" + line_of(5, 4)[:-1] + b"\x0b" + line_of(6, 6)[:-1] + b'{"seq":7,"b":7,"e":1,' + line_of(8, 8)
    found = list(record.whole_records(window, SEED, 1 << 16))
    assert [(one.seq, one.batch) for one in found] == [(5, 4), (6, 6), (8, 8)]
    assert [loads(window[one.start : one.end])["seq"] for one in found] == [5, 6, 8]


def test_a_record_cut_off_or_changed_is_not_found():
    """At either end."""
    line = line_of(5, 5)
    assert list(record.whole_records(line[1:], SEED, 1 << 16)) == []
    assert list(record.whole_records(line[:-3], SEED, 1 << 16)) == []
    assert list(record.whole_records(line.replace(b"note", b"nope"), SEED, 1 << 16)) == []


def test_data_that_looks_like_a_record_is_not_taken_for_one():
    """An agent may write what it likes, a crc with the right seed it cannot know."""
    forged = loads(line_of(99, 99).replace(b'"crc":"', b'"crc":"0')[:-1].replace(b'"crc":"0', b'"crc":"'))
    forged["crc"] = "deadbeef"
    window = line_of(5, 5, [forged, {"x": forged}])
    assert [(one.seq, one.batch) for one in record.whole_records(window, SEED, 1 << 16)] == [(5, 5)]
