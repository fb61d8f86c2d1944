"""What the tests of this folder stand on: records, an outlook without an engine, a setting with a clock that stands."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, cast

from glink.event import Record
from glink.limits import Limits
from glink.reporters import registry
from glink.reporters.news import News, news_of
from glink.reporters.outlook import Outlook
from glink.reporters.reporter import Reporter, Reporters
from glink.reporters.rules import ReporterSpec, Rules
from glink.reporters.setting import Setting

NOW = 1_800_000_000.0
LIMITS = Limits(report_pause=0.01)


class Standing:
    """A clock that stands still."""

    def now(self) -> float:
        return NOW


def setting(limits: Limits = LIMITS, stream: io.StringIO | None = None, **environ: str) -> Setting:
    return Setting(environ, stream or io.StringIO(), Standing(), limits)


def record(kind: str, seq: int = 1, project: str | None = "team-a/news", **more: Any) -> Record:
    """A record as the bus gives it; `data` and ids are among `more`."""
    own = {"seq": seq, "time": f"2027-01-15T08:00:00.{seq:06d}Z", "type": kind, **more}
    return cast("Record", {**own, "project": project} if project is not None else own)


def failed(seq: int = 1, message: str = "it broke", project: str = "team-a/news", **more: Any) -> Record:
    data = {"class": "transient", "code": "x", "message": message}
    return record("step.failed", seq, project, run=3, step="2", fence=9, data=data, **more)


def settled(seq: int = 1, status: str = "failed", project: str = "team-a/news") -> Record:
    data = {
        "status": status,
        "revision": "files@sha256:1",
        "generation": 4,
        **({"failed": ["2"]} if status == "failed" else {}),
    }
    return record("run.settled", seq, project, run=3, data=data)


def some(record: Record, *, last: bool = True) -> News:
    """The news in a record that has some."""
    found = news_of(record, last=last, labels={"team": "a"})
    assert found is not None
    return found


class Knowing(Outlook):
    """Knows what the test says: the labels of projects, and the seqs of failures that are the last."""

    def __init__(
        self, labels: Mapping[str, Mapping[str, str]] | None = None, last: frozenset[int] | None = None
    ) -> None:
        self._labels, self._last = labels or {}, last

    def labels(self, project: str) -> Mapping[str, str]:
        return self._labels.get(project, {})

    def is_last(self, record: Record) -> bool:
        return self._last is None or record["seq"] in self._last


def build(kind: str, given: Setting | None = None, **options: Any) -> Reporter:
    return registry.build(ReporterSpec(kind, options), given or setting())


class House:
    """Reporters at work, and what was complained of. Closed by the test, which is when all was told."""

    def __init__(self, *specs: ReporterSpec, given: Setting | None = None, outlook: Outlook | None = None) -> None:
        self.complaints: list[str] = []
        self.reporters = Reporters(
            registry.posts(specs, given or setting(), self.complaints.append), outlook or Knowing()
        )

    def tell(self, *records: Record) -> None:
        self.reporters.hear(list(records))

    def close(self) -> list[tuple[int, int, int]]:
        """(told, dropped, failed) of each."""
        self.reporters.close()
        return [(one.told, one.dropped, one.failed) for one in self.reporters.tally()]


def hook(url: str, rules: Rules | None = None, **options: Any) -> ReporterSpec:
    return ReporterSpec("webhook", {"url": url, **options}, rules or Rules(("*",)))
