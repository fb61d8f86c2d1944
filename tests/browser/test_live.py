"""A served page follows the engine: a small server with the shapes of the real one stands in front of real pages."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from glink.pages.files import PageFiles
from glink.pages.html import CSP, asset
from tests.browser.conftest import Open, Seen
from tests.rig import step, workflow
from tests.sites import Site


class Served:
    """Pages, their files and a stream of events on a port of the loopback."""

    def __init__(self, path: Path) -> None:
        self.site = Site(path)
        self.pages = PageFiles(
            path / "files",
            limits=self.site.limits,
            look=lambda names: [one for one in self.site.reports() if names is None or one.project in names],
            prompts=self.site.prompts,
            now=self.site.rig.time.now,
        )
        self.streams: list[Queue[int | None]] = []
        self.asked: list[dict[str, list[str]]] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def edit(self, *tasks: str) -> None:
        """The project has other tasks; its steps run, and whoever listens is told."""
        before = len(self.site.rig.records)
        steps = [step(str(number), task) for number, task in enumerate(tasks, 1)]
        steps.append(step("0", "nobody does this", agent="nobody"))
        self.site.rig.observe(workflow("p", *steps))
        self.site.rig.settle()
        records = self.site.rig.records[before:]
        self.pages.hear(records)
        for stream in self.streams:
            stream.put(records[-1]["seq"])

    def close(self) -> None:
        for stream in self.streams:
            stream.put(None)
        self.server.shutdown()
        self.server.server_close()

    def _answer(self, path: str) -> tuple[bytes, str] | None:
        if path == "/":
            return self.pages.overview_served(), "text/html; charset=utf-8"
        if path.startswith("/assets/"):
            return asset(path.removeprefix("/assets/"))
        page = self.pages.project_served(path.removeprefix("/project/"))
        return (page, "text/html; charset=utf-8") if page is not None else None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        served = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                if parts.path == "/events":
                    served.asked.append(parse_qs(parts.query))
                    self._stream()
                    return
                found = served._answer(parts.path)
                self.send_response(200 if found else 404)
                body, kind = found or (b"", "text/plain")
                self.send_header("Content-Type", kind)
                self.send_header("Content-Security-Policy", CSP)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _stream(self) -> None:
                queue: Queue[int | None] = Queue()
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                self.wfile.write(b": hello\n\n")
                self.wfile.flush()
                served.streams.append(queue)
                while (seq := queue.get()) is not None:
                    self.wfile.write(b'id: %d\ndata: {"seq":%d}\n\n' % (seq, seq))
                    self.wfile.flush()

            def log_message(self, *told: Any) -> None:
                pass

        return Handler


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    one = Served(tmp_path)
    yield one
    one.close()


def test_a_page_shows_what_happens_and_keeps_what_the_reader_did(served: Served, open_page: Open, seen: Seen) -> None:
    """Open steps stay open, the filter stays, the focus stays, the page does not jump."""
    served.edit(*(f"task {number}" for number in range(1, 41)))
    page = open_page(f"{served.url}/project/p")
    expect(page.locator("#live")).to_have_text("live")
    page.locator("#step-30 summary").focus()
    page.keyboard.press("Enter")
    page.get_by_text("Done 40").click()
    page.get_by_label("Filter steps by any word").fill("task")
    page.locator("#step-29 summary").focus()
    page.evaluate("window.scrollTo(0, 900)")
    place = "document.getElementById('step-29').getBoundingClientRect().top"
    before = page.evaluate(place)
    served.edit(*(f"task {number}" for number in range(1, 41)), "another task")
    expect(page.locator("tr.row")).to_have_count(42)
    expect(page.locator("#step-30 + .more")).to_be_visible()
    expect(page.get_by_label("Filter steps by any word")).to_have_value("task")
    assert page.evaluate("document.activeElement.closest('tr').id") == "step-29"
    assert page.evaluate("document.getElementById('show-done').checked")
    assert abs(page.evaluate(place) - before) <= 1
    assert {urlsplit(url).netloc for url in seen.requests} == {urlsplit(served.url).netloc}
    assert seen.complaints == []


def test_the_stream_begins_where_the_page_ends(served: Served, open_page: Open) -> None:
    served.edit("one")
    page = open_page(f"{served.url}/project/p")
    expect(page.locator("#live")).to_have_text("live")
    last = str(served.site.rig.records[-1]["seq"])
    assert served.asked == [{"follow": ["1"], "since": [last], "project": ["p"]}]


def test_the_overview_is_live_too(served: Served, open_page: Open) -> None:
    page = open_page(served.url)
    expect(page.get_by_role("heading", level=1)).to_have_text("No projects yet")
    expect(page.locator("#live")).to_have_text("live")
    served.edit("one")
    expect(page.get_by_role("heading", level=1)).to_have_text("1 thing waits for you")
    expect(page).to_have_title("! 1 thing waits for you · Glink")


def test_a_server_that_went_away_is_said(served: Served, open_page: Open) -> None:
    served.edit("one")
    page = open_page(served.url)
    expect(page.locator("#live")).to_have_text("live")
    served.close()
    expect(page.locator("#live")).to_have_text("reconnecting")
    expect(page.get_by_role("heading", level=1)).to_have_text("1 thing waits for you")
