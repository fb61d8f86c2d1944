"""The reporter `feishu`: its card, its sign, and how it hears that something went wrong."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from glink.reporters.reporter import Undelivered
from tests.unit.reporters.desk import NOW, build, failed, record, setting, settled, some
from tests.unit.web import Service, reply, says

FINE = reply(200, {"code": 0, "msg": "success", "data": {}})


def card(*news: Any, **environ: str) -> dict[str, Any]:
    """What is sent for these news."""
    with Service(says(FINE)) as service:
        options = {"secret_env": "BOT_SECRET"} if environ else {}
        build("feishu", setting(**environ), url=service.url, **options).report(news)
        value: dict[str, Any] = service.asked[0].value
    return value


def test_a_card_tells_what_happened() -> None:
    """Its title says whom it is about, its colour how bad it is; nothing in it is markup."""
    assert card(some(failed(1, "**no** [x](http://evil)"))) == {
        "msg_type": "interactive",
        "card": {
            "config": {"wide_screen_mode": True},
            "header": {
                "title": {"tag": "plain_text", "content": "step.failed: team-a/news #3 step 2"},
                "template": "red",
            },
            "elements": [
                {
                    "tag": "div",
                    "text": {
                        "tag": "plain_text",
                        "content": "team-a/news #3 step 2 failed (transient, x): **no** [x](http://evil)",
                    },
                }
            ],
        },
    }


def test_several_news_are_one_card_in_the_colour_of_the_worst() -> None:
    sent = card(some(settled(1, "succeeded")), some(settled(2)), some(record("project.resumed", 3, data={})))["card"]
    assert sent["header"] == {"title": {"tag": "plain_text", "content": "3 news"}, "template": "red"}
    assert sent["elements"][0]["text"]["content"].count("\n") == 2


@pytest.mark.parametrize("call", ["@all", "@_all", "<at id=all></at>", '<at user_id="ou_1">x</at>', "<font>"])
def test_nothing_that_an_agent_wrote_calls_anybody(call: str) -> None:
    """Whatever a chat takes for a call."""
    assert call not in json.dumps(card(some(failed(1, call))), ensure_ascii=False)


def test_the_sign_is_that_of_the_custom_bot() -> None:
    """The HMAC has time and secret as its key and nothing as its message; the time is the clock's."""
    sent = card(some(failed()), BOT_SECRET="s3cret")
    expected = hmac.new(f"{int(NOW)}\ns3cret".encode(), digestmod=hashlib.sha256).digest()
    assert (sent["timestamp"], sent["sign"]) == (str(int(NOW)), base64.b64encode(expected).decode())
    assert "sign" not in card(some(failed()))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (reply(200, {"code": 19021, "msg": "sign match fail\n"}), "answered code 19021: sign match fail\\n"),
        (reply(200, {"StatusCode": 9499, "StatusMessage": "x"}), "answered code 9499: "),
        (reply(200, {"msg": "no code"}), "answered code None: no code"),
        (reply(200, b"<html>"), "answered code None: something that is no answer"),
        (reply(200, ["x"]), "answered code None: something that is no answer"),
        (reply(502), "answered 502"),
    ],
)
def test_a_failure_comes_with_status_200_too(answer: bytes, said: str) -> None:
    """Only code 0 is success."""
    with Service(says(answer)) as service, pytest.raises(Undelivered) as caught:
        build("feishu", url=f"{service.url}/hook/s3cret").report([some(failed())])
    assert str(caught.value) == f"127.0.0.1:{service.port} {said}"


def test_the_answer_of_the_older_bots_counts_as_well() -> None:
    with Service(says(reply(200, {"StatusCode": 0, "StatusMessage": "success"}))) as service:
        build("feishu", url=service.url).report([some(failed())])


def test_a_long_card_stays_within_what_a_bot_takes() -> None:
    """20 KB, whatever the characters are."""
    with Service(says(FINE)) as service:
        build("feishu", url=service.url).report([some(failed(seq, "\U0001f600" * 1_000)) for seq in range(1, 100)])
        assert len(service.asked[0].body) < 20_000
