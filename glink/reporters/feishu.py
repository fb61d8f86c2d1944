"""The reporter `feishu`: a card from a custom bot of a Feishu (Lark) group.

    - {type: feishu, url_env: FEISHU_URL, secret_env: FEISHU_SECRET}

The sign is the base64 of HMAC-SHA256 over nothing, with `TIMESTAMP\\nSECRET` as its key. A failure comes with status 200
and a `code` other than 0. All text of a card is `plain_text`, in which nothing is markup.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

from pydantic import model_validator

from glink.agents.http_options import WebAddress
from glink.agents.message import clipped
from glink.jsontext import JSONError, dumps, loads
from glink.loading.vocabulary import Strict, VariableName, complaint
from glink.reporters.delivery import address_of, deliver, lines_of
from glink.reporters.news import TROUBLE, Kind, News
from glink.reporters.reporter import Undelivered
from glink.reporters.setting import Setting

_COLOURS: Final[Mapping[Kind, str]] = {
    Kind.RUN_FAILED: "red",
    Kind.STEP_FAILED: "red",
    Kind.STEP_PARKED: "red",
    Kind.AGENT_PAUSED: "red",
    Kind.AGENT_COOLING: "orange",
    Kind.STEP_RETRYING: "orange",
    Kind.STEP_HELD: "orange",
    Kind.RUN_SUCCEEDED: "green",
    Kind.STEP_SUCCEEDED: "green",
}
_WORST_FIRST: Final = ("red", "orange", "green", "blue")
_SAID: Final = 200


class FeishuOptions(Strict):
    """`url` or the variable `url_env` is the bot's address; `secret_env` names the variable with its signing secret."""

    url: WebAddress | None = None
    url_env: VariableName | None = None
    secret_env: VariableName | None = None

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if (self.url is None) == (self.url_env is None):
            raise complaint("needs one address", "write `url: https://...`, or `url_env: VARIABLE`")
        return self


class Feishu:
    """Sends one card for each message."""

    usual = TROUBLE
    tries: int
    streams = False
    options = FeishuOptions

    def __init__(self, options: FeishuOptions, setting: Setting) -> None:
        self._address = address_of(options.url, options.url_env, setting)
        self._secret = None if options.secret_env is None else setting.value(options.secret_env).strip()
        self._clock, self._limits = setting.clock, setting.limits
        self.tries = setting.limits.report_tries

    @classmethod
    def of(cls, options: FeishuOptions, setting: Setting) -> Feishu:
        return cls(options, setting)

    def report(self, news: Sequence[News]) -> None:
        card = {"msg_type": "interactive", "card": self._card(news)}
        reply = deliver(self._address, dumps({**self._sign(), **card}), self._limits)
        try:
            said: Any = loads(reply.body)
        except JSONError:
            said = None
        code = said.get("code", said.get("StatusCode")) if isinstance(said, dict) else None
        if code != 0:
            why = (
                clipped(str(said.get("msg") or ""), _SAID) if isinstance(said, dict) else "something that is no answer"
            )
            raise Undelivered(f"{self._address.place} answered code {code}: {why}")

    def _card(self, news: Sequence[News]) -> dict[str, Any]:
        first = news[0]
        title = f"{first.kind}: {first.subject}" if len(news) == 1 else f"{len(news)} news"
        colours = {_COLOURS.get(one.kind, "blue") for one in news}
        return {
            "config": {"wide_screen_mode": True},
            "header": {
                "title": {"tag": "plain_text", "content": title},
                "template": min(colours, key=_WORST_FIRST.index),
            },
            "elements": [{"tag": "div", "text": {"tag": "plain_text", "content": lines_of(news, self._limits)}}],
        }

    def _sign(self) -> dict[str, str]:
        if self._secret is None:
            return {}
        stamp = str(int(self._clock.now()))
        mac = hmac.digest(f"{stamp}\n{self._secret}".encode(), b"", "sha256")
        return {"timestamp": stamp, "sign": base64.b64encode(mac).decode()}
