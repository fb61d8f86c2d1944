"""What the threads of the server leave to each other: a stream's socket, and who sends."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest
from waitress.channel import ClientDisconnected

from glink.limits import Limits
from glink.server import wire
from glink.server.wire import STREAM, Channel, Server, Task


class Taken:
    """A taker that counts."""

    def __init__(self) -> None:
        self.left = 0

    def take(self, connection: object) -> None:
        raise AssertionError("there is nothing to take")

    def gone(self) -> None:
        self.left += 1


def test_a_client_that_left_before_the_head_is_told_to_its_taker_once() -> None:
    """So its place among the streams is free again, also when the connection is closed later."""
    taker = Taken()
    channel = Channel.__new__(Channel)
    channel.connected = False
    task = Task(channel, type("Request", (), {"version": "1.1"}))
    task.environ = {STREAM: taker}
    task.status = "200 OK"
    with pytest.raises(ClientDisconnected):
        task.finish()
    assert taker.left == 1
    channel.let_go()
    assert taker.left == 1


class Watched(Channel):
    """A channel that notes, whenever it sends, whether the loop would be let in; `room` is what the socket takes."""

    def __init__(self, one: socket.socket, room: int) -> None:
        server: Any = SimpleNamespace(pull_trigger=lambda: self.asked.append("the loop is woken"), active_channels={})
        adj: Any = SimpleNamespace(outbuf_overflow=1 << 20, outbuf_high_watermark=1 << 20, send_bytes=1)
        super().__init__(server, one, ("127.0.0.1", 1), adj, map={})
        self.room, self.asked = room, []

    def send(self, data: bytes, do_close: bool = True) -> int:
        self.asked.append(self.writable())
        taken, self.room = min(len(data), self.room), 0
        return taken


@pytest.mark.parametrize(
    ("room", "asked", "left"), [(9, [False], False), (4, [False, False, "the loop is woken"], True)]
)
def test_the_loop_waits_while_a_thread_sends_and_goes_on_with_what_it_left(
    room: int, asked: list[object], left: bool
) -> None:
    """Else it goes round and round at a socket that is writable, and the sender hardly gets the interpreter."""
    one, other = socket.socketpair()
    with one, other:
        channel = Watched(one, room)
        channel.write_soon(b"an answer")
        assert channel.asked == asked
        assert channel.writable() is left


def test_a_server_that_stood_still_itself_blames_no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped or suspended for an hour: what clients sent meanwhile lies there unread. After that they are timed anew."""
    clock = SimpleNamespace(at=1_000.0)
    monkeypatch.setattr(wire, "monotonic", lambda: clock.at)
    server = Server.__new__(Server)
    server.limits, server._looked, server.accepting = Limits(), clock.at, False
    channel = Channel.__new__(Channel)
    channel.server, channel.requests, channel.request, channel.socket = server, [], None, None
    channel.outbufs, channel.total_outbufs_len, channel.will_close, channel.waiting_since = [], 0, False, clock.at
    server.active_channels = {1: channel}
    clock.at += 3_600
    server.readable()
    assert not channel.will_close
    for _ in range(11):
        assert not channel.will_close
        clock.at += 1
        server.readable()
    assert channel.will_close
