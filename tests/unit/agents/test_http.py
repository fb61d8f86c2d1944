"""The kind `http`: what a service is sent, how its answer is judged, and what happens when it takes longer."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from glink.agents import registry
from glink.agents.agent import Adoption, Agent, ErrorClass, Outcome, Task
from glink.agents.elsewhere import Elsewhere
from glink.agents.http_status import class_of, retry_after
from glink.clock import SystemClock, seconds_of
from glink.limits import Limits
from glink.roster import AgentSpec
from glink.testing.control import ManualControl
from tests.unit.agents.stage import HERE, a_task, in_background, kind, run, until
from tests.unit.web import Asked, Behaviour, Service, reply, says

LIMITS = Limits(look=0.01, poll=0.01, poll_answer=0.2)
NOW = 1_800_000_000.0


def http(url: str, limits: Limits = LIMITS, **options: Any) -> Agent:
    return kind("http", limits, url=url, **options)


def judged(answer: bytes, tmp_path: Path, **options: Any) -> Outcome:
    """The outcome of one answer."""
    with Service(says(answer)) as service:
        return run(http(service.url, **options), a_task(tmp_path))


def failure(answer: bytes, tmp_path: Path, **options: Any) -> tuple[str, str, str]:
    found = judged(answer, tmp_path, **options).failure
    assert found is not None
    head, _, rest = found.message.partition(" answered ")
    return str(found.cls), found.code, rest if head.startswith("127.0.0.1:") else found.message


# What is sent.


def test_a_service_is_sent_the_task_with_all_that_belongs_to_it(tmp_path: Path) -> None:
    """As JSON by POST; the key and the trace also as headers."""
    task = a_task(
        tmp_path, "do it\n\ncontext", bare="do it", context={"steps": {}}, schema={"type": "object"}, run_seconds=60.0
    )
    before = SystemClock().now()
    with Service(says(reply(200, b"done"))) as service:
        assert run(http(f"{service.url}/ask?x=1"), task).output == "done"
        (asked,) = service.asked
    sent = asked.value
    deadline = sent.pop("deadline")
    assert sent == {
        "v": 1,
        "project": "shop",
        "instance": "shop",
        "run": 1,
        "step": "2",
        "attempt": 1,
        "fence": task.fence,
        "key": task.key,
        "task": "do it\n\ncontext",
        "context": {"steps": {}},
        "schema": {"type": "object"},
        "with": {},
    }
    assert before + 60 <= seconds_of(deadline) <= SystemClock().now() + 60
    assert (asked.method, asked.target) == ("POST", "/ask?x=1")
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["idempotency-key"] == task.key
    assert asked.headers["traceparent"].startswith("00-")
    assert asked.headers["user-agent"].startswith("glink/")


def test_headers_come_from_the_file_and_from_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator's own win over the usual ones."""
    monkeypatch.setenv("CRITIC_AUTH", "Bearer s3cret-s3cret")
    options = {
        "headers": {"X-Team": "a", "Content-Type": "application/vnd.x+json"},
        "headers_env": {"Authorization": "CRITIC_AUTH"},
    }
    with Service(says(reply(200, b"done"))) as service:
        run(http(service.url, **options), a_task(tmp_path))
        headers = service.asked[0].headers
    assert (headers["x-team"], headers["authorization"]) == ("a", "Bearer s3cret-s3cret")
    assert headers["content-type"] == "application/vnd.x+json"


@pytest.mark.parametrize("value", [None, "", "two\nlines", " spaced", "gr\u00fc\u00dfe"])
def test_a_variable_that_is_not_there_or_fits_no_header_is_a_fault_of_the_configuration(
    value: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is sent."""
    monkeypatch.delenv("CRITIC_AUTH", raising=False)
    if value is not None:
        monkeypatch.setenv("CRITIC_AUTH", value)
    with Service(says(reply(200, b"done"))) as service:
        found = run(http(service.url, headers_env={"Authorization": "CRITIC_AUTH"}), a_task(tmp_path)).failure
        assert service.asked == []
    assert found is not None
    what = "cannot stand in a header" if value else "is not set"
    assert (found.cls, found.code, found.message) == (ErrorClass.CONFIG, "env", f"the variable CRITIC_AUTH {what}")


def test_a_body_of_templates_fits_another_service(tmp_path: Path) -> None:
    """Values stay data: what stands in them is neither rendered nor able to leave its text."""
    text = 'say {{ key }} "quoted" \\'
    body = {"message": "{{ task }}", "n": ["run {{ run }}", "{{ schema }}", 7, None], "model": "{{ with.model }}"}
    task = a_task(tmp_path, text, schema={"type": "object"}, with_={"model": "small"})
    with Service(says(reply(200, {"reply": "fine"}))) as service:
        assert run(http(service.url, body=body, pick="reply"), task).output == "fine"
        assert service.asked[0].value == {
            "message": text,
            "n": ["run 1", {"type": "object"}, 7, None],
            "model": "small",
        }


def test_a_body_that_cannot_be_filled_in_fails_as_a_template(tmp_path: Path) -> None:
    """Before anything is sent."""
    with Service(says(reply(200, b"done"))) as service:
        found = run(http(service.url, body={"model": "{{ with.model }}"}), a_task(tmp_path)).failure
        assert service.asked == []
    assert found is not None
    assert (found.cls, found.code) == (ErrorClass.TEMPLATE, "body")
    assert found.message == "the agent's body: there is no 'model' in it"


def test_a_task_that_is_too_large_to_send_is_told_of(tmp_path: Path) -> None:
    """And not sent."""
    found = run(http("http://127.0.0.1:1/", Limits(request_bytes=1_000)), a_task(tmp_path, "x" * 1_000)).failure
    assert found is not None
    assert (found.cls, found.code) == (ErrorClass.TOO_LARGE, "request")


WRONG = {
    "url": ["ftp://x/", "http://u:p@x/", "x", 7],
    "headers": [{"Host": "x"}, {"Content-Length": "1"}, {"a b": "x"}, {"X": "a\r\nY: b"}, {"Idempotency-Key": "x"}],
    "headers_env": [{"Authorization": "GLINK_API_TOKEN"}, {"Authorization": "no-name"}],
    "body": [{}, {"a": "{{ tsk }}"}, {"a": ["{{ steps[1].output }}"]}, {"a": {"b": "{% set x = 1 %}"}}, "{{ task }}"],
    "pick": ["", "a..b", ".a", 1],
    "method": ["GET"],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in WRONG.items() for value in values])
def test_wrong_options_are_refused(key: str, value: Any) -> None:
    """When the configuration is read."""
    from pydantic import ValidationError

    options = {"url": "http://127.0.0.1:1/", key: value}
    with pytest.raises(ValidationError) as caught:
        registry.build(AgentSpec("one", "http", options), base=HERE)
    assert len(caught.value.errors()) == 1


# How an answer is judged.


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        (reply(200, b"plain\n"), "plain"),
        (reply(200, b'{"a": 1}'), '{"a": 1}'),
        (reply(200, b"gr\xc3\xbc\xc3\x9fe\0\xff", "text/plain; charset=utf-8"), "grüße\ufffd\ufffd"),
        (reply(200, b"gr\xfc\xdfe", "text/html; charset=ISO-8859-1"), "grüße"),
        (reply(200, b"a", "text/plain; charset=punycode"), "a"),
        (reply(201, {"a": [1, None]}), {"a": [1, None]}),
        (reply(200, ["x"], "application/problem+json"), ["x"]),
        (reply(200, b"[1, 2]", "application/octet-stream"), [1, 2]),
        (reply(200, b"no json", "application/octet-stream"), "no json"),
        (reply(200, {"status": "ok", "output": {"x": 1}}), {"x": 1}),
        (reply(200, {"status": "ok", "items": []}), {"status": "ok", "items": []}),
        (reply(200, {"status": "failed", "error": "of theirs"}), {"status": "failed", "error": "of theirs"}),
        (reply(200, {"status": "ok", "output": 1, "items": []}), {"status": "ok", "output": 1, "items": []}),
        (reply(200, {"status": ["ok"], "output": 1}), {"status": ["ok"], "output": 1}),
    ],
)
def test_an_answer_is_text_json_or_an_envelope(answer: bytes, output: Any, tmp_path: Path) -> None:
    """The content type tells text from JSON; only what can be nothing else is an envelope."""
    found = judged(answer, tmp_path)
    assert found.failure is None
    assert found.output == output


@pytest.mark.parametrize(
    ("pick", "output"),
    [("choices.0.message.content", "hello"), ("choices.1", {"x": 1}), ("choices", [{"message": {"content": "hello"}}, {"x": 1}])],
)  # fmt: skip
def test_pick_finds_the_answer_in_the_reply(pick: str, output: Any, tmp_path: Path) -> None:
    """Keys of objects, and places in lists; whatever the content type is."""
    body = b'{"status": "ok", "choices": [{"message": {"content": "hello"}}, {"x": 1}]}'
    assert judged(reply(200, body, "text/html"), tmp_path, pick=pick).output == output


def test_an_envelope_carries_usage_and_session(tmp_path: Path) -> None:
    """Numbers that are none are left out; so is what is not known."""
    usage = {"input": 10, "output": 4, "cost_usd": 0.01, "cached": "many", "calls": -1, "colour": 3, "basis": "guessed"}
    answer = {"status": "ok", "output": "fine", "usage": usage, "session": "s\x1b-1", "v": 1}
    found = judged(reply(200, answer), tmp_path)
    assert found.usage == {"input": 10, "output": 4, "cost_usd": 0.01, "basis": "reported"}
    assert found.session == "s\\x1b-1"


def test_an_envelope_may_fail_with_a_class(tmp_path: Path) -> None:
    """Of those that a service can know; money that was spent is told all the same."""
    error = {"class": "throttled", "code": "quota", "message": "later\x07", "retry_at": "2027-01-15T08:00:00.000000Z"}
    found = judged(reply(200, {"status": "failed", "error": error, "usage": {"calls": 1}}), tmp_path)
    assert found.failure is not None
    assert (found.failure.cls, found.failure.code, found.failure.message) == ("throttled", "quota", "later\\x07")
    assert (found.failure.retry_at, found.usage) == (NOW, {"calls": 1, "basis": "reported"})
    plain = judged(reply(200, {"status": "failed", "error": {"retry": True, "retry_at": 5}}), tmp_path).failure
    assert plain is not None
    assert (plain.cls, plain.code, plain.message, plain.retry) == ("agent_failed", "refused", "refused", True)
    for cls in ("cancelled", "budget", "nonsense", 7, ["auth"]):
        strange = judged(reply(200, {"status": "failed", "error": {"class": cls}}), tmp_path).failure
        assert strange is not None
        assert strange.cls is ErrorClass.INTERNAL


DEEP = b"[" * 100 + b"]" * 100


@pytest.mark.parametrize(
    ("answer", "options", "expected"),
    [
        (reply(204), {}, ("invalid_output", "empty", "the answer is empty")),
        (reply(200, b" \n"), {}, ("invalid_output", "empty", "the answer is empty")),
        (reply(200, None), {}, ("invalid_output", "empty", "the answer is empty")),
        (reply(200, {"status": "ok", "output": ""}), {}, ("invalid_output", "empty", "the answer is empty")),
        (reply(200, b"{", "application/json"), {}, ("invalid_output", "json", "the answer is not JSON: ")),
        (reply(200, b'{"a": NaN}', "application/json"), {}, ("invalid_output", "json", "the answer is not JSON: ")),
        (reply(200, DEEP, "application/json"), {}, ("invalid_output", "depth", "the answer is nested deeper than 28 levels")),
        (reply(200, b"text"), {"pick": "a"}, ("invalid_output", "json", "the answer is not JSON: ")),
        (reply(200, {"a": [1]}), {"pick": "a.1"}, ("invalid_output", "pick", "there is no `1` in a of the answer")),
        (reply(200, {"a": {"b": "x"}}), {"pick": "c"}, ("invalid_output", "pick", "there is no `c` in the answer")),
        (reply(200, {"a": {"b": None}}), {"pick": "a.b"}, ("invalid_output", "empty", "the answer is empty")),
        (reply(401, {"detail": "no\nkey"}), {}, ("auth", "http-401", "401: no\\nkey")),
        (reply(403, b"<h1>Forbidden</h1>", "text/html"), {}, ("auth", "http-403", "403")),
        (reply(404, {"error": {"message": "no such model"}}), {}, ("config", "http-404", "404: no such model")),
        (reply(500, b"boom"), {}, ("transient", "http-500", "500: boom")),
        (reply(302, Location="http://169.254.169.254/"), {}, ("config", "http-302", "302: a redirect, which is not followed; write the address that it leads to")),
        (reply(422, {"title": "bad"}), {}, ("agent_failed", "http-422", "422: bad")),
    ],
)  # fmt: skip
def test_what_is_no_answer_fails_and_says_why(
    answer: bytes, options: dict[str, Any], expected: tuple[str, str, str], tmp_path: Path
) -> None:
    """By status first, then by the body."""
    found = failure(answer, tmp_path, **options)
    assert found[:2] == expected[:2]
    assert found[2] == expected[2] or (expected[2].endswith(": ") and found[2].startswith(expected[2]))


def test_every_status_has_a_class() -> None:
    """The rows that decide about retrying, and the hundreds that the others fall to."""
    table = {
        "transient": [408, 409, 425, 500, 501, 502, 503, 504, 520, 529, 599],
        "throttled": [402, 429],
        "auth": [401, 403],
        "config": [300, 301, 304, 307, 308, 404, 405, 406, 410, 411, 414, 415, 421, 426, 431],
        "too_large": [413],
        "refused": [451],
        "agent_failed": [400, 412, 416, 418, 422, 423, 499],
        "internal": [101, 103, 600, 999],
    }
    assert {status: str(class_of(status)) for statuses in table.values() for status in statuses} == {
        status: cls for cls, statuses in table.items() for status in statuses
    }
    assert [class_of(status) for status in (200, 201, 204, 206, 299)] == [None] * 5


@pytest.mark.parametrize(
    ("written", "own", "seconds"),
    [
        ("120", "", 120.0),
        ("0", "", 0.0),
        ("999999999999999999999", "", 86_400.0),
        ("Fri, 15 Jan 2027 08:01:00 GMT", "", 60.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", "", 0.0),
        ("Fri, 15 Jan 2021 08:01:00 GMT", "Fri, 15 Jan 2021 08:00:30 GMT", 30.0),
        ("", "", None),
        ("-1", "", None),
        ("1.5", "", None),
        ("1e3", "", None),
        ("soon", "", None),
        ("\u0663", "", None),
        ("Fri, 99 Foo 2027 08:01:00 GMT", "", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(written: str, own: str, seconds: float | None) -> None:
    """A date counts from the service's own clock, where it tells it."""
    assert retry_after({"retry-after": written, "date": own}, NOW) == seconds


def test_a_throttled_service_says_when_to_come_back(tmp_path: Path) -> None:
    """By Retry-After."""
    before = SystemClock().now()
    found = judged(reply(429, b"slow down", Retry_After="120"), tmp_path).failure
    assert found is not None
    assert found.cls is ErrorClass.THROTTLED
    assert found.retry_at is not None
    assert before + 120 <= found.retry_at <= SystemClock().now() + 120


@pytest.mark.parametrize(
    ("answer", "cls", "code"),
    [
        (b"", ErrorClass.TRANSIENT, "reset"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", ErrorClass.TRANSIENT, "cut-short"),
        (reply(200, b"x" * 2_000), ErrorClass.TOO_LARGE, "too-large"),
        (reply(200, b"x", content_encoding="br"), ErrorClass.CONFIG, "encoding"),
    ],
)
def test_a_broken_exchange_has_a_class(answer: bytes, cls: ErrorClass, code: str, tmp_path: Path) -> None:
    """What comes half is never an answer."""
    with Service(says(answer)) as service:
        found = run(http(service.url, Limits(output_bytes=1_000)), a_task(tmp_path)).failure
    assert found is not None
    assert (found.cls, found.code) == (cls, code)


def test_a_certificate_that_is_not_accepted_is_a_fault_of_the_configuration(tmp_path: Path) -> None:
    """Trying again would change nothing."""
    with Service(says(reply(200, b"hello")), tls=True) as service:
        found = run(http(f"https://localhost:{service.port}/"), a_task(tmp_path)).failure
    assert found is not None
    assert (found.cls, found.code) == (ErrorClass.CONFIG, "certificate")


# When it takes longer.


def later(*answers: bytes, first: bytes | None = None) -> Behaviour:
    """Accepts the task, then gives these answers to the polls in turn, the last one for ever."""
    polls = says(*answers)

    def behave(asked: Asked, connection: socket.socket) -> None:
        if asked.method == "POST":
            connection.sendall(first or reply(202, {"poll": "/jobs/7?k=1"}))
        else:
            polls(asked, connection)

    return behave


def test_an_answer_that_takes_longer_is_polled_for(tmp_path: Path) -> None:
    """Where the service said, with the same headers, until it is there."""
    task = a_task(tmp_path)
    with Service(
        later(reply(202), reply(202, Retry_After="0"), reply(200, {"status": "ok", "output": "x"}))
    ) as service:
        outcome = run(http(service.url, headers={"X-Team": "a"}), task)
        polls = service.asked[1:]
    assert outcome.output == "x"
    assert [(one.method, one.target, one.headers["x-team"], one.body) for one in polls] == [
        ("GET", "/jobs/7?k=1", "a", b"")
    ] * 3


def test_where_it_goes_on_is_on_the_disk_before_the_first_poll(tmp_path: Path) -> None:
    """So that an engine that dies in between finds it."""
    task, kept = a_task(tmp_path), list[Elsewhere | None]()

    def behave(asked: Asked, connection: socket.socket) -> None:
        if asked.method == "GET":
            kept.append(Elsewhere.read(folder_of(task)))
            connection.sendall(reply(200, b"done"))
        else:
            connection.sendall(reply(202, {"poll": "/jobs/7"}))

    with Service(behave) as service:
        assert run(http(service.url), task).output == "done"
        assert kept == [Elsewhere(f"{service.url}/jobs/7", public=False)]


def folder_of(task: Task) -> Path:
    assert task.folder is not None
    return task.folder


@pytest.mark.parametrize(
    "trouble",
    [reply(503), reply(429, Retry_After="0"), reply(500), b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"],
)
def test_a_poll_that_fails_loses_nothing(trouble: bytes, tmp_path: Path) -> None:
    """The next one may not."""
    with Service(later(trouble, trouble, reply(200, b"done"))) as service:
        assert run(http(service.url), a_task(tmp_path)).output == "done"
        assert len(service.asked) == 4


def test_a_poll_that_hangs_is_given_up_for_the_next(tmp_path: Path) -> None:
    """Each has its own time."""
    polls = [lambda connection: connection.recv(1), lambda connection: connection.sendall(reply(200, b"done"))]

    def behave(asked: Asked, connection: socket.socket) -> None:
        if asked.method == "POST":
            connection.sendall(reply(202, {"poll": "/jobs/7"}))
        else:
            polls.pop(0)(connection)

    with Service(behave) as service:
        assert run(http(service.url), a_task(tmp_path)).output == "done"


@pytest.mark.parametrize(
    ("answer", "cls", "code"),
    [
        (reply(404), ErrorClass.LOST, "http-404"),
        (reply(410), ErrorClass.LOST, "http-410"),
        (reply(401), ErrorClass.AUTH, "http-401"),
        (reply(302, Location="http://127.0.0.1:1/"), ErrorClass.CONFIG, "http-302"),
        (reply(400), ErrorClass.AGENT_FAILED, "http-400"),
        (reply(200, b""), ErrorClass.INVALID_OUTPUT, "empty"),
    ],
)
def test_a_poll_may_end_it_badly(answer: bytes, cls: ErrorClass, code: str, tmp_path: Path) -> None:
    """A service that forgot it is asked again from the start; redirects are not followed here either."""
    with Service(later(answer)) as service:
        found = run(http(service.url), a_task(tmp_path)).failure
    assert found is not None
    assert (found.cls, found.code) == (cls, code)


@pytest.mark.parametrize(
    "poll",
    [
        "http://169.254.169.254/latest/meta-data/",
        "//127.0.0.1:1/",
        "https://127.0.0.1/",
        "file:///etc/passwd",
        "http://u:p@127.0.0.1/",
        7,
        ["x"],
    ],
)
def test_a_poll_elsewhere_is_refused(poll: Any, tmp_path: Path) -> None:
    """A service cannot send Glink, with its headers, to somebody else."""
    with Service(later(reply(200, b"done"), first=reply(202, {"poll": poll}))) as service:
        found = run(http(service.url), a_task(tmp_path)).failure
        assert len(service.asked) == 1
    assert found is not None
    assert (found.cls, found.code) == (ErrorClass.AGENT_FAILED, "poll")


def test_a_polled_attempt_is_left_running_and_adopted(tmp_path: Path) -> None:
    """By the next engine, also after a reboot."""
    task, ready = a_task(tmp_path), list[bool]()

    def behave(asked: Asked, connection: socket.socket) -> None:
        first = reply(202, {"poll": "/jobs/7"})
        connection.sendall(first if asked.method == "POST" else reply(200, b"done") if ready else reply(202))

    with Service(behave) as service:
        agent = http(service.url)
        with in_background(agent.run, task) as background:
            service.heard(3)
            background.control.detach()
            found = background.outcome().failure
        assert found is not None
        assert (found.cls, found.code) == (ErrorClass.LOST, "detached")
        assert agent.examine(folder_of(task), same_boot=False) is Adoption.RUNNING
        ready.append(True)
        with ManualControl() as control:
            assert agent.adopt(task, control).output == "done"
        assert [one.method for one in service.asked].count("POST") == 1


def test_a_plain_attempt_ends_with_its_engine(tmp_path: Path) -> None:
    """It is cancelled, which uses no attempt; nobody can wait for its answer any more."""
    task = a_task(tmp_path)
    with Service(lambda asked, connection: connection.recv(1) and None) as service:
        agent = http(service.url)
        with in_background(agent.run, task) as background:
            service.heard(1)
            background.control.detach()
            found = background.outcome().failure
    assert found is not None
    assert (found.cls, found.code) == (ErrorClass.CANCELLED, "detached")
    assert agent.examine(folder_of(task), same_boot=True) is Adoption.LOST


@pytest.mark.parametrize(
    "first", [reply(202), reply(202, b"accepted"), reply(202, {"id": 7}), reply(202, {"poll": None})]
)
def test_an_answer_that_comes_by_itself_is_waited_for(first: bytes, tmp_path: Path) -> None:
    """Nobody asks; the attempt waits for its deadline, a cancel or the end of the engine, and survives that."""
    task = a_task(tmp_path)
    with Service(later(reply(200, b"done"), first=first)) as service:
        agent = http(service.url)
        with in_background(agent.run, task) as background:
            until(lambda: Elsewhere.read(folder_of(task)) is not None)
            assert background.working
            background.control.detach()
            background.outcome()
        assert agent.examine(folder_of(task), same_boot=False) is Adoption.RUNNING
        with in_background(agent.adopt, task) as adopted:
            assert adopted.working
            adopted.control.cancel()
            found = adopted.outcome().failure
        assert found is not None
        assert (found.cls, len(service.asked)) == (ErrorClass.CANCELLED, 1)


def test_a_folder_without_a_whole_record_is_lost(tmp_path: Path) -> None:
    """A torn one tells nobody where to ask."""
    task = a_task(tmp_path)
    agent = http("http://127.0.0.1:1/")
    (folder_of(task) / "elsewhere").write_bytes(b'{"poll": "http://127.0.0.1:1/j')
    (folder_of(task) / "started").touch()
    assert agent.examine(folder_of(task), same_boot=True) is Adoption.LOST
    with ManualControl() as control:
        found = agent.adopt(task, control).failure
    assert found is not None
    assert found.cls is ErrorClass.LOST


def test_who_was_met_at_a_public_address_is_not_polled_at_a_private_one(tmp_path: Path) -> None:
    """Wherever its name leads by now."""
    task = a_task(tmp_path)
    with Service(says(reply(200, b"done"))) as service:
        Elsewhere(f"{service.url}/jobs/7", public=True).keep(folder_of(task))
        with ManualControl() as control:
            found = http(service.url).adopt(task, control).failure
        assert service.asked == []
    assert found is not None
    assert (found.cls, found.code) == (ErrorClass.CONFIG, "address")


def test_no_headers_go_with_a_redirect(tmp_path: Path) -> None:
    """Nobody else is told a key."""
    with Service(says(reply(200, b"got it"))) as thief:
        with Service(says(reply(307, Location=f"{thief.url}/"))) as service:
            run(http(service.url, headers={"Authorization": "s3cret"}), a_task(tmp_path))
        assert thief.asked == []
