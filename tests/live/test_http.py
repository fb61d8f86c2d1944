"""The server against hostile bytes, slow clients and crowds, over real sockets."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from glink.clock import wait_for
from glink.limits import Limits
from tests.live.wire import Heard, connect, hear, say
from tests.unit.server.small import MAIN, Small

LIMITS = Limits(header_seconds=0.3, body_seconds=0.3, idle_seconds=0.5, connections=50)
HOST = b"Host: 127.0.0.1\r\n"
KEY = b"X-API-Key: " + MAIN.encode() + b"\r\n"
JSON = b"Content-Type: application/json\r\n"
NOTE = b'{"project": "solo", "type": "note.a"}'


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    one = Small(tmp_path_factory.mktemp("http"), limits=LIMITS)
    one.serve()
    yield one
    one.close()


@pytest.fixture(scope="module")
def port(small: Small) -> int:
    assert small.serving is not None
    return small.serving.port


def get(path: bytes = b"/health", more: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    return b"GET " + path + b" " + version + b"\r\n" + HOST + more + b"\r\n"


def post(more: bytes, body: bytes = NOTE, path: bytes = b"/write") -> bytes:
    return b"POST " + path + b" HTTP/1.1\r\n" + HOST + KEY + JSON + more + b"\r\n" + body


def sized(body: bytes) -> bytes:
    return post(b"Content-Length: %d\r\n" % len(body), body)


LENGTH = b"Content-Length: %d\r\n" % len(NOTE)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNK = b"%x\r\n%b\r\n" % (len(NOTE), NOTE)

# what is sent, and the status of the answer
CORPUS: list[tuple[str, bytes, int]] = [
    ("plain", get(), 200),
    ("head", b"HEAD /health HTTP/1.1\r\n" + HOST + b"\r\n", 200),
    ("version 1.0", get(version=b"HTTP/1.0"), 200),
    ("version 0.9", b"GET /health\r\n\r\n", 400),
    ("version 2.0", get(version=b"HTTP/2.0"), 400),
    ("version 1.2", get(version=b"HTTP/1.2"), 400),
    ("preface of 2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ("hello of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64 + b"\r\n\r\n", 400),
    ("garbage", bytes(range(256)) + b"\r\n\r\n", 400),
    ("two spaces", b"GET  /health HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    ("a tab", b"GET\t/health\tHTTP/1.1\r\n" + HOST + b"\r\n", 400),
    ("small method", b"get /health HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    ("bare LF", get().replace(b"\r\n", b"\n"), 408),
    ("bare CR", b"GET /health HTTP/1.1\r\n" + HOST + b"A: b\rC: d\r\n\r\n", 400),
    ("bare CR in the line", b"GET /health\rHTTP/1.1\r\n" + HOST + b"\r\n", 400),
    ("NUL in a header", get(more=b"A: \0\r\n"), 400),
    ("NUL in the path", get(b"/he\0alth"), 400),
    ("folded", get(more=b"A: b\r\n c\r\n"), 400),
    ("no colon", get(more=b"A\r\n"), 400),
    ("space before the colon", get(more=b"A : b\r\n"), 400),
    ("no name", get(more=b": b\r\n"), 400),
    ("underscore", get(b"/status", b"X_API_Key: " + MAIN.encode() + b"\r\n"), 400),
    ("underscore beside a dash", get(b"/status", KEY + b"X_API-Key: x\r\n"), 400),
    ("no host", b"GET /health HTTP/1.1\r\n\r\n", 400),
    ("no host in 1.0", b"GET /health HTTP/1.0\r\n\r\n", 400),
    ("two hosts", get(more=b"Host: evil.example\r\n"), 400),
    ("foreign host", b"GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
    ("foreign host in the line", get(b"http://evil.example/health"), 400),
    ("foreign origin", get(more=b"Origin: http://evil.example\r\n"), 403),
    ("two tokens", get(b"/status", KEY + KEY), 400),
    ("two different headers of tokens", get(b"/status", KEY + b"Authorization: Bearer x\r\n"), 400),
    ("two authorizations", get(b"/status", b"Authorization: Bearer x\r\nAuthorization: Bearer y\r\n"), 400),
    ("latin-1 token", get(b"/status", b"X-API-Key: \xe4\r\n"), 401),
    ("trace", b"TRACE /health HTTP/1.1\r\n" + HOST + KEY + b"\r\n", 405),
    ("options", b"OPTIONS /health HTTP/1.1\r\n" + HOST + b"Origin: http://evil.example\r\n\r\n", 405),
    ("options *", b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    ("connect", b"CONNECT evil.example:443 HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    ("two slashes", get(b"//health"), 401),
    ("two slashes and a host", get(b"//evil.example/health"), 401),
    ("fragment", get(b"/health#x"), 400),
    ("long path", get(b"/" + b"a" * 20_000), 431),
    ("long query", get(b"/status?project=" + b"a" * 20_000), 431),
    ("long header", get(more=b"A: " + b"b" * 20_000 + b"\r\n"), 431),
    ("many headers", get(more=b"".join(b"A%d: b\r\n" % n for n in range(5_000))), 431),
    ("endless line", b"G" * 100_000, 431),
    ("only blank lines, then a request", b"\r\n\r\n" + get(), 200),
    ("write", sized(NOTE), 201),
    ("write in chunks", post(CHUNKED, CHUNK + b"0\r\n\r\n"), 201),
    ("write with a trailer", post(CHUNKED, CHUNK + b"0\r\nX-API-Key: x\r\n\r\n"), 201),
    ("no length", post(b"", b""), 400),
    ("no length, with a body", post(b""), 400),
    ("length 0", post(b"Content-Length: 0\r\n", b""), 400),
    ("length -1", post(b"Content-Length: -1\r\n"), 400),
    ("length 1_0", post(b"Content-Length: 1_0\r\n"), 400),
    ("length 0x7", post(b"Content-Length: 0x7\r\n"), 400),
    ("length +7", post(b"Content-Length: +7\r\n"), 400),
    ("length 7 7", post(b"Content-Length: 7 7\r\n"), 400),
    ("length 7,7", post(b"Content-Length: 7,7\r\n"), 400),
    ("length in other digits", post("Content-Length: \u0667\r\n".encode()), 400),
    ("length of 5,000 digits", post(b"Content-Length: " + b"9" * 5_000 + b"\r\n"), 400),
    ("length empty", post(b"Content-Length: \r\n"), 400),
    ("length twice", post(LENGTH + LENGTH), 400),
    ("length twice, different", post(LENGTH + b"Content-Length: 3\r\n"), 400),
    ("length beside chunks", post(LENGTH + CHUNKED, CHUNK + b"0\r\n\r\n"), 400),
    ("length larger than the body", post(b"Content-Length: 1000\r\n"), 408),
    ("length of 10 MB", post(b"Content-Length: 10000000\r\n", b""), 413),
    ("10 MB in chunks", post(CHUNKED, b"989680\r\n" + b"x" * 10_000_000 + b"\r\n0\r\n\r\n"), 413),
    ("chunks twice", post(CHUNKED + CHUNKED, CHUNK + b"0\r\n\r\n"), 400),
    ("chunked, chunked", post(b"Transfer-Encoding: chunked, chunked\r\n", CHUNK + b"0\r\n\r\n"), 400),
    ("identity", post(b"Transfer-Encoding: identity\r\n"), 501),
    ("gzip", post(b"Transfer-Encoding: gzip, chunked\r\n"), 501),
    ("xchunked", post(b"Transfer-Encoding: xchunked\r\n"), 501),
    ("chunks in 1.0", post(CHUNKED, CHUNK + b"0\r\n\r\n").replace(b"HTTP/1.1", b"HTTP/1.0"), 400),
    ("a chunk's size -1", post(CHUNKED, b"-1\r\nx\r\n0\r\n\r\n"), 400),
    ("a chunk's size 0x1", post(CHUNKED, b"0x1\r\nx\r\n0\r\n\r\n"), 400),
    ("a chunk longer than it says", post(CHUNKED, b"1\r\nxyz\r\n0\r\n\r\n"), 400),
    ("chunks without end", post(CHUNKED, CHUNK), 408),
    ("a head without end", b"GET /health HTTP/1.1\r\n" + HOST, 408),
    ("nothing but a line end", b"\r\n", 408),
    ("json by GET", get(b"/status", KEY + LENGTH) + NOTE, 400),
    ("a form", post(LENGTH).replace(JSON, b"Content-Type: application/x-www-form-urlencoded\r\n"), 415),
    ("a simple request", post(LENGTH).replace(JSON, b"Content-Type: text/plain\r\n"), 415),
    ("two types", post(LENGTH + JSON), 400),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "status"), [row[1:] for row in CORPUS], ids=[row[0] for row in CORPUS])
def test_bytes_in_status_out(port: int, sent: bytes, status: int) -> None:
    """Never a traceback, never HTML, never silence; and the next client is served."""
    heard = say(port, sent)
    assert heard.statuses[:1] == [status]
    assert b"Traceback" not in heard.data
    assert b"<" not in heard.data.split(b"\r\n\r\n", 1)[1]
    if status >= 400 and not sent.startswith(b"HEAD"):
        head, _, body = heard.data.partition(b"\r\n\r\n")
        assert b"Content-Type: application/problem+json" in head
        assert json.JSONDecoder().raw_decode(body.decode())[0]["status"] == status
    assert say(port, get()).statuses == [200]


def test_requests_on_one_connection_are_answered_in_order(port: int) -> None:
    """Also when they are sent at once, and bodies end where they say."""
    heard = say(port, get() + sized(NOTE) + get(b"/nowhere", KEY) + get(), answers=4)
    assert heard.statuses == [200, 201, 404, 200]


def test_a_refused_request_ends_the_connection(port: int) -> None:
    """What follows it cannot be told from its body."""
    heard = say(port, post(LENGTH + CHUNKED, CHUNK + b"0\r\n\r\n" + get()), answers=2)
    assert (heard.statuses, heard.closed) == ([400], True)


def test_a_head_may_come_byte_by_byte(port: int) -> None:
    assert say(port, *(bytes([one]) for one in get())).statuses == [200]


def test_a_client_that_waits_for_100_is_told_to_go_on(port: int) -> None:
    with connect(port) as one:
        one.sendall(post(LENGTH + b"Expect: 100-continue\r\n", b""))
        assert one.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        one.sendall(NOTE)
        assert hear(one).statuses == [201]


@pytest.mark.parametrize(
    "drip", [b"GET /health HTTP/1.1\r\nA: " + b"x" * 10_000, sized(b" " * 10_000)[:-9_000] + b" " * 8_000]
)
def test_who_drips_is_cut_off(port: int, drip: bytes) -> None:
    """The time is for the whole head, and for the whole request: one byte now and then does not prolong it."""
    head = drip.index(b"x" if drip.startswith(b"GET") else b" " * 50)
    with connect(port) as one:
        one.sendall(drip[:head])
        ended = threading.Event()

        def go_on() -> None:
            for place in range(head, len(drip)):
                try:
                    one.sendall(drip[place : place + 1])
                except OSError:
                    return
                if ended.wait(0.02):
                    return

        writer = threading.Thread(target=go_on)
        writer.start()
        heard = hear(one, answers=2)
        ended.set()
        writer.join()
    assert heard.statuses == [408]
    assert heard.closed


def test_a_connection_without_a_request_is_let_go(port: int) -> None:
    """A new one after the time for a head, one that was served after the time for idling."""
    with connect(port) as one, connect(port) as served:
        served.sendall(get())
        assert hear(served).statuses == [200]
        assert hear(one, answers=2).closed
        assert hear(served, answers=2) == Heard([], b"", closed=True)


def test_a_crowd_is_refused_politely(port: int) -> None:
    """Two thousand connections that say nothing: the first have their time, the others hear 503, and it passes."""
    crowd: list[socket.socket] = []
    try:
        crowd += [connect(port) for _ in range(2_000)]
        answers = [hear(one) for one in crowd[200:]]
        refused = [one for one in answers if one.statuses == [503]]
        assert len(refused) > 1_000
        assert all(b"Retry-After: 1" in one.data for one in refused)
        assert all(one.closed or one.statuses for one in answers)
    finally:
        for one in crowd:
            one.close()
    assert wait_for(lambda: say(port, get()).statuses == [200], seconds=10)


def test_who_does_not_take_an_answer_holds_no_thread(tmp_path: Path) -> None:
    """Twenty clients that ask for much and read nothing; everybody else is served."""
    from glink.permit import Scope
    from glink.server.route import Reply, Route

    big = tmp_path / "big"
    big.write_bytes(b"x" * 30_000_000)
    routes = (
        Route("GET", "/file", Scope.OPEN, lambda call: Reply.file(big), "a file"),
        Route("GET", "/bytes", Scope.OPEN, lambda call: Reply(b"y" * 8_000_000), "bytes"),
    )
    small = Small(tmp_path / "small", more=routes)
    port = small.serve()
    silent = [connect(port) for _ in range(20)]
    try:
        for number, one in enumerate(silent):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            one.sendall(get(b"/file" if number % 2 else b"/bytes"))
        assert [say(port, get()).statuses for _ in range(50)] == [[200]] * 50
        with connect(port) as quick:
            quick.sendall(get(b"/file", b"Connection: close\r\n"))
            taken = 0
            while piece := quick.recv(1 << 20):
                taken += len(piece)
        assert taken > 30_000_000
    finally:
        for one in silent:
            one.close()
        small.close()


def test_health_is_told_when_every_thread_waits(tmp_path: Path) -> None:
    """Twenty requests hold all threads; on a connection that waits behind none of them, health answers."""
    from glink.permit import Scope
    from glink.server.route import Call, Reply, Route

    go, entered = threading.Event(), threading.Semaphore(0)

    def wait(call: Call) -> Reply:
        entered.release()
        go.wait(20)
        return Reply.json({})

    small = Small(tmp_path, more=(Route("GET", "/wait", Scope.OPEN, wait, "wait"),))
    port = small.serve()
    waiting = [connect(port) for _ in range(20)]
    try:
        for one in waiting:
            one.sendall(get(b"/wait"))
        assert all(entered.acquire(timeout=10) for _ in range(8))
        assert [say(port, get()).statuses for _ in range(10)] == [[200]] * 10
        go.set()
        assert [hear(one).statuses for one in waiting] == [[200]] * 20
    finally:
        go.set()
        for one in waiting:
            one.close()
        small.close()


def test_trouble_with_one_connection_leaves_the_others_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Even where waitress does not expect any; the log has it."""
    from glink.server.wire import Channel

    met = threading.Event()

    def stumble(channel: Channel, now: float) -> None:
        met.set()
        raise ZeroDivisionError

    small = Small(tmp_path)
    port = small.serve()
    try:
        with connect(port):
            monkeypatch.setattr(Channel, "end_if_overdue", stumble)
            assert met.wait(10)
            monkeypatch.undo()
        assert say(port, get()).statuses == [200]
        assert "the loop of the connections stumbled" in caplog.text
    finally:
        small.close()


def test_a_stop_lets_a_request_end_and_takes_no_more(tmp_path: Path) -> None:
    """What is being answered is answered, idle connections end, and the port is free again."""
    from glink.permit import Scope
    from glink.server.route import Call, Reply, Route

    entered, go = threading.Event(), threading.Event()

    def slow(call: Call) -> Reply:
        entered.set()
        go.wait(10)
        return Reply.json({"done": True})

    small = Small(tmp_path, more=(Route("GET", "/slow", Scope.OPEN, slow, "slow"),))
    port = small.serve()
    with connect(port) as busy, connect(port) as idle:
        busy.sendall(get(b"/slow"))
        assert entered.wait(10)
        stopping = threading.Thread(target=small.close)
        stopping.start()
        assert hear(idle).closed
        assert wait_for(lambda: _refused(port), seconds=10)
        go.set()
        assert hear(busy).statuses == [200]
        stopping.join(10)
    assert not stopping.is_alive()


def _refused(port: int) -> bool:
    try:
        connect(port).close()
    except OSError:
        return True
    return False


def test_a_port_that_is_taken_is_an_error_with_a_cure(small: Small, port: int) -> None:
    from glink.errors import UsageError
    from glink.server.serve import Serving

    with pytest.raises(
        UsageError, match=rf"cannot listen at 127\.0\.0\.1:{port}: Address already in use; choose another"
    ):
        Serving(small.site, host="127.0.0.1", port=port, limits=LIMITS)
