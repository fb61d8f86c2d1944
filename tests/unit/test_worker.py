"""What a worker does when its server breaks off."""

from hashlib import sha256
from typing import Any

import pytest

from glink.errors import NoState, UsageError
from glink.limits import Limits
from glink.worker import PIECE, Worker


class Server:
    """Takes bodies by pieces, in order; breaks off after it took the second piece, once."""

    def __init__(self) -> None:
        self.held, self.breaks = b"", True

    def store(self, path: str, data: bytes) -> None:
        at = int(path.rpartition("=")[2])
        if at != len(self.held):
            raise UsageError("go on from there", offset=len(self.held))
        self.held += data
        if at and self.breaks:
            self.breaks = False
            raise NoState("the connection was broken off")


@pytest.mark.parametrize("size", [2 * PIECE, 5 * PIECE // 2])
def test_a_body_whose_upload_was_cut_off_goes_on_where_it_was(size: int) -> None:
    """Also where nothing but the server's word that it is whole was missing."""
    server: Any = Server()
    worker = Worker(server, "coder", ["true"], slots=1, name="w", say=lambda text: None, limits=Limits())
    claim, data = {"fence": 1, "key": "k"}, bytes(range(256)) * (size // 256)
    with pytest.raises(NoState):
        worker._put(claim, data)
    assert worker._put(claim, data) == sha256(data).hexdigest()
    assert server.held == data
