"""The reporter `webhook`: what it sends, and that others' verifiers accept its signature."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from glink.clock import SystemClock
from glink.reporters.reporter import Undelivered
from glink.reporters.setting import Setting
from tests.unit.reporters.desk import LIMITS, NOW, build, failed, setting, settled, some
from tests.unit.web import Asked, Service, reply, says

SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()


def sent(service: Service) -> Asked:
    (asked,) = service.asked
    return asked


@pytest.mark.parametrize("written", [SECRET, SECRET.removeprefix("whsec_"), f" {SECRET.rstrip('=')}\n"])
def test_the_signature_is_that_of_standard_webhooks(written: str) -> None:
    """Its own library verifies it, by the wall clock, and no other body."""
    with Service(says(reply(200))) as service:
        given = Setting({"HOOK_SECRET": written}, setting().stream, SystemClock(), LIMITS)
        build("webhook", given, url=service.url, secret_env="HOOK_SECRET").report([some(failed())])
        asked = sent(service)
    value = Verifier(SECRET).verify(asked.body, dict(asked.headers))
    assert value["type"] == "step.failed"
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET).verify(asked.body + b" ", dict(asked.headers))


def test_id_and_time_are_there_and_come_from_the_clock() -> None:
    """The id is that of the news: the same over all tries, another for others."""
    with Service(says(reply(200))) as service:
        given = setting(HOOK_SECRET=SECRET)
        reporter = build("webhook", given, url=service.url, secret_env="HOOK_SECRET")
        for one in (failed(1), failed(1), failed(2)):
            reporter.report([some(one)])
        first, again, other = service.asked
    assert first.headers["webhook-timestamp"] == str(int(NOW))
    assert first.headers["webhook-id"] == again.headers["webhook-id"] != other.headers["webhook-id"]
    expected = Verifier(SECRET).sign(first.headers["webhook-id"], datetime.fromtimestamp(NOW, UTC), first.body.decode())
    assert first.headers["webhook-signature"] == expected


def test_without_a_secret_nothing_is_signed() -> None:
    with Service(says(reply(200))) as service:
        build("webhook", url=service.url).report([some(failed())])
        assert "webhook-signature" not in sent(service).headers


def test_the_body_tells_what_happened_as_data() -> None:
    """The answer of an agent is not in it."""
    with Service(says(reply(200))) as service:
        build("webhook", url=f"{service.url}/hook").report([some(failed(7, "no <at> \x1b"))])
        asked = sent(service)
    assert (asked.method, asked.target, asked.headers["content-type"]) == ("POST", "/hook", "application/json")
    assert asked.value == {
        "type": "step.failed",
        "timestamp": "2027-01-15T08:00:00.000007Z",
        "data": {
            "project": "team-a/news",
            "run": 3,
            "step": "2",
            "labels": {"team": "a"},
            "text": "team-a/news #3 step 2 failed (transient, x): no <at> \\x1b",
            "class": "transient",
            "code": "x",
            "message": "no <at> \x1b",
        },
    }


def test_a_body_of_templates_fits_other_services() -> None:
    """Nothing in it calls anybody: neither Slack's nor another chat's signs do."""
    with Service(says(reply(200))) as service:
        body = {
            "text": "{{ text }}",
            "blocks": ["{{ project }}", "{{ run }}", "{{ labels.team }}", "{{ news | length }}", "a {{ type }}"],
        }
        reporter = build("webhook", url=service.url, body=body)
        reporter.report([some(failed(1, "<!channel> @all {{ run }}"))])
        reporter.report([some(failed(1)), some(settled(2))])
        one, group = (asked.value for asked in service.asked)
    assert one == {
        "text": "team-a/news #3 step 2 failed (transient, x): <\u200b!channel> @\u200ball {{ run }}",
        "blocks": ["team-a/news", 3, "a", 1, "a step.failed"],
    }
    assert group["text"].splitlines() == [
        "team-a/news #3 step 2 failed (transient, x): it broke",
        "team-a/news #3 settled: failed (steps 2)",
    ]


def test_a_body_that_cannot_be_filled_in_is_not_delivered() -> None:
    with pytest.raises(Undelivered, match=r"^its body: there is no 'owner' in it$"):
        build("webhook", url="http://127.0.0.1:1/", body={"x": "{{ labels.owner }}"}).report([some(failed())])


@pytest.mark.parametrize("size", [10, 10 << 20])
def test_how_much_a_receiver_says_does_not_matter(size: int) -> None:
    """Its status does."""
    with Service(says(reply(200, b"x" * size))) as service:
        build("webhook", url=service.url).report([some(failed())])
    with Service(says(reply(400, b"x" * size))) as service, pytest.raises(Undelivered, match=r"answered 400$"):
        build("webhook", url=service.url).report([some(failed())])


def test_a_message_is_cut_to_size() -> None:
    """And says what was left out."""
    with Service(says(reply(200))) as service:
        reporter = build("webhook", url=service.url, body={"text": "{{ text }}"})
        reporter.report([some(failed(seq, "x" * 1_900)) for seq in range(1, 10)])
        lines = sent(service).value["text"].splitlines()
    assert sum(map(len, lines[:-1])) == LIMITS.report_characters
    assert (lines[-2][-1], lines[-1]) == ("…", "and 6 more")
