"""The keys of the configuration that belong to the kind `http`, and what they may hold. Called by `http`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from glink.loading.vocabulary import VariableName, complaint
from glink.outward.address import Address
from glink.templates.body import Body
from glink.templates.problems import TemplateProblem

# What a `body:` may name: the fields of what is sent without one.
NAMES: Final = frozenset(
    (
        *("project", "instance", "run", "step", "attempt", "fence", "key", "deadline"),
        *("task", "context", "schema", "with"),
    )
)
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_OURS: Final = frozenset(
    (
        *("host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "expect"),
        *("accept-encoding", "idempotency-key", "traceparent"),
    )
)
_VALUE: Final = re.compile(r"[!-~]([ -~]*[!-~])?")


def is_header_value(text: str) -> bool:
    """Whether a text can stand in a header: printable ASCII, no space at its ends."""
    return len(text) <= 8_192 and _VALUE.fullmatch(text) is not None


def _header_name(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise complaint("is not the name of a header", "write letters, digits and -")
    if name.lower() in _OURS:
        raise complaint("is a header that is set for each request", "leave it out")
    return name


def _header_value(text: str) -> str:
    if not is_header_value(text):
        raise complaint("cannot stand in a header", "write printable ASCII characters on one line")
    return text


def _not_our_token(name: str) -> str:
    if name == "GLINK_API_TOKEN":
        raise complaint("is the token of Glink's own API", "give the agent a key of its own")
    return name


def _address(text: str) -> str:
    try:
        Address.of(text)
    except ValueError as error:
        what, _, cure = str(error).partition("; ")
        raise complaint(what, cure) from None
    return text


def _shape(body: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        Body(body, NAMES)
    except TemplateProblem as problem:
        raise complaint(problem.message, problem.cure) from None
    return body


HeaderName = Annotated[str, AfterValidator(_header_name)]
WebAddress = Annotated[str, AfterValidator(_address)]


class HttpOptions(BaseModel):
    """`url` is asked; `headers` are sent as they are written, `headers_env` with the values of variables."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    url: WebAddress
    headers: Annotated[dict[HeaderName, Annotated[str, AfterValidator(_header_value)]], Field(max_length=50)] = {}
    headers_env: Annotated[
        dict[HeaderName, Annotated[VariableName, AfterValidator(_not_our_token)]], Field(max_length=50)
    ] = {}
    body: Annotated[dict[str, Any], Field(min_length=1), AfterValidator(_shape)] | None = None
    pick: Annotated[str, Field(pattern=r"^[^.]+(\.[^.]+){0,15}$", max_length=200)] | None = None
