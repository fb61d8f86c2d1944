"""The reporter `webhook`: news by POST to an address, signed by the Standard Webhooks specification.

    - {type: webhook, url_env: HOOK_URL, secret_env: HOOK_SECRET, when: [run.failed]}
    - {type: webhook, url_env: SLACK_URL, body: {text: "{{ text }}"}, group: 5m}

The body is `{"type", "timestamp", "data"}`; several news at once are of type `group`, with `data.news`. In a `body:` of
one's own, project, run, step, agent and labels are what all the news of a group share. The signature is
`v1,` and the base64 of HMAC-SHA256 over `ID.TIMESTAMP.BODY`; the id is the same over all tries of one message, so that
a receiver can tell.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, model_validator

from glink import digest
from glink.agents.http_options import WebAddress
from glink.jsontext import canonical, dumps
from glink.loading.vocabulary import Strict, VariableName, complaint
from glink.reporters.delivery import address_of, deliver, lines_of
from glink.reporters.news import TROUBLE, News
from glink.reporters.reporter import Undelivered
from glink.reporters.setting import Setting
from glink.templates.body import Body
from glink.templates.problems import RenderProblem, TemplateProblem

NAMES: Final = frozenset(("type", "time", "text", "project", "run", "step", "agent", "labels", "news"))
_SHARED: Final = ("project", "run", "step", "agent")
_PREFIX: Final = "whsec_"
_GROUP: Final = "group"


def _shape(body: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        Body(body, NAMES)
    except TemplateProblem as problem:
        raise complaint(problem.message, problem.cure) from None
    return body


class WebhookOptions(Strict):
    """`url` or the variable `url_env` says where to; `secret_env` names the variable with the secret that signs."""

    url: WebAddress | None = None
    url_env: VariableName | None = None
    secret_env: VariableName | None = None
    body: Annotated[dict[str, Any], Field(min_length=1), AfterValidator(_shape)] | None = None

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if (self.url is None) == (self.url_env is None):
            raise complaint("needs one address", "write `url: http://...`, or `url_env: VARIABLE`")
        return self


class Webhook:
    """Sends one POST for each message."""

    usual = TROUBLE
    tries: int
    streams = False
    options = WebhookOptions

    def __init__(self, options: WebhookOptions, setting: Setting) -> None:
        self._address = address_of(options.url, options.url_env, setting)
        self._secret = None if options.secret_env is None else _key_in(options.secret_env, setting)
        self._body = None if options.body is None else Body(options.body, NAMES, setting.limits)
        self._clock, self._limits = setting.clock, setting.limits
        self.tries = setting.limits.report_tries

    @classmethod
    def of(cls, options: WebhookOptions, setting: Setting) -> Webhook:
        return cls(options, setting)

    def report(self, news: Sequence[News]) -> None:
        body = dumps(self._message(news))
        deliver(self._address, body, self._limits, self._signed(_id_of(news), body))

    def _message(self, news: Sequence[News]) -> Any:
        kind, each = (str(news[0].kind) if len(news) == 1 else _GROUP), [_stamped(one) for one in news]
        if self._body is None:
            return each[0] if len(news) == 1 else {"type": kind, "timestamp": news[-1].time, "data": {"news": each}}
        shared = {name: _shared(getattr(one, name) for one in news) for name in _SHARED}
        labels = _common([one.labels for one in news])
        own = {
            "type": kind,
            "time": news[-1].time,
            "text": lines_of(news, self._limits),
            "labels": labels,
            "news": each,
        }
        try:
            return self._body.render({**shared, **own})
        except RenderProblem as problem:
            raise Undelivered(f"its body: {problem}") from None

    def _signed(self, message: str, body: bytes) -> dict[str, str]:
        stamp = str(int(self._clock.now()))
        headers = {"webhook-id": message, "webhook-timestamp": stamp}
        if self._secret is not None:
            mac = hmac.digest(self._secret, f"{message}.{stamp}.".encode() + body, "sha256")
            headers["webhook-signature"] = f"v1,{base64.b64encode(mac).decode()}"
        return headers


def _shared(values: Iterable[Any]) -> Any:
    """What all of them have; None when they differ."""
    first, *rest = values
    return first if all(one == first for one in rest) else None


def _common(labels: Sequence[Mapping[str, str]]) -> dict[str, str]:
    return {name: value for name, value in labels[0].items() if all(one.get(name) == value for one in labels)}


def _stamped(one: News) -> dict[str, Any]:
    return {"type": str(one.kind), "timestamp": one.time, "data": one.as_data()}


def _id_of(news: Sequence[News]) -> str:
    """The same for the same news, another for any others: the time of a record is told in microseconds."""
    return f"msg_{digest.brief(canonical([[one.seq, one.time, one.kind] for one in news]))}"


def _key_in(variable: str, setting: Setting) -> bytes:
    """The secret's bytes: base64, behind `whsec_` or alone."""
    written = setting.value(variable).strip().removeprefix(_PREFIX)
    try:
        key = base64.b64decode(written + "=" * (-len(written) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < 16:
        raise ValueError(
            f"the variable {variable} is no secret; write whsec_ and the base64 of 24 random bytes or more"
        )
    return key
