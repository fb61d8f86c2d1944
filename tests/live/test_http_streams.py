"""`/events` over real connections, read by a client library that is not ours."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import httpx
import pytest
from httpx_sse import connect_sse

from glink.clock import wait_for
from glink.limits import Limits
from tests.live.wire import connect, hear, say
from tests.unit.server.small import MAIN, READER, Small

LIMITS = Limits(stream_wake=0.01, idle_seconds=3.0)
KEY = {"X-API-Key": MAIN}


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    one = Small(tmp_path, limits=LIMITS)
    one.serve()
    yield one
    one.close()


def url(small: Small, query: str = "") -> str:
    assert small.serving is not None
    return f"{small.serving.url}/events{query}"


def asking(small: Small, query: str, more: str = "") -> socket.socket:
    assert small.serving is not None
    one = connect(small.serving.port)
    one.sendall(f"GET /events{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {MAIN}\r\n{more}\r\n".encode())
    return one


def test_waitress_is_the_one_that_was_read() -> None:
    """Sockets are taken out of its hands by what 3.0 does when an answer is flushed; another one may do it otherwise."""
    assert version("waitress").startswith("3.0.")


def test_an_event_source_reads_and_resumes(small: Small) -> None:
    """Ten connections one after the other, each resuming by the id it had last: every event once, in order."""
    found: list[int] = []
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set() and small.stored.durable_seq < 2_000:
            small.stored.notes(7)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with httpx.Client(headers=KEY, timeout=20) as client:
            for _ in range(10):
                resume = {"Last-Event-ID": str(found[-1])} if found else {}
                with connect_sse(client, "GET", url(small), headers=resume) as source:
                    for event in islice(source.iter_sse(), 50):
                        assert json.loads(event.data)["seq"] == int(event.id)
                        assert (event.event, event.retry) in (("message", None), ("message", 2000))
                        found.append(int(event.id))
    finally:
        stop.set()
        writer.join()
    assert found == list(range(1, 501))
    assert wait_for(lambda: len(small.streams) == 0, seconds=10)


def test_a_reader_resumes_over_a_restart_of_the_server(small: Small) -> None:
    """Its stream ends when the server does, and goes on where it was."""
    small.stored.notes(5)
    with httpx.Client(headers=KEY, timeout=20) as client:
        with connect_sse(client, "GET", url(small)) as source:
            first = [int(one.id) for one in islice(source.iter_sse(), 5)]
        assert small.serving is not None
        small.serving.stop(seconds=1)
        small.stored.notes(5)
        small.serve()
        with connect_sse(client, "GET", url(small), headers={"Last-Event-ID": str(first[-1])}) as source:
            assert first + [int(one.id) for one in islice(source.iter_sse(), 5)] == list(range(1, 11))


def test_hostile_texts_arrive_as_they_were(small: Small) -> None:
    """CR, LF, separators and what looks like a field: one event each, told as data."""
    texts = [
        "a\rb",
        "a\nid: 9\n\n",
        "a\r\n\r\nevent: gap\r\n",
        "\u2028\u2029\x85\x00\x1b[31m",
        "data: x",
        ":",
        "\U0001f600",
        "",
    ]
    small.stored.write(*({"type": "note.t", "project": "p", "data": {"t": text}} for text in texts))
    with httpx.Client(headers=KEY, timeout=20) as client, connect_sse(client, "GET", url(small)) as source:
        told = [json.loads(one.data)["data"]["t"] for one in islice(source.iter_sse(), len(texts))]
    assert told == texts


def test_lines_are_json_and_the_answer_ends(small: Small) -> None:
    """Short ones have a length; long ones end with the connection; either way it is all that was there."""
    small.stored.notes(30_000)
    short = httpx.get(url(small, "?since=29990"), headers=KEY)
    assert (short.headers["content-type"], "content-length" in short.headers) == ("application/x-ndjson", True)
    long = httpx.get(url(small), headers=KEY, timeout=20)
    assert (long.headers["connection"], "content-length" in long.headers) == ("close", False)
    for answer, first in ((short, 29_991), (long, 1)):
        assert [json.loads(one)["seq"] for one in answer.text.splitlines()] == list(range(first, 30_001))


def test_an_event_source_need_not_follow(small: Small) -> None:
    """`follow=0`: the events that are there, in the form of a stream."""
    small.stored.notes(2)
    answer = httpx.get(url(small, "?follow=0"), headers={**KEY, "Accept": "text/event-stream"})
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.text.count("\n\n") == 2


def test_a_token_sees_its_projects_alone(small: Small) -> None:
    """Followed or not; and nothing of what belongs to the engine."""
    small.stored.write({"type": "engine.started"}, *({"type": "note.a", "project": f"team-{one}/x"} for one in "aba"))
    answer = httpx.get(url(small), headers={"X-API-Key": READER})
    assert [json.loads(one)["seq"] for one in answer.text.splitlines()] == [2, 4]
    key = {"X-API-Key": READER}
    with httpx.Client(headers=key, timeout=20) as client, connect_sse(client, "GET", url(small, "?since=3")) as source:
        small.stored.write({"type": "note.b", "project": "team-b/x"}, {"type": "note.b", "project": "team-a/x"})
        assert [int(one.id) for one in islice(source.iter_sse(), 2)] == [4, 6]


def test_only_what_is_open_is_given_to_who_asks_for_it(small: Small) -> None:
    small.stored.write(*({"type": f"note.{one}", "project": "p"} for one in ("open", "shut", "open")))
    answer = httpx.get(url(small, "?open=1"), headers=KEY)
    assert [json.loads(one)["seq"] for one in answer.text.splitlines()] == [1, 3]


def test_a_stream_may_follow_other_requests_on_a_connection(small: Small) -> None:
    """And what is sent after it is not answered."""
    small.stored.notes(1)
    with asking(small, "?since=0") as one:
        assert hear(one).statuses == [200]
        one.sendall(
            f"GET /events?follow=1 HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {MAIN}\r\n\r\n".encode()
            + b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        )
        data = b""
        while b'"seq":1' not in data:
            data += one.recv(1 << 16)
        small.stored.notes(1)
        while b'"seq":2' not in data:
            data += one.recv(1 << 16)
        assert data.count(b"HTTP/1.1 200") == 1


def test_an_idle_stream_outlives_the_time_of_other_connections(small: Small) -> None:
    """It is no longer among them: they are ended while it stays."""
    assert small.serving is not None
    with asking(small, "?follow=1") as one, connect(small.serving.port) as idle:
        idle.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert hear(idle, answers=2).closed
        small.stored.notes(1)
        data = b""
        while b'"seq":1' not in data:
            data += one.recv(1 << 16)


def test_head_of_a_stream_is_its_head(small: Small) -> None:
    assert small.serving is not None
    answer = httpx.head(url(small, "?follow=1"), headers=KEY)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
    assert len(small.streams) == 0


def test_who_leaves_at_once_leaves_nothing_behind(small: Small) -> None:
    """A hundred clients that ask for a stream and are gone before its first byte."""
    small.stored.notes(1_000)
    for number in range(100):
        one = asking(small, "?follow=1")
        if number % 2:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset, not an end
        one.close()
    assert wait_for(lambda: len(small.streams) == 0, seconds=10)


def test_two_hundred_silent_readers_hold_nobody_up(small: Small) -> None:
    """They take nothing while much happens; a request is answered, and a quick reader gets everything."""
    assert small.serving is not None
    port = small.serving.port
    silent = [asking(small, "?follow=1") for _ in range(200)]
    try:
        assert wait_for(lambda: len(small.streams) == 200, seconds=20)
        with httpx.Client(headers=KEY, timeout=20) as client, connect_sse(client, "GET", url(small)) as source:
            events = source.iter_sse()
            for round_ in range(20):
                small.stored.notes(200)
                assert [int(one.id) for one in islice(events, 200)][-1] == (round_ + 1) * 200
                assert say(port, b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").statuses == [200]
    finally:
        for one in silent:
            one.close()
    assert wait_for(lambda: len(small.streams) == 0, seconds=20)


def test_one_stream_too_many_is_told_to_come_again(tmp_path: Path) -> None:
    small = Small(tmp_path, limits=Limits(streams=2))
    small.serve()
    kept = [asking(small, "?follow=1") for _ in range(2)]
    try:
        assert wait_for(lambda: len(small.streams) == 2, seconds=10)
        refused = httpx.get(url(small, "?follow=1"), headers=KEY)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    finally:
        for one in kept:
            one.close()
        small.close()
