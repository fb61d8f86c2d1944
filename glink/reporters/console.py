"""The console reporter: one plain line for each thing that people want to know, on a stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from glink.event import Record
from glink.loading.vocabulary import Strict
from glink.reporters.news import News, news_of
from glink.reporters.setting import Setting
from glink.words import escaped


class ConsoleOptions(Strict):
    """It has no keys of its own."""


class Console:
    """Writes lines like `23:30:57 hello-world #1 step 1 succeeded in 0.01 s`."""

    usual = ("*",)
    tries = 1
    streams = True
    options = ConsoleOptions

    def __init__(self, setting: Setting) -> None:
        self._stream: TextIO = setting.stream

    @classmethod
    def of(cls, options: ConsoleOptions, setting: Setting) -> Console:  # noqa: ARG003 - every kind has them
        return cls(setting)

    def report(self, news: Sequence[News]) -> None:
        self._stream.write("".join(f"{_line(one)}\n" for one in news))
        self._stream.flush()


def line_of(record: Record) -> str | None:
    """The line for one record, None for those that only the bus needs."""
    news = news_of(record)
    return None if news is None else _line(news)


def _line(news: News) -> str:
    return escaped(f"{news.time[11:19]} {news.subject} {news.text}")
