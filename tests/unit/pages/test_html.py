"""Pages as text: nothing that an agent wrote changes their structure, and everything that is asked of them is on them."""

from __future__ import annotations

import re
import tracemalloc
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glink.limits import Limits
from glink.pages import html
from glink.pages.html import CSP, asset, asset_names
from glink.pages.overview import overview
from glink.pages.past import Attempt, Past, PastRun, Pasts, Said
from glink.pages.prompts import Prompt
from glink.report import Condition, Health, Report, Row, Sync
from tests.hostile import CORPUS
from tests.rig import START
from tests.sites import UNAVAILABLE, Site, coffee, invalid, mixed, three

LIMITS = Limits()


def project_page(*values: Any, **named: Any) -> str:
    return html.project_page(*values, **named).decode()


def overview_page(*values: Any, **named: Any) -> str:
    return html.overview_page(*values, **named).decode()


class Structure(HTMLParser):
    """Tags and attributes in their order, and the text; values of attributes that name things are left out."""

    FREE = frozenset({"aria-label", "title", "datetime"})

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[Any] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, *((name, "" if name in self.FREE else value) for name, value in attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(f"/{tag}")

    def handle_decl(self, decl: str) -> None:
        self.tags.append(("!", decl))

    def handle_comment(self, data: str) -> None:
        self.tags.append(("comment", data))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def told(text: str) -> Report:
    """A report in which everything that agents and files may say is `text`."""
    error = {
        "path": "projects/p.yaml",
        "line": 3,
        "column": 4,
        "where": "steps",
        "what": text,
        "cure": text,
        "source": text,
    }
    rows = (
        Row("1", "a", "failed", "wait", "exhausted", detail=text, name=text, task=text, output=text, fence=5),
        Row("2", "a", "succeeded", "stay", "up_to_date", name=text, task=text, output=text, artifacts=(text,), fence=6),
        Row("3", "a", "waiting_person", "wait", "unknown_outcome", detail=text, after=("1",), usage={"input": text}),
    )
    return Report(
        "p", Sync.OUT_OF_SYNC, Health.DEGRADED, description=text, steps=rows, errors=(error,), revision=text,
        conditions=(Condition("Applied", False, "Pending", text),), waiting=(text,),
    )  # fmt: skip


def past_of(text: str) -> Past:
    past = Past()
    past.runs.append(PastRun(1, "2027-01-15T08:00:00.000000Z"))
    past.attempts[5] = Attempt("1", 1, "a", "2027-01-15T08:00:00.000000Z")
    past.events.append(Said(5, "2027-01-15T08:00:00.000000Z", "step.failed", 1, "1", text))
    return past


def page_of(text: str) -> str:
    prompts = {5: Prompt(text), 6: Prompt(text)}
    return project_page(told(text), past_of(text), now=START, limits=LIMITS, served=True, seq=9, prompts=prompts)


def home_of(text: str) -> str:
    return overview_page([told(text)], Pasts(LIMITS), now=START, limits=LIMITS, served=True, revision=text)


PLAIN = Structure(page_of("plain")).tags
PLAIN_HOME = Structure(home_of("plain")).tags


def shape(tags: list[Any]) -> list[Any]:
    """Without what a long or many-lined text rightly has more: a frame that can be scrolled by keyboard."""
    frame = {("tabindex", "0"), ("role", "group"), ("aria-label", "")}
    return [(tag[0], *[one for one in tag[1:] if one not in frame]) if tag[0] == "pre" else tag for tag in tags]


@pytest.mark.parametrize("text", CORPUS)
def test_hostile_text_adds_no_tag_and_no_attribute(text: str) -> None:
    assert shape(Structure(page_of(text)).tags) == shape(PLAIN)
    assert shape(Structure(home_of(text)).tags) == shape(PLAIN_HOME)


@given(st.text(min_size=1).filter(str.strip))
@settings(max_examples=60, deadline=None)
def test_no_text_at_all_adds_a_tag_or_an_attribute(text: str) -> None:
    assert shape(Structure(page_of(text)).tags) == shape(PLAIN)


@pytest.mark.parametrize("text", CORPUS)
def test_nothing_invisible_reaches_a_page(text: str) -> None:
    """Control, bidirectional and zero-width characters are written as numbers; newlines stay."""
    for page in (page_of(text), home_of(text)):
        assert [one for one in page if not (one.isprintable() or one == "\n")] == []


def test_text_is_shown_as_it_was_written() -> None:
    text = '<b>5 > 4 & "3"</b> {{ 1 + 1 }}'
    assert Structure(page_of(text)).texts.count(text) >= 6


def test_nothing_is_loaded_but_own_files_and_the_policy_says_so() -> None:
    for page in (page_of("x"), home_of("x")):
        assert CSP in page.replace("&#39;", "'")
        found = re.findall(r'(?:href|src)="([^"#]*)', page)
        assert {one for one in found if one} <= {
            "../assets/icon.svg", "../assets/site.css", "../assets/site.js", "../",
            "assets/icon.svg", "assets/site.css", "assets/site.js", "./", "project/p",
        }  # fmt: skip
        assert not re.search(r"<style|<script(?! src=)| style=| on[a-z]+=", page)
        assert "://" not in re.sub(r'xmlns="[^"]*"', "", page)


def test_the_packaged_files_need_no_other() -> None:
    for name in asset_names():
        found = asset(name)
        assert found is not None
        text = found[0].decode()
        assert not re.search(r"@import|url\((?!#)|innerHTML|eval\(|https?://(?!www\.w3\.org)", text)


@pytest.mark.parametrize(
    "name",
    ["", "/", "..", "../pages.py", "site.css/", "SITE.CSS", "base.html", "graph.css", "/etc/passwd", "site.css\0"],
)
def test_only_packaged_names_are_assets(name: str) -> None:
    assert asset(name) is None


def test_a_stranger_reads_first_what_is_wrong_and_what_to_do(tmp_path: Path) -> None:
    site = Site(tmp_path)
    mixed(site)
    page = overview_page(site.reports(), site.pasts(), now=START, limits=site.limits, served=False)
    assert "<h1>2 projects broken, 4 things wait for you</h1>" in page
    assert "<title>✕ 2 projects broken" in page
    for command in ("retry team-a/coffee-cards 21", "release letter", "resume nightly", "retry stopped 1", "validate"):
        assert f"<code>glink {command}</code>" in page
    assert UNAVAILABLE in page
    assert (
        page.index('id="broken"') < page.index('id="waits"') < page.index('id="running"') < page.index('id="projects"')
    )


def test_a_project_says_in_one_sentence_how_it_is(tmp_path: Path) -> None:
    site = Site(tmp_path)
    mixed(site)
    three(site, "done")
    said = {}
    for report in site.reports():
        page = project_page(
            report, site.pasts().of_project(report.project), now=START, limits=LIMITS, served=False, seq=1, prompts={}
        )
        said[report.project] = Structure(page[page.index('<p class="said">') : page.index("<dl")]).texts[0]
    assert said == {
        "done": "Everything is done and up to date.",
        "hello-world": "Everything is done and up to date.",
        "letter": "1 step waits for you.",
        "lonely": "1 step waits for you.",
        "nightly": "Suspended: nothing is given away.",
        "old": "Its files are gone. History and answers are kept.",
        "stopped": "1 step waits for you.",
        "team-a/coffee-cards": "Step 21 failed, and 1 step behind it cannot run.",
        "typing": "2 problems in its files: nothing new is taken from them.",
    }


def test_an_invalid_file_is_shown_with_its_line_a_caret_and_the_cure(tmp_path: Path) -> None:
    site = Site(tmp_path)
    invalid(site)
    page = project_page(site.report("typing"), Past(), now=START, limits=LIMITS, served=False, seq=1, prompts={})
    text = "".join(Structure(page).texts)
    assert "projects/typing.yaml:3:5" in text
    assert "3    agnet: a\n     ^" in text
    assert 'did you mean "agent"?' in text


def test_a_step_opens_on_its_prompt_and_answer(tmp_path: Path) -> None:
    site = Site(tmp_path)
    coffee(site)
    report = site.report("team-a/coffee-cards")
    fences = [row.fence for row in report.steps if row.fence]
    page = project_page(report, Past(), now=START, limits=LIMITS, served=False, seq=1, prompts=site.prompts(fences))
    text = "".join(Structure(page).texts)
    assert "Prompt as given" in text
    assert 'from="step 15"' in text
    assert "12 cards, 3 of them new" in text


def test_a_long_prompt_is_cut_and_says_so() -> None:
    page = project_page(
        told("x"), Past(), now=START, limits=LIMITS, served=False, seq=1, prompts={5: Prompt("begin", 1234)}
    )
    assert "(1,234 characters more)" in "".join(Structure(page).texts)


def test_usage_is_summed_where_agents_told_it() -> None:
    rows = (
        Row("1", "a", "succeeded", "stay", "up_to_date", usage={"input": 1200, "output": 30, "cost_usd": 0.0125}),
        Row("2", "a", "succeeded", "stay", "up_to_date", usage={"input": 300, "cost_usd": "much"}),
        Row("3", "a", "succeeded", "stay", "up_to_date"),
    )
    report = Report("p", Sync.SYNCED, Health.HEALTHY, steps=rows)
    page = project_page(report, Past(), now=START, limits=LIMITS, served=False, seq=1, prompts={})
    facts = page[page.index('id="usage-h"') :]
    assert re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd>", facts) == [
        ("Tokens in", "1,500"),
        ("Tokens out", "30"),
        ("Cost", "$0.0125"),
    ]
    bare = replace(report, steps=rows[2:])
    assert "usage-h" not in project_page(bare, Past(), now=START, limits=LIMITS, served=False, seq=1, prompts={})


def test_what_is_wrong_is_shown_one_by_one_up_to_a_limit() -> None:
    rows = tuple(Row(str(one), "a", "failed", "wait", "exhausted", detail=f"{one}") for one in range(50))
    reports = [Report(f"p{number:02}", Sync.OUT_OF_SYNC, Health.DEGRADED, steps=rows) for number in range(30)]
    page = overview_page(reports, Pasts(LIMITS), now=START, limits=LIMITS, served=False)
    assert page.count('<li class="card') == LIMITS.page_cards
    assert "and 1480 more" in page
    single = project_page(reports[0], Past(), now=START, limits=LIMITS, served=False, seq=1, prompts={})
    assert "and 30 more, in the table below" in single


def test_no_project_at_all_shows_how_to_begin() -> None:
    page = overview_page([], Pasts(LIMITS), now=START, limits=LIMITS, served=False)
    assert "<h1>No projects yet</h1>" in page
    assert "Say hello" in page


def test_the_headline_counts_what_matters_most_first() -> None:
    def headline(*reasons: tuple[str, str]) -> str:
        reports = [
            Report(f"p{number}", Sync.OUT_OF_SYNC, Health.PROGRESSING, steps=(Row("1", "a", status, "wait", reason),))
            for number, (reason, status) in enumerate(reasons)
        ]
        page = overview_page(reports, Pasts(LIMITS), now=START, limits=LIMITS, served=False)
        return page[page.index("<h1>") + 4 : page.index("</h1>")]

    failed, held, busy = ("exhausted", "failed"), ("held", "succeeded"), ("in_flight", "running")
    done = ("up_to_date", "succeeded")
    assert headline(done) == "All is well"
    assert headline(busy, done) == "1 project under way"
    assert headline(busy, busy, held) == "1 thing waits for you, 2 under way"
    assert headline(failed, failed, held, busy, done) == "2 projects broken, 1 thing waits for you, 1 under way"


def test_a_bar_shows_each_kind_of_state_and_fills_up() -> None:
    rows = [Row(str(number), "a", "succeeded", "stay", "up_to_date") for number in range(500)]
    rows.append(Row("bad", "a", "failed", "wait", "exhausted"))
    report = Report("p", Sync.OUT_OF_SYNC, Health.DEGRADED, steps=tuple(rows))
    done, failed = overview([report], Pasts(LIMITS), cards=5).lines[0].parts
    assert (done.sign, failed.sign, failed.number) == ("done", "failed", 1)
    assert failed.width > 3
    assert done.left == 0
    assert round(done.width + failed.width, 1) == 100


def test_a_sparkline_is_as_high_as_the_longest_run_and_marks_failures() -> None:
    past = Past()
    for number, (second, status) in enumerate([("01", "succeeded"), ("04", "failed"), ("09", "succeeded")], 1):
        past.runs.append(PastRun(number, "2027-01-15T08:00:00.000000Z", f"2027-01-15T08:00:{second}.000000Z", status))
    pasts = Pasts(LIMITS)
    pasts._projects["p"] = past
    line = overview([Report("p", Sync.SYNCED, Health.HEALTHY)], pasts, cards=5).lines[0]
    assert [(bar.height, bar.status) for bar in line.spark] == [
        (10.7, "succeeded"),
        (16.3, "failed"),
        (22.0, "succeeded"),
    ]
    assert line.spark_label == "last 3 runs: 1 failed, 2 succeeded"


def test_a_long_page_is_made_piece_by_piece() -> None:
    """At no time all of its pieces are held, which take five times what they say."""
    rows = tuple(
        Row(str(number), "a", "succeeded", "stay", "up_to_date", task="do it", output="done", fence=number)
        for number in range(400)
    )
    report = Report("p", Sync.SYNCED, Health.HEALTHY, steps=rows)
    options: dict[str, Any] = {"now": START, "limits": LIMITS, "served": False, "seq": 1, "prompts": {}}
    html.project_page(report, Past(), **options)
    tracemalloc.start()
    try:
        page = html.project_page(report, Past(), **options)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 3.5 * len(page)
