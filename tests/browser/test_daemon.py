"""The page of a running engine, as somebody meets it: logged in, looked at, live, and able to read only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.live.served import TOKEN, Served, served

CONFIG = "agents: {say: {type: echo}, no: {type: echo, fail: refused}, coder: {type: pull}}\n"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, CONFIG, news="steps: [{step: 1, agent: say, task: one}]\n") as running:
        running.settled("news")
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def logged_in(page: Page, engine: Served) -> None:
    page.goto(engine.url)
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_have_text("This token is not known.")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("All is well")


def test_a_day_at_the_page(page: Page, engine: Served) -> None:
    """A login, an edit that shows itself, a failure and a broken file, each in words, without a reload."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    logged_in(page, engine)
    complaints.clear()  # the refused login was one
    page.get_by_role("link", name="news").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("news")
    engine.project("news", "steps: [{step: 1, agent: say, task: another}, {step: 2, agent: no, task: check}]\n")
    expect(page.locator("main")).to_contain_text("Step 2 failed")
    expect(page.locator("main")).to_contain_text("glink retry news 2")
    engine.project("news", "steps: [{step: 1, agent: say, tsk: another}]\n")
    page.goto(engine.url)
    expect(page.locator("main")).to_contain_text("projects/news.yaml:1:31")
    assert complaints == []


def test_a_cookie_can_only_read(page: Page, engine: Served) -> None:
    logged_in(page, engine)
    said = page.evaluate(
        """async () => (await fetch('/write', {method: 'POST', headers: {'Content-Type': 'application/json'},
        body: JSON.stringify({type: 'note.x', project: 'news'})})).status"""
    )
    assert said == 403
    assert "news" in json.dumps(page.evaluate("async () => await (await fetch('/projects')).json()"))


def test_the_pages_lie_beside_the_bus_as_files(page: Page, engine: Served) -> None:
    """The same pages, read from the disk."""
    engine.stop()
    page.goto((engine.path / "bus/site/index.html").as_uri())
    expect(page.get_by_role("heading", level=1)).to_have_text("All is well")
    page.get_by_role("link", name="news").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("news")
