"""Streams over real sockets and a real bus: nothing lost, nothing twice, and nobody waits for the slow."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from glink.clock import wait_for
from glink.errors import BusCorrupt
from glink.limits import Limits
from glink.permit import Scope
from glink.server.auth import Who
from glink.server.choice import Choice, types_of
from glink.server.form import Form
from glink.server.problem import HttpProblem
from glink.server.reader import Reader
from glink.server.reading import Reading
from glink.server.streams import HELD_OPEN, Streams
from tests.unit.server.small import Stored

ALL = Who("api", frozenset({Scope.READ}))


class Stage:
    """Streams over a bus, and clients that read them."""

    def __init__(self, folder: Path, **limits: Any) -> None:
        self.stored = Stored(folder / "bus")
        self.streams = Streams(self.stored, Limits(**{"stream_wake": 0.005, **limits}))
        self.stored.listeners.append(self.streams.hear)
        self.sockets: list[socket.socket] = []

    def open(
        self, after: int = 0, *, choice: Choice | None = None, form: Form = Form.LINES, source: Any = None, **more: Any
    ) -> socket.socket:
        """The client's end of a new stream."""
        options = {"end": None, "left": None, **more}
        reading = Reading(source or self.stored, choice or Choice(ALL), form, after=after, **options)
        reader = Reader(self.streams, reading)
        self.streams.admit(reader)
        ours, theirs = socket.socketpair()
        ours.settimeout(20)
        self.sockets.append(ours)
        reader.take(theirs)
        return ours

    def close(self) -> None:
        self.streams.stop()
        for one in self.sockets:
            one.close()
        self.stored.bus.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    one = Stage(tmp_path)
    yield one
    one.close()


def lines(client: socket.socket, count: int) -> list[dict[str, Any]]:
    """So many lines; fewer when the stream ends before."""
    data = b""
    while data.count(b"\n") < count and (piece := client.recv(1 << 16)):
        data += piece
    return [json.loads(line) for line in data.split(b"\n")[:count] if line]


def rest(client: socket.socket) -> bytes:
    """Everything to the end."""
    data = b""
    while piece := client.recv(1 << 16):
        data += piece
    return data


def seqs(found: list[dict[str, Any]]) -> list[int]:
    return [one["seq"] for one in found]


def test_what_is_there_comes_first_and_what_happens_follows(stage: Stage) -> None:
    """In one order, without a seam."""
    stage.stored.notes(300)
    client = stage.open(after=100)
    assert seqs(lines(client, 200)) == list(range(101, 301))
    stage.stored.notes(3)
    assert seqs(lines(client, 3)) == [301, 302, 303]
    stage.stored.notes(2)
    assert seqs(lines(client, 2)) == [304, 305]


def test_each_reader_gets_everything_once_whenever_it_comes(stage: Stage) -> None:
    """Twelve readers come while two writers write; some begin anew, some resume."""
    total, found = 3_000, {}

    def write() -> None:
        for _ in range(total // 20):
            stage.stored.notes(10)

    def read(number: int, after: int) -> None:
        found[number] = seqs(lines(stage.open(after), total - after))

    writers = [threading.Thread(target=write) for _ in range(2)]
    readers = []
    for thread in writers:
        thread.start()
    for number in range(12):
        after = 0 if number % 2 else stage.stored.durable_seq
        readers.append((after, threading.Thread(target=read, args=(number, after))))
        readers[-1][1].start()
        target = min(stage.stored.durable_seq + 150, total - 1)
        assert wait_for(lambda seq=target: stage.stored.durable_seq >= seq, seconds=20)
    for thread in [*writers, *(one for _, one in readers)]:
        thread.join(30)
    for number, (after, _) in enumerate(readers):
        assert found[number] == list(range(after + 1, total + 1))


class Counted:
    """A bus that knows how many readings of it are under way."""

    def __init__(self, stored: Stored) -> None:
        self.stored, self.open, self.most = stored, 0, 0

    @property
    def durable_seq(self) -> int:
        return self.stored.durable_seq

    def replay(self, after: int, project: str | None) -> Iterator[Any]:
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            yield from self.stored.replay(after, project)
        finally:
            self.open -= 1


def test_of_many_readers_who_are_behind_a_few_hold_open_what_they_read(stage: Stage) -> None:
    """A reading that waits holds decoded records. Who has to begin again is given everything once all the same."""
    stage.stored.notes(3_000)
    counted = Counted(stage.stored)
    clients = [stage.open(source=counted) for _ in range(60)]
    assert wait_for(lambda: all(one.recv(1, socket.MSG_PEEK) for one in clients), seconds=20)
    assert counted.most <= HELD_OPEN + 2
    for one in clients:
        assert seqs(lines(one, 3_000)) == list(range(1, 3_001))


def test_an_answer_ends_where_the_bus_ended(stage: Stage) -> None:
    """Not followed: what is written meanwhile is not in it."""
    stage.stored.notes(20_000)
    client = stage.open(end=20_000)
    stage.stored.notes(5)
    assert rest(client).count(b"\n") == 20_000


def test_choices_are_kept_apart(stage: Stage) -> None:
    """Equal ones share their bytes, different ones do not."""
    note = stage.open(choice=Choice(ALL, types=types_of("note.*")))
    same = stage.open(choice=Choice(ALL, types=types_of("note.*")))
    third = stage.open(choice=Choice(ALL, project="p"))
    other = stage.open(choice=Choice(ALL, project="p"), form=Form.EVENTS)
    stage.stored.write({"type": "note.0", "project": "p"})
    for one in (note, same, third):
        assert seqs(lines(one, 1)) == [1]
    stage.stored.write({"type": "note.a", "project": "q"}, {"type": "order.b", "project": "p"}, {"type": "note.c"})
    assert [one["type"] for one in lines(note, 2)] == ["note.a", "note.c"]
    assert [one["type"] for one in lines(same, 2)] == ["note.a", "note.c"]
    assert [one["type"] for one in lines(third, 1)] == ["order.b"]
    told = b""
    while told.count(b"\n\n") < 2:
        told += other.recv(1 << 16)
    assert told.startswith(b'retry: 2000\nid: 1\ndata: {"seq":1,')
    assert told.split(b"\n\n")[1].startswith(b'id: 3\ndata: {"seq":3,')


def test_a_limit_ends_the_stream(stage: Stage) -> None:
    """Also when it is reached by what happens."""
    stage.stored.notes(2)
    client = stage.open(left=5)
    assert seqs(lines(client, 2)) == [1, 2]
    stage.stored.notes(10)
    assert [json.loads(one)["seq"] for one in rest(client).splitlines()] == [3, 4, 5]


def test_who_cannot_keep_up_is_told_and_cut(tmp_path: Path) -> None:
    """With all that was promised before, and the seq from which it may go on; another reader loses nothing."""
    stage = Stage(tmp_path, stream_bytes=50_000)
    try:
        slow, quick = stage.open(), stage.open()
        got: list[int] = []
        for _ in range(80):
            stage.stored.notes(100)
            got += seqs(lines(quick, 100))
        told = [json.loads(one) for one in rest(slow).splitlines()]
        assert seqs(told[:-1]) == list(range(1, len(told)))
        assert told[-1] == {"type": "gap", "reason": "you read too slowly", "resume": len(told) - 1}
        assert 0 < told[-1]["resume"] < 8_000
        assert got == list(range(1, 8_001))
        again = stage.open(after=told[-1]["resume"])
        assert lines(again, 1)[0]["seq"] == told[-1]["resume"] + 1
    finally:
        stage.close()


def test_who_reads_nothing_is_dropped(tmp_path: Path) -> None:
    """After its time, whether it was behind or up to date; its place is free again."""
    stage = Stage(tmp_path, stream_stall=0.2)
    try:
        stage.stored.notes(50_000)
        behind = stage.open()
        assert wait_for(lambda: len(stage.streams) == 0, seconds=20)
        assert rest(behind).count(b"\n") < 50_000
    finally:
        stage.close()


def test_a_slow_reader_that_is_behind_loses_nothing(stage: Stage) -> None:
    """The bus has it all, and is read only as fast as the client reads."""
    stage.stored.notes(30_000)
    client = stage.open(end=30_000)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    data = b""
    while piece := client.recv(3_000):
        data += piece
    assert [json.loads(one)["seq"] for one in data.splitlines()] == list(range(1, 30_001))


def test_a_client_that_leaves_gives_its_place_back(stage: Stage) -> None:
    """Noticed without anything being sent."""
    clients = [stage.open() for _ in range(5)]
    assert wait_for(lambda: len(stage.streams) == 5, seconds=10)
    for one in clients[:4]:
        one.close()
    assert wait_for(lambda: len(stage.streams) == 1, seconds=10)
    assert stage.streams._feed.listeners == 1
    clients[4].close()
    assert wait_for(lambda: len(stage.streams) == 0, seconds=10)
    assert stage.streams._feed.listeners == 0


@pytest.mark.parametrize("limits", [{"feed_bytes": 2_000}, {"feed_batches": 1}])
def test_a_burst_that_is_too_much_to_hold_is_read_from_the_bus(tmp_path: Path, limits: dict[str, int]) -> None:
    """By a reader who was up to date, without a gap."""
    stage = Stage(tmp_path, **limits)
    try:
        client = stage.open()
        stage.stored.notes(1)
        assert seqs(lines(client, 1)) == [1]
        for _ in range(10):
            stage.stored.notes(50)
        assert seqs(lines(client, 500)) == list(range(2, 502))
        stage.stored.notes(1)
        assert seqs(lines(client, 1)) == [502]
    finally:
        stage.close()


def test_a_client_that_talks_into_a_stream_is_dropped(stage: Stage) -> None:
    """A little is overlooked, much is not."""
    client = stage.open()
    client.sendall(b"x" * 100)
    stage.stored.notes(1)
    assert seqs(lines(client, 1)) == [1]
    with pytest.raises(OSError):
        for _ in range(1_000):
            client.sendall(b"x" * 10_000)
    assert wait_for(lambda: len(stage.streams) == 0, seconds=10)


def test_there_are_so_many_streams_and_no_more(tmp_path: Path) -> None:
    """The next is told to come again."""
    stage = Stage(tmp_path, streams=3)
    try:
        clients = [stage.open() for _ in range(3)]
        with pytest.raises(HttpProblem, match="too many streams") as refused:
            stage.open()
        assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "5"})
        clients[0].close()
        assert wait_for(lambda: len(stage.streams) == 2, seconds=10)
        stage.open()
    finally:
        stage.close()


@pytest.mark.parametrize(("form", "comment"), [(Form.EVENTS, b":\n"), (Form.LINES, b"\n")])
def test_silence_is_broken_by_comments(tmp_path: Path, form: Form, comment: bytes) -> None:
    """They show that both ends are there, and mean nothing to a reader."""
    stage = Stage(tmp_path, stream_comment=0.01)
    try:
        client = stage.open(form=form)
        expected = form.greeting + comment * 2
        data = b""
        while len(data) < len(expected):
            data += client.recv(100)
        assert data == expected
    finally:
        stage.close()


def test_damage_ends_a_stream_with_its_reason(stage: Stage) -> None:
    """What was whole before it is given."""

    class Damaged:
        durable_seq = 10

        def replay(self, after: int, project: str | None):
            if not after:
                yield {"seq": 1, "b": 1, "e": 1, "time": "t", "type": "note.a"}
            raise BusCorrupt("record 2 is damaged")

    told = [json.loads(one) for one in rest(stage.open(source=Damaged())).splitlines()]
    assert told[-1] == {"type": "gap", "reason": "record 2 is damaged", "resume": 1}


def test_a_bug_in_a_choice_is_that_readers_alone(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """Whether it is met in what is on the bus or in what happens; the log has it."""

    def is_open(record: Any) -> bool:
        return record["type"] == "note.a" and bool(1 // 0)

    broken, well = stage.open(choice=Choice(ALL, is_open=is_open)), stage.open()
    stage.stored.notes(1, kind="note.b")
    assert seqs(lines(well, 1)) == [1]
    stage.stored.notes(1, kind="note.a")
    assert seqs(lines(well, 1)) == [2]
    told = {"type": "gap", "reason": "this is a bug in Glink; see its log"}
    assert told.items() <= json.loads(rest(broken)).items()
    assert told.items() <= json.loads(rest(stage.open(choice=Choice(ALL, is_open=is_open)))).items()
    assert caplog.text.count("ZeroDivisionError") == 2
    stage.stored.notes(1)
    assert seqs(lines(well, 1)) == [3]


def test_a_stop_ends_every_stream(tmp_path: Path) -> None:
    """Those that are up to date, and those that are in the middle of much."""
    stage = Stage(tmp_path)
    stage.stored.notes(50_000)
    clients = [stage.open(after=50_000), stage.open(), stage.open(end=50_000)]
    stage.streams.stop()
    for one in clients:
        assert b"gap" not in rest(one)
    assert len(stage.streams) == 0
    stage.stored.bus.close()
    for one in stage.sockets:
        one.close()
