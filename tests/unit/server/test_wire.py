"""The moment in which a stream's socket changes hands, where the client may leave at any point."""

from __future__ import annotations

import pytest
from waitress.channel import ClientDisconnected

from glink.server.wire import STREAM, Channel, Task


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
