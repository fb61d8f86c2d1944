"""Addresses and files of pages."""

from __future__ import annotations

import pytest

from glink.pages.links import Links, file_of


def test_a_served_page_links_relative_to_its_own_depth() -> None:
    links = Links.of_project("team-a/cards", served=True)
    assert (links.home, links.project("b"), links.asset("site.css"), links.events) == (
        "../../",
        "../../project/b",
        "../../assets/site.css",
        "../../events",
    )
    assert Links.of_overview(served=True).home == "./"


def test_a_page_in_a_file_links_to_files_beside_it_and_has_no_events() -> None:
    links = Links.of_project("team-a/cards", served=False)
    assert (links.home, links.project("team-a/b"), links.asset("site.js"), links.events) == (
        "../index.html",
        "../project/team-a~b.html",
        "../assets/site.js",
        "",
    )


@pytest.mark.parametrize(
    "name", ["..", "a/../b", "", "-rf", "a b", "a\nb", "/etc/passwd", "é", "a/", "x" * 300, ".hidden", "%2e", "a?b#c"]
)
def test_a_name_that_is_none_gets_a_file_of_digits(name: str) -> None:
    folder, file = file_of(name).split("/")
    assert folder == "project"
    assert file.startswith("~")
    assert len(file) == len("~0123456789abcdef.html")


def test_no_two_projects_share_a_file() -> None:
    names = ["a/b", "a.b", "a-b", "a_b", "a.html", "a", "a/b/c", "a.b/c"]
    assert len({file_of(name) for name in names}) == len(names)


def test_a_served_address_is_quoted() -> None:
    assert Links.of_overview(served=True).project('x"><script>?#') == "project/x%22%3E%3Cscript%3E%3F%23"
