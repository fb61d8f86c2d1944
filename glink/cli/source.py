"""Where a verb gets its answers: from the bus directory and the daemon here, or from a server elsewhere.

Both answer the same questions with the same data, so a verb prints the same for either.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from glink.answers.questions import QUESTIONS, answer
from glink.bus.reader import BusReader
from glink.config import Config
from glink.errors import NoState
from glink.event import Record
from glink.view import View
from glink.wiring import actor


class Source(Protocol):
    """Answers and does what a verb wants. Errors are GlinkErrors, the same from either."""

    def ask(self, question: str, **arguments: Any) -> Any:
        """The answer to a question of `glink.answers.questions`, as plain JSON data."""
        ...

    def do(self, verb: str, project: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do a control verb; without a daemon here the bus is taken for as long as that takes."""
        ...

    def tell(self, verb: str, project: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do it by a running daemon; NoState where there is none."""
        ...

    def events(self, project: str | None, since: int, *, follow: bool, stop: Callable[[], bool]) -> Iterator[Record]:
        """Events after a seq; with `follow` also those to come, until `stop` says so."""
        ...


class Local:
    """This machine's bus directory, and the daemon that holds it if there is one.

    `then` names a moment of the past to answer from: {"seq": …} or {"time": …}.
    """

    def __init__(self, config: Config, then: Mapping[str, Any] | None = None) -> None:
        self.config, self._then = config, then

    def ask(self, question: str, **arguments: Any) -> Any:
        project = arguments.get("project")
        names = [project] if project is not None else []
        if self._then is not None:
            return answer(View.at(self.config, names, **self._then), question, **arguments)
        return answer(View.take(self.config, names, need_bus=QUESTIONS[question].needs_bus), question, **arguments)

    def do(self, verb: str, project: str, arguments: dict[str, Any]) -> dict[str, Any]:
        from glink.cli.control import perform  # an engine: reading needs none

        return perform(self.config, verb, project, arguments)

    def tell(self, verb: str, project: str, arguments: dict[str, Any]) -> dict[str, Any]:
        from glink.channel import ask

        return ask(self.config.bus_dir, verb, project, arguments, actor())

    def events(self, project: str | None, since: int, *, follow: bool, stop: Callable[[], bool]) -> Iterator[Record]:
        reader = BusReader(self.config.bus_dir, limits=self.config.limits)
        if project is not None:
            View.take(self.config, [project])  # raises for a project that is neither on the bus nor on disk
        if since and (first := reader.first_seq) > since + 1:
            print(f"glink: events {since + 1}-{first - 1} are past bus.retention_days and gone", file=sys.stderr)
            since = first - 1
        if not follow:
            yield from reader.replay(since, project=project)
            return
        for record in reader.follow(since, stop=stop):
            if project in (None, record.get("project")):
                yield record


def local_server(config: Config) -> str | None:
    """The address of the daemon that holds the bus here, if there is one that serves."""
    try:
        holder = BusReader(config.bus_dir, limits=config.limits).holder()
    except NoState:
        return None
    return holder.url or None if holder is not None else None


def source_of(config: Config, server: str | None, token_file: Path | None) -> Source:
    """The server that was named by the option or by GLINK_SERVER, else this machine."""
    server = server or os.environ.get("GLINK_SERVER") or None
    if server is None:
        return Local(config)
    from glink.remote import Remote

    return Remote.of(config, server, token_file)
