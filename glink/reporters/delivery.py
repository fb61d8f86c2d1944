"""One message by HTTP to an address of the operator's. Called by the reporters `webhook` and `feishu`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import glink
from glink.limits import Limits
from glink.outward.address import Address
from glink.outward.exchange import Broken, Reply, Request, exchange
from glink.outward.patience import Patience, Stopped
from glink.reporters.news import News
from glink.reporters.reporter import Undelivered
from glink.reporters.setting import Setting

_HEADERS: Final = {"Content-Type": "application/json", "User-Agent": f"glink/{glink.__version__}"}
_UNSEEN: Final = "\u200b"


def address_of(url: str | None, variable: str | None, setting: Setting) -> Address:
    """Where to: the one of `url` and `url_env` that is written. ValueError when that is no address."""
    text = setting.value(variable) if variable is not None else url or ""
    try:
        return Address.of(text.strip())
    except ValueError as error:
        raise ValueError(f"{f'the variable {variable}' if variable is not None else 'url'} {error}") from None


def deliver(address: Address, body: bytes, limits: Limits, headers: Mapping[str, str] | None = None) -> Reply:
    """The answer, of a status that means success; raises Undelivered. Only the place of the address is ever shown."""
    request = Request(
        address,
        headers={**_HEADERS, **(headers or {})},
        body=body,
        most=limits.report_reply_bytes,
        cut=True,
        connect=limits.report_seconds,
    )
    try:
        reply = exchange(request, Patience(run=limits.report_seconds))
    except Broken as broken:
        raise Undelivered(str(broken)) from None
    except Stopped:
        raise Undelivered(f"{address.place} did not answer within {limits.report_seconds:g} s") from None
    if not 200 <= reply.status < 300:
        raise Undelivered(f"{address.place} answered {reply.status}")
    return reply


def lines_of(news: Sequence[News], limits: Limits) -> str:
    """The news as lines of a chat, cut to size, in which nothing that an agent wrote calls anybody.

    Chats take `@all`, `<!channel>` or `<at id=all></at>` for a call; an unseen character after the sign undoes that.
    """
    shown: list[str] = []
    room = limits.report_characters
    for count, one in enumerate(news):
        line = f"{one.subject} {one.text}"
        if len(line) > room:
            line = line[: max(room - 1, 0)] + "…"
            rest = len(news) - count - 1
            shown += [line, f"and {rest} more"] if rest else [line]
            break
        room -= len(line)
        shown.append(line)
    return "\n".join(shown).replace("@", f"@{_UNSEEN}").replace("<", f"<{_UNSEEN}")
