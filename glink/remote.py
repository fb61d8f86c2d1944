"""A Glink server elsewhere, spoken to over its API: what the verbs and the worker use with `--server`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import quote, urlencode

import urllib3

from glink.answers.questions import QUESTIONS
from glink.config import Config
from glink.errors import BusError, NoState, UsageError, named
from glink.event import Record
from glink.jsontext import JSONError, dumps, loads
from glink.server.access import TOKEN_FILE

CONNECT_SECONDS: Final = 10.0
READ_SECONDS: Final = 70.0
QUIET_SECONDS: Final = 45.0  # the server says something every 15 s
CALL: Final = urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
STREAM: Final = urllib3.Timeout(connect=CONNECT_SECONDS, read=QUIET_SECONDS)
_OF_PROBLEMS: Final = frozenset({"type", "title", "status", "detail", "request_id", "error", "errors"})
_TYPES: Final[Mapping[str, str]] = {
    "sync": "project.sync",
    "release": "project.release",
    "suspend": "project.suspend",
    "resume": "project.resume",
    "delete": "project.delete",
    "retry": "step.retry",
    "cancel": "step.cancel",
}


class Remote:
    """One server. Raises NoState when it cannot be reached, and what it refused with."""

    def __init__(self, url: str, token: str | None) -> None:
        if not re.match(r"https?://[^/]+", url):
            raise UsageError(f"{url!r} is no server: write http://HOST:PORT")
        self.url = url.rstrip("/")
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._pool = urllib3.PoolManager(retries=False, timeout=CALL)

    @classmethod
    def of(cls, config: Config, url: str, token_file: Path | None) -> Remote:
        """With the token of the file, of the environment, or of the bus here: a server elsewhere refuses that."""
        if token_file is not None:
            try:
                return cls(url, token_file.read_text().strip())
            except OSError as error:
                raise UsageError(f"{token_file} cannot be read: {error.strerror}") from None
        made = config.bus_dir / TOKEN_FILE
        if config.api_token is None and os.access(made, os.R_OK):
            return cls(url, made.read_text().strip())
        return cls(url, config.api_token)

    def ask(self, question: str, **arguments: Any) -> Any:
        path, _, fixed = QUESTIONS[question].path.partition("?")
        given = {name: str(value) for name, value in arguments.items() if value is not None}
        for name in re.findall(r"{(\w+)}", path):
            path = path.replace(f"{{{name}}}", quote(given.pop(name), safe="/" if name == "project" else ""))
        query = "&".join(one for one in (fixed, urlencode(given)) if one)
        return self.call("GET", f"{path}?{query}" if query else path)

    def do(self, verb: str, project: str, arguments: dict[str, Any]) -> dict[str, Any]:
        given = {name: value for name, value in arguments.items() if value is not None}
        if verb == "run":
            answer = self.call("POST", "/workflow/run", {"project": project, **given})
        else:
            own = {"step": given.pop("step")} if "step" in given else {}
            event = {"type": _TYPES[verb], "project": project, **own, **({"data": given} if given else {})}
            answer = self.call("POST", "/write", event)
        done: dict[str, Any] = answer
        return done

    def tell(self, verb: str, project: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return self.do(verb, project, arguments)

    def events(self, project: str | None, since: int, *, follow: bool, stop: Callable[[], bool]) -> Iterator[Record]:
        if project is not None:
            self.ask("project", project=project)  # raises for a project that is not there
        wanted = {"project": project, "since": since or None, "follow": "1" if follow else None}
        query = urlencode({name: value for name, value in wanted.items() if value is not None})
        for record in self.stream(f"/events?{query}"):
            yield record
            if follow and stop():
                return

    def stream(self, path: str) -> Iterator[Record]:
        """The records that a path answers with, as they come; ends with the connection."""
        response = self._send("GET", path, None, timeout=STREAM, preload_content=False)
        if response.status >= 400:
            _refuse(response.status, response.read())
        try:
            for line in _lines(response):
                yield loads(line)
        except urllib3.exceptions.HTTPError as error:
            raise NoState(f"the server {self.url} said no more: {error}") from None
        finally:
            response.close()

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """One request; the JSON of its answer."""
        response = self._send(method, path, body, **headers)
        if response.status >= 400:
            _refuse(response.status, response.data)
        return loads(response.data)

    def fetch(self, path: str) -> bytes:
        """The bytes of an answer."""
        response = self._send("GET", path, None)
        if response.status >= 400:
            _refuse(response.status, response.data)
        return response.data

    def store(self, path: str, data: bytes) -> None:
        """PUT bytes."""
        headers = {**self._headers, "Content-Type": "application/octet-stream"}
        response = self._request("PUT", path, data, headers)
        if response.status >= 400:
            _refuse(response.status, response.data)

    def _send(self, method: str, path: str, body: Any, **more: Any) -> urllib3.BaseHTTPResponse:
        own = {"Idempotency-Key": more.pop("key")} if "key" in more else {}
        kind = {} if body is None else {"Content-Type": "application/json"}
        return self._request(
            method, path, None if body is None else dumps(body), {**self._headers, **kind, **own}, **more
        )

    def _request(
        self, method: str, path: str, data: bytes | None, headers: Mapping[str, str], **more: Any
    ) -> urllib3.BaseHTTPResponse:
        try:
            return self._pool.request(method, self.url + path, body=data, headers=headers, redirect=False, **more)
        except urllib3.exceptions.HTTPError as error:
            raise NoState(f"the server {self.url} cannot be reached: {error}") from None


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    rest = b""
    while piece := response.read1(1 << 16):
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line for line in lines if line.strip())


def _refuse(status: int, data: bytes) -> NoReturn:
    """The error that the server met, as it would have been met here."""
    try:
        said: dict[str, Any] = loads(data)
        detail = str(said["detail"])
    except (JSONError, KeyError, TypeError):
        raise BusError(f"the server answered {status}, and nothing that can be read") from None
    facts = {name: fact for name, fact in said.items() if name not in _OF_PROBLEMS}
    if "error" in said:
        raise named(str(said["error"]), detail, facts)
    raise UsageError(detail, **facts) if status < 500 else BusError(detail)
