"""Which news go to a reporter: the keys that every kind has. Made by `glink.config`, asked by `post`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from glink.reporters.news import Kind, News


@dataclass(frozen=True, slots=True)
class Rules:
    """`when` are globs over kinds of news, None for what is usual for the reporter; `labels` maps a label to a glob.

    News that concern no project pass `projects` and `labels`: an agent serves all of them. `group` is the time, in
    seconds, in which news are gathered into one message.
    """

    when: tuple[str, ...] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    projects: tuple[str, ...] = ("*",)
    group: float = 0.0

    def kinds(self, usual: tuple[str, ...]) -> frozenset[Kind]:
        """The kinds of news that are wanted."""
        return frozenset(kind for kind in Kind if any(fnmatchcase(kind, glob) for glob in self.when or usual))

    def concern(self, news: News) -> bool:
        """Whether the news are of a project that the reporter is there for."""
        if not news.project:
            return True
        return any(fnmatchcase(news.project, glob) for glob in self.projects) and all(
            fnmatchcase(news.labels.get(label, ""), glob) for label, glob in self.labels.items()
        )


@dataclass(frozen=True, slots=True)
class ReporterSpec:
    """One declared reporter: `options` are the keys of its kind, as written."""

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    rules: Rules = Rules()
