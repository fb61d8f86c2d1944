"""Prompts for pages, from the bus."""

from __future__ import annotations

from pathlib import Path

from glink.pages.project import fences_to_show
from glink.pages.prompts import Prompt
from tests.rig import step, workflow
from tests.sites import Site, coffee


def test_a_prompt_is_what_was_given_also_where_it_is_a_body_of_its_own(tmp_path: Path) -> None:
    site = Site(tmp_path, page_characters=50)
    site.rig.observe(workflow("p", step("short", "Say hello"), step("long", "x" * 40_000)))
    site.rig.settle()
    short, long = (site.rig.state("p").steps[name].answer.fence for name in ("short", "long"))
    assert site.prompts([short, long, 1, 999]) == {short: Prompt("Say hello"), long: Prompt("x" * 50, 39_950)}


def test_what_is_not_simply_done_is_shown_first(tmp_path: Path) -> None:
    site = Site(tmp_path)
    coffee(site)
    report = site.report("team-a/coffee-cards")
    fences = {row.fence: row.step for row in report.steps}
    assert [fences[fence] for fence in fences_to_show(report, 4)] == ["20", "21", "22", "1"]
