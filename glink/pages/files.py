"""The status page as files, and what it knows while an engine runs. The files are `site/` in the bus directory.

`PageFiles` hears every durable batch (it only notes it), and a thread of its own folds what was heard and writes the
pages of the projects that were touched, at most every `limits.page_seconds`. Reports come from `look`, prompts from
`prompts`; neither is asked in the conductor's thread. The HTTP handlers ask it for the same pages as served.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event, Lock, Thread

from glink import digest
from glink.event import Record
from glink.jsontext import dumps
from glink.limits import Limits
from glink.pages.html import asset, asset_names, overview_page, project_page
from glink.pages.layouts import prepare
from glink.pages.links import ASSETS, HOME_FILE, file_of
from glink.pages.past import Pasts
from glink.pages.project import fences_to_show
from glink.pages.prompts import Prompt
from glink.report import Report

Look = Callable[[Collection[str] | None], Sequence[Report]]
AskPrompts = Callable[[Sequence[int]], Mapping[int, Prompt]]
BREATH, BETWEEN = 0.25, 0.002
SLICES = 10


def whole_site(
    reports: Sequence[Report], pasts: Pasts, *, now: float, limits: Limits, prompts: AskPrompts, revision: str = ""
) -> Iterator[tuple[str, bytes]]:
    """Every file of a site: path below its folder, and bytes."""
    yield from _assets()
    for report in reports:
        prepare(report.steps, limits)
        yield file_of(report.project), _project(report, pasts, now, limits, prompts, served=False)
    page = overview_page(reports, pasts, now=now, limits=limits, served=False, revision=revision)
    yield HOME_FILE, page


def _assets() -> Iterator[tuple[str, bytes]]:
    for name in asset_names():
        found = asset(name)
        assert found is not None
        yield f"{ASSETS}/{name}", found[0]


def write_files(folder: Path, files: Iterable[tuple[str, bytes]]) -> list[str]:
    """Put the files below `folder`, each in one piece in the place of an older one; their paths. Raises OSError."""
    written = []
    for path, data in files:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f".{target.name}.tmp")
        fresh.write_bytes(data)
        os.replace(fresh, target)
        written.append(path)
    return written


def _project(report: Report, pasts: Pasts, now: float, limits: Limits, prompts: AskPrompts, *, served: bool) -> bytes:
    wanted = fences_to_show(report, limits.page_prompts)
    return project_page(
        report,
        pasts.of_project(report.project),
        now=now,
        limits=limits,
        served=served,
        seq=pasts.seq,
        prompts=prompts(wanted),
    )


class PageFiles:
    """The pages of a running engine. `failed` counts writings that did not work; the next one tries again.

    `earlier` gives the newest records from before, read in this class's own thread or for the first page served.
    """

    def __init__(
        self,
        folder: Path,
        *,
        limits: Limits,
        look: Look,
        prompts: AskPrompts,
        now: Callable[[], float],
        earlier: Callable[[], Iterable[Record]] = tuple,
        revision: Callable[[], str] = str,
    ) -> None:
        self.failed = 0
        self._folder, self._limits, self._look, self._prompts = folder, limits, look, prompts
        self._now, self._earlier, self._revision = now, earlier, revision
        self._heard: deque[list[Record]] = deque(maxlen=limits.page_batches)
        self._news, self._end, self._lock = Event(), Event(), Lock()
        self._pasts: Pasts | None = None
        self._touched: set[str] = set()
        self._written: dict[str, str] = {}
        self._thread = Thread(target=self._run, name="pages", daemon=True)

    def start(self) -> None:
        """Begin to write: everything once, then what is touched."""
        self._news.set()
        self._thread.start()

    def hear(self, records: list[Record]) -> None:
        """Take a durable batch; never waits."""
        self._heard.append(records)
        self._news.set()

    def close(self) -> None:
        """Write what is left, and end."""
        self._end.set()
        self._news.set()
        if self._thread.is_alive():
            self._thread.join()

    def overview_served(self) -> bytes:
        """The overview for a browser that asks for it now."""
        reports = self._look(None)
        with self._lock:
            return overview_page(
                reports,
                self._fold(),
                now=self._now(),
                limits=self._limits,
                served=True,
                revision=self._revision(),
            )

    def project_served(self, name: str) -> bytes | None:
        """A project's page for a browser that asks for it now; None when there is no such project."""
        found = [report for report in self._look([name]) if report.project == name]
        if not found:
            return None
        prepare(found[0].steps, self._limits)
        with self._lock:
            return _project(found[0], self._fold(), self._now(), self._limits, self._prompts, served=True)

    def _run(self) -> None:
        while not self._end.is_set():
            self._news.wait()
            self._end.wait(BREATH)  # a short run is over by then, and is one page instead of two
            self._news.clear()
            self._write()
            for _ in range(SLICES):
                if self._end.wait(self._limits.page_seconds / SLICES):
                    break
                with self._lock:
                    self._fold()
        self._write()

    def _fold(self) -> Pasts:
        """Take what was heard since; under the lock."""
        if self._pasts is None:
            self._pasts = Pasts.of(self._earlier(), self._limits)
        while self._heard:
            self._touched |= self._pasts.take(self._heard.popleft())
        return self._pasts

    def _write(self) -> None:
        try:
            reports = self._look(None)
            with self._lock:
                self._fold()
                touched, self._touched = self._touched, set()
            write_files(self._folder, self._changed(reports, touched))
            self._sweep(reports)
        except Exception:  # a full disk or an engine that is stopping: the page is old for a while, nothing else is
            self.failed += 1
            self._written.clear()

    def _changed(self, reports: Sequence[Report], touched: set[str]) -> Iterator[tuple[str, bytes]]:
        """The files that say something else now, the first time all of them; the lock is held for one page at a time."""
        stale = [one for one in reports if one.project in touched or self._written.get(one.project) != _said(one)]
        if not stale and len(reports) == len(self._written) > 0:
            return
        now, limits = self._now(), self._limits
        if not self._written:
            yield from _assets()
        for report in stale:
            prepare(report.steps, limits)
            with self._lock:
                page = _project(report, self._fold(), now, limits, self._prompts, served=False)
            yield file_of(report.project), page
            self._end.wait(BETWEEN)  # the conductor's thread has its turn
        with self._lock:
            home = overview_page(reports, self._fold(), now=now, limits=limits, served=False, revision=self._revision())
        yield HOME_FILE, home
        self._written = {one.project: _said(one) for one in reports}

    def _sweep(self, reports: Sequence[Report]) -> None:
        """Remove pages of projects that there are no more."""
        wanted = {file_of(one.project).removeprefix("project/") for one in reports}
        folder = self._folder / "project"
        for path in folder.glob("*.html") if folder.is_dir() else ():
            if path.name not in wanted:
                path.unlink(missing_ok=True)


def _said(report: Report) -> str:
    """A digest of what its page says: a new commit that leaves a project alone leaves its page alone."""
    in_force = report.last_applied == report.last_attempted
    return digest.brief(dumps(replace(report, last_applied="", last_attempted="") if in_force else report))
