"""The status page in a real browser: readable everywhere, by everybody, without a script and without a network."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from glink.pages.files import whole_site, write_files
from glink.report import Report
from tests.browser.conftest import Open, Seen
from tests.hostile import CORPUS
from tests.sites import Site
from tests.unit.pages.test_html import told

COFFEE = "project/team-a~coffee-cards.html"
PAGES = ("index.html", COFFEE, "project/three.html", "project/typing.html", "project/letter.html", "project/old.html")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_nothing_keeps_anybody_out(path: str, scheme: str, open_page: Open, seen: Seen) -> None:
    """The rules of WCAG 2.2 AA that a program can check, contrast among them, with every step opened."""
    page = open_page(path, scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert seen.complaints == []
    results = Axe().run(page, options={"preload": False})
    assert results.violations_count == 0, results.generate_report()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_from_the_disk_asks_for_its_own_files_alone(
    path: str, open_page: Open, folder: Path, seen: Seen
) -> None:
    page = open_page(path)
    page.wait_for_load_state("networkidle")
    assert {url.removeprefix(folder.as_uri()) for url in seen.requests} <= {
        f"/{path}",
        "/assets/site.css",
        "/assets/site.js",
        "/assets/icon.svg",
    }
    assert seen.complaints == []
    style = page.evaluate("getComputedStyle(document.querySelector('.top')).position")
    assert style == "sticky"  # its style sheet was let in by the policy
    assert page.evaluate("document.documentElement.classList.contains('scripted')")


@pytest.mark.parametrize("width", [320, 414, 768])
@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize("path", PAGES)
def test_a_narrow_screen_scrolls_in_one_direction(path: str, width: int, script: bool, open_page: Open) -> None:
    page = open_page(path, width=width, script=script)
    if script:
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [1100, 1200, 1280, 1281])
def test_on_a_laptop_no_column_is_out_of_sight(width: int, open_page: Open) -> None:
    page = open_page("index.html", width=width)
    room = "[...document.querySelectorAll('table.projects')].map((one) => [one.scrollWidth, one.parentElement.clientWidth])"
    ((table, frame),) = page.evaluate(room)
    assert table <= frame


def test_without_a_script_a_step_opens_links_lead_on_and_the_filter_filters(open_page: Open) -> None:
    page = open_page("index.html", script=False)
    expect(page.get_by_label("Filter projects by any word")).to_be_hidden()
    page.get_by_text("Broken 2", exact=False).last.click()
    expect(page.locator("tr.row:visible")).to_have_count(2)
    page.locator("tr.row").get_by_role("link", name="team-a/coffee-cards").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("team-a/coffee-cards")
    more = page.locator("#step-21 + .more")
    expect(more).to_be_hidden()
    page.locator("#step-21 summary").click()
    expect(more).to_be_visible()
    expect(more).to_contain_text("Prompt as given")
    page.locator("svg.picture a[href='#step-22']").click()
    expect(page.locator("#step-22 + .more")).to_be_visible()


def test_everything_is_reached_and_done_by_keyboard(open_page: Open) -> None:
    page = open_page(COFFEE)
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the content")
    page.keyboard.press("Enter")
    reached: list[str] = []
    for _ in range(150):
        page.keyboard.press("Tab")
        label = page.evaluate(
            "(one => one && (one.getAttribute('aria-label') || one.textContent.trim()))(document.activeElement)"
        )
        reached.append(label or "")
        if reached[-1].startswith("30"):
            break
    assert any(one.startswith("Copy: glink retry team-a/coffee-cards 21") for one in reached)
    assert any(one.startswith("Step 21, ") and "failed" in one for one in reached)
    assert "Filter steps by any word" in reached
    page.keyboard.press("Enter")
    expect(page.locator("#step-30 + .more")).to_be_visible()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_a_node_of_the_graph_leads_to_its_step(open_page: Open) -> None:
    page = open_page(COFFEE, height=1200)
    node = page.get_by_role("link", name="Step 21, search-agent: failed, failed, and will not be tried again by itself")
    expect(node).to_be_in_viewport()
    node.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#step-21")).to_be_in_viewport()
    expect(page.locator("#step-21 + .more")).to_be_visible()


def test_states_are_told_apart_without_colour(open_page: Open) -> None:
    """Every sign has a shape of its own, and its word stands beside it."""
    page = open_page(COFFEE)
    shapes = page.evaluate("[...document.querySelectorAll('symbol[id^=i-]')].map((one) => one.innerHTML)")
    assert len(set(shapes)) == len(shapes) == 9
    rows: list[list[str]] = page.evaluate(
        "[...document.querySelectorAll('.steps .row .state')].map((one) => [one.querySelector('use').getAttribute('href'), one.textContent.trim()])"
    )
    assert dict(rows) == {
        "#i-done": "done",
        "#i-failed": "failed",
        "#i-running": "running",
        "#i-blocked": "blocked",
        "#i-waiting": "waiting",
    }


def test_words_filter_the_steps(open_page: Open) -> None:
    page = open_page("project/thousand.html")
    page.get_by_label("Filter steps by any word").fill("part 777")
    expect(page.locator("tr.row:visible")).to_have_count(1)
    page.get_by_label("Filter steps by any word").fill("")
    expect(page.locator("tr.row:visible")).to_have_count(1_000)


@pytest.mark.parametrize("path", ["project/thousand.html", "project/fan.html"])
def test_a_thousand_steps_are_all_there_and_every_one_opens(path: str, open_page: Open, seen: Seen) -> None:
    page = open_page(path)
    expect(page.locator("tr.row")).to_have_count(1_000)
    assert page.locator("svg.picture a").count() == 1_000
    assert page.locator(".gantt li").count() == 1_000
    page.locator("#step-1000 summary").click()
    expect(page.locator("#step-1000 + .more")).to_be_visible()
    assert seen.complaints == []


def test_steps_out_of_sight_are_not_laid_out_until_they_come_into_sight(open_page: Open) -> None:
    """What keeps a thousand steps from stuttering: the work is that of a screen, not of the page."""
    page = open_page("project/thousand.html")
    drawn = "document.getElementById('step-1000').checkVisibility({ contentVisibilityAuto: true })"
    assert page.evaluate(drawn) is False
    page.evaluate("document.getElementById('step-1000').scrollIntoView()")
    page.wait_for_function(drawn)
    expect(page.locator("#step-1000 summary")).to_be_in_viewport()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site in which every text of every step is out to do harm."""
    site = Site(tmp_path_factory.mktemp("hostile"))
    reports = []
    for number, text in enumerate(CORPUS):
        one = told(text)
        reports.append(
            Report(**{name: getattr(one, name) for name in one.__dataclass_fields__} | {"project": f"p{number}"})
        )
    files = whole_site(reports, site.pasts(), now=0, limits=site.limits, prompts=lambda fences: {}, revision=CORPUS[0])
    write_files(site.folder, files)
    return site.folder


@pytest.mark.parametrize("number", range(len(CORPUS)))
def test_hostile_text_runs_nothing_loads_nothing_and_is_shown(
    number: int, hostile: Path, open_page: Open, seen: Seen
) -> None:
    page = open_page((hostile / f"project/p{number}.html").as_uri())
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.harmed") is None
    assert {url for url in seen.requests if not url.startswith(hostile.as_uri())} == set()
    assert seen.complaints == []
    expect(page.locator("tr.row")).to_have_count(3)
    assert page.evaluate("document.documentElement.scrollWidth") <= 1360


def test_all_hostile_texts_together_leave_the_overview_whole(hostile: Path, open_page: Open, seen: Seen) -> None:
    page = open_page((hostile / "index.html").as_uri(), width=320)
    assert page.evaluate("window.harmed") is None
    assert {url for url in seen.requests if not url.startswith(hostile.as_uri())} == set()
    assert seen.complaints == []
    expect(page.locator("tr.row")).to_have_count(len(CORPUS))
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
