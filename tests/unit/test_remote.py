"""How long another server is waited for."""

from glink import remote


def test_a_server_may_be_silent_as_long_as_it_is_meant_to_be():
    """Being reached has a time of its own, which does not bound the waiting for an answer."""
    assert (remote.CALL.connect_timeout, remote.CALL.read_timeout) == (10, 70)
    assert (remote.STREAM.connect_timeout, remote.STREAM.read_timeout) == (10, 45)
