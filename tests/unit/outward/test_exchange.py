"""One request over a real socket, with servers that behave badly: every wait ends, every size is bounded."""

from __future__ import annotations

import gzip
import os
import socket
import threading
import zlib
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from glink.clock import SystemClock, wait_for
from glink.outward import connection as door
from glink.outward import patience as waiting
from glink.outward.address import Address
from glink.outward.exchange import Broken, Reply, Request, exchange
from glink.outward.patience import Patience, Stop, Stopped
from glink.testing.control import ManualControl
from tests.unit.web import CERTIFICATE, SECONDS, Asked, Behaviour, Service, reply, says

BOMB = gzip.compress(b"\0" * (64 << 20))


def ask(url: str, run: float | None = 30.0, idle: float | None = None, **more: object) -> Reply:
    request = Request(Address.of(url), body=b"question", **more)  # type: ignore[arg-type]
    return exchange(request, Patience(run=run, idle=idle))


def broken(behave: Behaviour, **more: object) -> tuple[str, str]:
    with Service(behave) as service, pytest.raises(Broken) as caught:
        ask(service.url, **more)  # type: ignore[arg-type]
    return caught.value.code, str(caught.value).replace(str(service.port), "PORT")


def until_closed(service: list[Service]) -> Behaviour:
    return lambda asked, connection: service[0].closed.wait() and None


def drips(head: bytes, piece: bytes) -> Behaviour:
    """Sends a beginning, then a piece every now and then, for ever."""

    def behave(asked: Asked, connection: socket.socket) -> None:
        connection.sendall(head)
        pause = threading.Event()
        for _ in count():
            connection.sendall(piece)
            pause.wait(0.005)

    return behave


def test_an_answer_comes_whole_with_status_and_headers() -> None:
    """The request goes out as it was given."""
    with Service(says(reply(418, b"short and stout", X_Kind="teapot"))) as service:
        answer = ask(f"{service.url}/a/b?c=d", headers={"X-One": "1"})
    assert (answer.status, answer.headers["x-kind"], answer.body) == (418, "teapot", b"short and stout")
    (asked,) = service.asked
    assert (asked.method, asked.target, asked.headers["x-one"], asked.body) == ("POST", "/a/b?c=d", "1", b"question")
    assert asked.headers["host"] == f"127.0.0.1:{service.port}"
    assert asked.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("place", ["http://169.254.169.254/latest/meta-data/", "http://127.0.0.1:1/"])
def test_a_redirect_is_an_answer_like_any_other(place: str) -> None:
    """Nobody goes where it leads."""
    with Service(says(reply(302, Location=place))) as service:
        answer = ask(service.url)
    assert (answer.status, answer.headers["location"], len(service.asked)) == (302, place, 1)


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate"])
def test_a_packed_answer_is_unpacked(encoding: str) -> None:
    """Although it was not asked for."""
    packed = zlib.compress(b"hello") if encoding == "deflate" else gzip.compress(b"hello")
    with Service(says(reply(200, packed, content_encoding=encoding))) as service:
        assert ask(service.url).body == b"hello"


def test_a_body_in_chunks_is_put_together() -> None:
    """Transfer-Encoding: chunked."""
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    with Service(says(raw)) as service:
        assert ask(service.url).body == b"abcde"


def test_an_answer_that_comes_before_all_was_read_counts() -> None:
    """A server may refuse a large request without reading it."""

    def behave(asked: Asked, connection: socket.socket) -> None:
        connection.sendall(reply(413, b"too much"))

    with Service(behave) as service:
        assert ask(service.url).status == 413


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (b"", "reset", "127.0.0.1:PORT broke the connection off: Remote end closed connection without response"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "protocol", "127.0.0.1:PORT does not answer as HTTP says: BadStatusLine"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "cut-short", "127.0.0.1:PORT ended in the middle of its answer"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", "cut-short", "127.0.0.1:PORT ended in the middle of its answer"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc", "cut-short", "127.0.0.1:PORT ended in the middle of its answer"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "protocol", "127.0.0.1:PORT does not answer as HTTP says: HTTPException"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", "protocol", "127.0.0.1:PORT does not answer as HTTP says: LineTooLong"),
        (reply(200, b"x" * 2_000), "too-large", "127.0.0.1:PORT answered with more than 1000 bytes"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2_000, "too-large", "127.0.0.1:PORT answered with more than 1000 bytes"),
        (reply(200, BOMB, content_encoding="gzip"), "too-large", "127.0.0.1:PORT answered with more than 1000 bytes"),
        (reply(200, BOMB, content_encoding="br"), "encoding", "127.0.0.1:PORT packs its answer in a way that was not asked for"),
        (reply(200, b"no gzip", content_encoding="gzip"), "cut-short", "127.0.0.1:PORT packed its answer wrongly: Error -3 while decompressing data: incorrect header check"),
        (reply(200, gzip.compress(b"a")[:-4], content_encoding="gzip"), "cut-short", "127.0.0.1:PORT ended in the middle of its answer"),
        (reply(200, gzip.compress(b"a") * 2, content_encoding="gzip"), "cut-short", "127.0.0.1:PORT answered with something behind its packed answer"),
    ],
)  # fmt: skip
def test_what_is_no_whole_answer_is_broken_and_says_how(answer: bytes, code: str, said: str) -> None:
    """Nothing of a broken answer is taken for one."""
    assert broken(says(answer), most=1_000) == (code, said)


def test_a_reset_in_the_middle_is_broken() -> None:
    """Not the half that came before it."""

    def behave(asked: Asked, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

    assert broken(behave)[0] in ("reset", "cut-short")


def test_an_endless_body_ends_at_its_cap() -> None:
    """And costs no more memory than that."""
    behave = drips(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 100_000)
    assert broken(behave, most=1 << 20)[0] == "too-large"


def test_a_bomb_is_cut_where_only_a_beginning_is_wanted() -> None:
    """What lies behind the cap is not unpacked."""
    with Service(says(reply(200, BOMB, content_encoding="gzip"))) as service:
        assert ask(service.url, most=100, cut=True).body == b"\0" * 100


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
)
def test_a_slow_drip_ends_with_the_time(head: bytes, piece: bytes) -> None:
    """Signs of life prolong no deadline."""
    with Service(drips(head, piece)) as service, pytest.raises(Stopped) as caught:
        ask(service.url, run=0.3)
    assert caught.value.why is Stop.RUN


def test_a_server_that_does_not_read_ends_with_the_time() -> None:
    """Sending is bounded as hearing is."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        request = Request(Address.of(f"http://127.0.0.1:{listener.getsockname()[1]}/"), body=b"x" * (32 << 20))
        with pytest.raises(Stopped) as caught:
            exchange(request, Patience(run=0.2))
    assert caught.value.why is Stop.RUN


def test_silence_ends_the_wait_and_signs_of_life_prolong_it() -> None:
    """The idle bound counts from the last bytes of the body."""
    service: list[Service] = []
    with Service(until_closed(service)) as silent, pytest.raises(Stopped) as caught:
        service.append(silent)
        ask(silent.url, run=None, idle=0.05)
    assert caught.value.why is Stop.IDLE
    with Service(drips(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1_000)) as alive, pytest.raises(Broken) as ended:
        ask(alive.url, run=None, idle=10.0, most=50_000)
    assert ended.value.code == "too-large"


def test_one_exchange_can_be_bounded_within_a_longer_wait() -> None:
    """That is a fault of the exchange, not the end of the wait."""
    service: list[Service] = []
    with Service(until_closed(service)) as silent:
        service.append(silent)
        patience = Patience(run=30.0)
        with pytest.raises(Broken) as caught:
            exchange(Request(Address.of(silent.url)), patience, longest=0.05)
        patience.check()
    assert caught.value.code == "slow"


@pytest.mark.parametrize("deed", ["cancel", "detach"])
def test_the_engine_is_heard_while_the_other_side_says_nothing(deed: str) -> None:
    """At once: the wait is for either."""
    service: list[Service] = []
    with Service(until_closed(service)) as silent, ManualControl() as control:
        service.append(silent)
        ringing = threading.Thread(target=lambda: (silent.heard(1), getattr(control, deed)()))
        ringing.start()
        with pytest.raises(Stopped) as caught:
            exchange(Request(Address.of(silent.url)), Patience(control=control))
        ringing.join()
    assert caught.value.why in (Stop.CANCELLED, Stop.DETACHED)


def test_a_dropped_exchange_closes_its_connection_and_leaves_no_descriptor() -> None:
    """However often it happens."""
    gone: list[bytes] = []
    with Service(lambda asked, connection: gone.append(connection.recv(1))) as service:
        before = len(os.listdir("/proc/self/fd"))
        for number in range(1, 11):
            with ManualControl() as control:
                ringing = threading.Thread(target=lambda number=number: (service.heard(number), control.cancel()))
                ringing.start()
                with pytest.raises(Stopped):
                    exchange(Request(Address.of(service.url)), Patience(control=control))
                ringing.join()
            assert wait_for(lambda number=number: gone == [b""] * number, seconds=SECONDS)
        assert wait_for(lambda: len(os.listdir("/proc/self/fd")) <= before, seconds=SECONDS)


def test_a_bomb_is_unpacked_no_further_than_it_is_asked_for() -> None:
    """Memory is what it costs."""
    assert door._Unpacker("gzip", "there").unpack(BOMB, 101) == b"\0" * 101


def test_only_newer_signs_of_life_count() -> None:
    """An old one takes nothing back; a new one prolongs the wait."""
    patience = Patience(idle=1_000.0)
    now = SystemClock().boot_time()
    patience.heard(now - 5_000)
    patience.check()
    patience._heard = now - 1_000.1
    with pytest.raises(Stopped):
        patience.check()
    patience.heard()
    patience.check()


@pytest.mark.parametrize("bounds", [{"run": 10.0}, {"idle": 10.0}, {"run": 10.0, "idle": 10.0}])
def test_who_stood_still_past_the_deadline_has_a_moment_to_take_what_came(
    monkeypatch: pytest.MonkeyPatch, bounds: dict[str, float]
) -> None:
    """An answer may lie there unread, and was paid for. Nothing else is late at a deadline."""

    class Clock:
        at = 0.0

        def boot_time(self) -> float:
            return self.at

    clock = Clock()
    monkeypatch.setattr(waiting, "_CLOCK", clock)
    patience = Patience(**bounds)
    clock.at = 3_600.0
    patience.check()
    clock.at += 0.9
    patience.check()
    clock.at += 0.2
    with pytest.raises(Stopped):
        patience.check()
    patience = Patience(**bounds)
    clock.at += 10.1
    with pytest.raises(Stopped):
        patience.check()


def test_a_server_that_takes_no_connection_is_told_of() -> None:
    """Nobody listens there, or the name leads nowhere."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Broken) as refused:
        ask(f"http://127.0.0.1:{port}/?key=hunter2")
    assert (refused.value.code, str(refused.value)) == (
        "connect",
        f"cannot connect to 127.0.0.1:{port}: Connection refused",
    )
    with pytest.raises(Broken) as nowhere:
        ask("http://nowhere.invalid/?key=hunter2")
    assert (nowhere.value.code, str(nowhere.value)) == ("dns", "the name nowhere.invalid leads nowhere")


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The machine's certificates are the test's one."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    door._trust.cache_clear()
    yield CERTIFICATE
    door._trust.cache_clear()


def test_a_certificate_that_is_not_known_is_refused() -> None:
    """Before a byte of the request is sent."""
    with Service(says(reply(200, b"hello")), tls=True) as service, pytest.raises(Broken) as caught:
        ask(f"https://localhost:{service.port}/?key=hunter2")
    assert caught.value.code == "certificate"
    assert str(caught.value).startswith(f"the certificate of localhost:{service.port} is not accepted: ")
    assert service.asked == []


def test_a_certificate_for_another_name_is_refused(trusted: Path) -> None:
    """A trusted one, too."""
    with Service(says(reply(200, b"hello")), tls=True) as service:
        assert ask(f"https://localhost:{service.port}").body == b"hello"
        with pytest.raises(Broken) as caught:
            ask(service.url)
    assert caught.value.code == "certificate"
    assert "127.0.0.1" in str(caught.value)
    assert len(service.asked) == 1


def test_a_server_that_speaks_no_tls_is_told_of() -> None:
    """https where http is served."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1)
            connection.sendall(reply(400))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        with pytest.raises(Broken) as caught:
            ask(f"https://127.0.0.1:{port}/")
        thread.join()
    assert (caught.value.code, str(caught.value)) == ("tls", f"no TLS with 127.0.0.1:{port}: WRONG_VERSION_NUMBER")


def test_who_was_met_at_a_public_address_stays_at_one() -> None:
    """A name may lead elsewhere tomorrow: never into a private network."""
    with Service(says(reply(200))) as service, pytest.raises(Broken) as caught:
        ask(service.url, only_public=True)
    assert (caught.value.code, service.asked) == ("address", [])


@pytest.mark.parametrize("peer", ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254"])
def test_a_name_never_leads_to_the_machines_own_link(peer: str) -> None:
    """Where clouds keep their credentials; only who writes such an address down gets there."""
    address = door.ip_address(peer)
    address = getattr(address, "ipv4_mapped", None) or address
    with pytest.raises(Broken, match="an address of this machine's own network link"):
        door._refuse_strange(address, Request(Address.of("http://service.example/")))
    host = f"[{address}]" if ":" in str(address) else str(address)
    door._refuse_strange(address, Request(Address.of(f"http://{host}/")))
