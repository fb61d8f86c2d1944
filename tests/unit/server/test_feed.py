"""The parts of a stream that hold no socket: choices, forms, readings, the shared end of the log."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glink.event import Record
from glink.limits import Limits
from glink.permit import Scope
from glink.server.auth import Who
from glink.server.choice import Choice, looked_at, types_of
from glink.server.feed import Feed
from glink.server.form import Form, text_of
from glink.server.reading import Reading
from tests.unit.server.small import Stored

ALL = Who("api", frozenset({Scope.READ}))
TEAM = Who("team", frozenset({Scope.READ}), ("team-a/*",))


def record(seq: int, kind: str = "note.a", **more: object) -> Record:
    return {"seq": seq, "b": seq, "e": 1, "time": "t", "type": kind, **more}  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("choice", "given_to_it"),
    [
        (Choice(ALL), [1, 2, 3, 4, 5]),
        (Choice(TEAM), [2, 3]),
        (Choice(ALL, project="team-a/x"), [2]),
        (Choice(TEAM, project="team-b/x"), []),
        (Choice(ALL, types=types_of("step.*")), [2, 4]),
        (Choice(ALL, types=types_of("step.succeeded,engine.*")), [1, 2]),
        (Choice(ALL, types=types_of("*.?ote")), []),
        (Choice(ALL, agent="coder"), [2, 5]),
        (Choice(TEAM, types=types_of("step.*"), agent="coder"), [2]),
        (Choice(ALL, is_open=lambda one: one["seq"] > 3), [4, 5]),
    ],
)
def test_a_reader_gets_what_it_chose_and_may_have(choice: Choice, given_to_it: list[int]) -> None:
    """What belongs to no project is for tokens that have all."""
    records = [
        record(1, "engine.started"),
        record(2, "step.succeeded", project="team-a/x", data={"agent": "coder"}),
        record(3, "note.a", project="team-a/y"),
        record(4, "step.failed", project="team-b/x", data={}),
        record(5, "agent.cooling", data={"agent": "coder"}),
    ]
    assert [one["seq"] for one in records if choice.takes(one)] == given_to_it
    assert [one["seq"] for one in records if choice.takes(looked_at(one))] == given_to_it


def test_a_feed_holds_what_is_sent_and_what_is_chosen_by(tmp_path: Path) -> None:
    feed = Feed(0, Limits(), wake=lambda: None)
    feed.listeners = 1
    feed.hear([record(1, "step.dispatched", project="p", step="s", data={"agent": "coder", "task": "x" * 1_000})])
    feed.turn()
    (kept,) = feed.after(0) or []
    assert kept.record == {"seq": 1, "type": "step.dispatched", "project": "p", "step": "s", "data": {"agent": "coder"}}
    assert json.loads(kept.text)["data"]["task"] == "x" * 1_000


def test_a_feed_counts_what_short_events_take_in_memory() -> None:
    """An event of forty bytes is held as several objects, and those are most of it."""
    size = 1 << 20
    feed = Feed(0, Limits(feed_bytes=size), wake=lambda: None)
    feed.listeners = 1
    tracemalloc.start()
    try:
        for start in range(0, 20_000, 100):
            feed.hear([record(start + n, project="p", step=f"{start + n}") for n in range(1, 101)])
            feed.turn()
        assert tracemalloc.get_traced_memory()[0] < 1.5 * size
    finally:
        tracemalloc.stop()


def test_a_reader_holds_nothing_for_each_project() -> None:
    """There may be a thousand of the ones and many thousands of the others."""
    choice = Choice(TEAM)
    choice.takes(record(0, project="team-a/x"))
    tracemalloc.start()
    try:
        for number in range(2_000):
            choice.takes(record(number, project=f"team-a/{number}"))
        assert tracemalloc.get_traced_memory()[0] < 20_000
    finally:
        tracemalloc.stop()


def test_many_stars_cost_little() -> None:
    """A glob of a stranger is no way to hold a thread."""
    assert types_of("*a*" * 16 + "b").match("a" * 64) is None


@pytest.mark.parametrize("text", ["a\r\nid: 7\r\n\r\n", "data: x\n\n", "\u2028\u2029\x85", "\r", "\\n"])
def test_no_stored_text_begins_a_line(text: str) -> None:
    """An event is one `id` and one `data` line, a JSON line is one line, whatever is in it."""
    told = text_of(record(7, data={"text": text}))
    event, line = Form.EVENTS.record(7, told), Form.LINES.record(7, told)
    assert [one.partition(b":")[0] for one in event.split(b"\n")] == [b"id", b"data", b"", b""]
    assert b"\r" not in event
    assert (line.count(b"\n"), json.loads(line)["data"]["text"]) == (1, text)


def test_readers_do_not_see_what_belongs_to_the_log() -> None:
    assert json.loads(text_of(record(7))) == {"seq": 7, "time": "t", "type": "note.a"}


def test_a_gap_says_where_to_go_on() -> None:
    """A browser resumes by itself, since the gap has an id."""
    assert Form.EVENTS.gap("why", 5) == b'id: 5\nevent: gap\ndata: {"type":"gap","reason":"why","resume":5}\n\n'
    assert Form.LINES.gap("why", 5) == b'{"type":"gap","reason":"why","resume":5}\n'


@pytest.fixture
def stored(tmp_path: Path):
    one = Stored(tmp_path / "bus")
    yield one
    one.bus.close()


def seqs(data: bytes) -> list[int]:
    return [json.loads(line)["seq"] for line in data.splitlines()]


@pytest.mark.parametrize(("records", "size"), [(1, 1), (7, 10**6), (1_000, 100), (10**6, 10**6)])
def test_a_reading_in_pieces_is_the_whole(stored: Stored, records: int, size: int) -> None:
    """Whatever is written meanwhile: it ends where the bus ended when it began."""
    stored.notes(100)
    stored.notes(50, project="other")
    reading = Reading(stored, Choice(ALL), Form.LINES, after=20, end=stored.durable_seq, left=None)
    pieces = []
    while not reading.done:
        pieces.append(reading.more(records, size))
        stored.notes(1)
        assert len(pieces) < 1_000
    assert seqs(b"".join(pieces)) == list(range(21, 151))


def test_a_reading_stops_at_its_limit(stored: Stored) -> None:
    """Counted are the records that it is given, not those that it passes."""
    stored.notes(10, project="other")
    stored.notes(10)
    reading = Reading(stored, Choice(TEAM), Form.LINES, after=0, end=None, left=3)
    assert seqs(reading.more(10**6, 10**6)) == [11, 12, 13]
    assert reading.done


def test_a_reading_that_goes_on_takes_up_where_it_was(stored: Stored) -> None:
    reading = Reading(stored, Choice(ALL), Form.LINES, after=0, end=None, left=None)
    assert (reading.more(10, 10**6), reading.up_to_date, reading.cursor) == (b"", True, 0)
    stored.notes(5)
    assert seqs(reading.more(3, 10**6)) == [1, 2, 3]
    assert not reading.up_to_date
    assert seqs(reading.more(10, 10**6)) == [4, 5]
    assert (reading.up_to_date, reading.cursor, reading.done) == (True, 5, False)


def test_what_is_not_kept_any_more_is_a_gap() -> None:
    """Who was at 3 and finds 10 next has missed something; who begins anew has not."""

    class Trimmed:
        durable_seq = 12

        def replay(self, after: int, project: str | None):
            return (record(seq) for seq in range(max(after + 1, 10), 13))

    def reading(after: int) -> Reading:
        return Reading(Trimmed(), Choice(ALL), Form.LINES, after=after, end=12, left=None)

    late, new, just = reading(3), reading(0), reading(9)
    assert (late.more(100, 10**6), late.gap, late.done) == (b"", True, True)
    assert (seqs(new.more(100, 10**6)), new.gap) == ([10, 11, 12], False)
    assert (seqs(just.more(100, 10**6)), just.gap) == ([10, 11, 12], False)


def test_a_bus_that_grows_while_it_is_read_changes_no_end_and_repeats_nothing() -> None:
    """What became durable after the reading began is not in an answer, and once in a stream."""

    class Growing:
        durable_seq = 3

        def replay(self, after: int, project: str | None):
            return (record(seq) for seq in range(after + 1, 6))

    answer = Reading(Growing(), Choice(ALL), Form.LINES, after=0, end=3, left=None)
    assert (seqs(answer.more(100, 10**6)), answer.done) == ([1, 2, 3], True)
    stream = Reading(Growing(), Choice(ALL), Form.LINES, after=0, end=None, left=None)
    assert (seqs(stream.more(100, 10**6)), stream.cursor) == ([1, 2, 3, 4, 5], 5)
    assert stream.more(100, 10**6) == b""


DEEDS = st.lists(
    st.one_of(
        st.tuples(st.just("hear"), st.integers(1, 5)),
        st.tuples(st.just("miss"), st.integers(1, 5)),
        st.tuples(st.sampled_from(["turn", "forget", "join", "leave"]), st.just(0)),
    ),
    max_size=40,
)


@given(DEEDS, st.integers(400, 14_000))
@settings(max_examples=300)
def test_the_end_of_the_log_is_whole_or_not_offered(deeds: list[tuple[str, int]], size: int) -> None:
    """Whoever asks gets every record after a seq that it listened since, or is sent to the bus: never a part, never late."""
    feed = Feed(0, Limits(feed_bytes=size, feed_batches=4), wake=lambda: None)
    durable, said, since = 0, 0, None
    for deed, count in deeds:
        if deed in ("hear", "miss"):
            batch = [record(durable + 1 + n) for n in range(count)]
            durable += count
            if deed == "hear":
                feed.hear(batch)
                said = durable if since is not None else said
        elif deed == "turn":
            feed.turn()
        elif deed == "forget" and not feed.listeners:
            feed.forget()
        elif deed == "join" and since is None:
            feed.listeners, since = 1, durable
        elif deed == "leave" and since is not None:
            feed.listeners, since = 0, None
        if since is None:
            continue
        for seq in range(since, durable + 1):
            found = feed.after(seq)
            if found is not None:
                got = [one.seq for one in found]
                assert got == list(range(seq + 1, seq + 1 + len(got)))
                assert deed != "turn" or seq + len(got) >= said


def test_while_nobody_listens_nothing_is_kept() -> None:
    woken: list[int] = []
    feed = Feed(0, Limits(), wake=lambda: woken.append(1))
    feed.hear([record(1)])
    feed.turn()
    assert (feed.after(0), woken) == ([], [])
    feed.listeners = 1
    feed.hear([record(2)])
    feed.turn()
    assert feed.after(0) is None
    assert [one.seq for one in feed.after(1) or []] == [2]
    assert woken == [1]
