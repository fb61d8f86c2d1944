"""A real Chromium, and pages of what the real engine did."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from tests.conftest import NO_BROWSER
from tests.sites import Site, many, mixed, three

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
Open = Callable[..., Page]
expect.set_options(timeout=30_000)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Skips without one, unless BROWSER_TESTS=required."""
    if not CHROMIUM.exists():
        message = f"{NO_BROWSER} at {CHROMIUM}: apt-get install chromium, or name one with CHROMIUM"
        if os.environ.get("BROWSER_TESTS") == "required":
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with a project of each kind, one of three steps and two of a thousand."""
    site = Site(tmp_path_factory.mktemp("site"))
    three(site, "three")
    many(site, 1_000, "thousand")
    many(site, 1_000, "fan", wide=True)
    mixed(site)
    return site.write()


class Seen:
    """All that a page asked for, and what it complained of."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []

    def watch(self, page: Page) -> None:
        def asked(request: Request) -> None:
            self.requests.append(request.url)

        page.on("request", asked)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type in ("error", "warning") else None
        )
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog {dialog.message}"))


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def open_page(browser: Browser, folder: Path, seen: Seen) -> Iterator[Open]:
    """`open_page(path, width=, height=, scheme=, script=)` opens a file of the site, or an address."""
    contexts = []

    def open_it(path: str, *, width: int = 1360, height: int = 900, scheme: Any = "light", script: bool = True) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, java_script_enabled=script
        )
        contexts.append(context)
        page = context.new_page()
        seen.watch(page)
        page.goto(path if "://" in path else (folder / path).as_uri().replace("%23", "#"))
        return page

    yield open_it
    for context in contexts:
        context.close()
