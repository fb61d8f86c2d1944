"""The seam to whoever tells people: what a reporter is, and how each durable record gets to all of them.

`Reporters.hear` is called by the conductor, after the sync; it never waits. Each reporter has a thread of its own
(`post`), so a slow or failing one holds up neither a step nor another reporter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from glink.event import Record
from glink.reporters.conditions import Conditions
from glink.reporters.news import News
from glink.reporters.outlook import Outlook

if TYPE_CHECKING:
    from glink.reporters.post import Post, Tally


class Undelivered(Exception):
    """A message did not arrive. The text is shown to the operator: it holds no secret."""


class Reporter(Protocol):
    """Tells people. Called from one thread.

    `usual` are globs over the kinds of news that it tells when its `when:` is not written; `tries` is how often a message
    is tried in all; `streams` says that it takes whatever waits, in order, as it does without a message for each.
    """

    usual: tuple[str, ...]
    tries: int
    streams: bool

    def report(self, news: Sequence[News]) -> None:
        """Tell of these, in one message; raises when they did not arrive, best Undelivered with what to do."""
        ...


@dataclass(frozen=True, slots=True)
class Batch:
    """What one pass wrote down, with what the reporters need to know beside it.

    `last` are the seqs of failures after which nobody tries again, `repeated` those of conditions that were told.
    """

    records: Sequence[Record]
    last: frozenset[int] = frozenset()
    repeated: frozenset[int] = frozenset()
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class Reporters:
    """All of them. Used by the conductor's thread; `close` by the one that ends it."""

    def __init__(self, posts: Sequence[Post], outlook: Outlook) -> None:
        self._posts = posts
        self._outlook = outlook
        self._conditions = Conditions()
        for post in posts:
            post.start()

    def hear(self, records: Sequence[Record]) -> None:
        """Hand the records over; never waits."""
        if not self._posts:
            return
        outlook = self._outlook
        batch = Batch(
            records,
            frozenset(one["seq"] for one in records if one["type"] == "step.failed" and outlook.is_last(one)),
            self._conditions.repeated(records),
            {name: outlook.labels(name) for name in {one["project"] for one in records if "project" in one}},
        )
        for post in self._posts:
            post.take(batch)

    def tally(self) -> list[Tally]:
        """What became of the news, for each reporter."""
        return [post.tally for post in self._posts]

    def close(self) -> None:
        """Tell what is left, all at the same time and for no longer than one try takes, and end."""
        for post in self._posts:
            post.end()
        for post in self._posts:
            post.join()
