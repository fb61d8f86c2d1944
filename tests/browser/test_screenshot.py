"""The picture in the README is of this page: made here, from a run of the real engine."""

from __future__ import annotations

import os
import struct
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Browser

from tests.sites import Site, coffee

SHOWN = Path(__file__).parents[2] / "docs" / "status-page.png"
SIZE = (1600, 1120)


def test_the_picture_in_the_readme_can_be_made_again(browser: Browser, tmp_path: Path) -> None:
    """With SCREENSHOT=write it is written anew."""
    site = Site(tmp_path)
    coffee(site)
    page_file = site.write() / "project/team-a~coffee-cards.html"
    context = browser.new_context(viewport={"width": SIZE[0], "height": SIZE[1]}, color_scheme="light")
    page = context.new_page()
    page.clock.set_fixed_time(datetime.fromtimestamp(site.rig.time.at + 4, UTC))
    page.goto(page_file.as_uri())
    made = SHOWN if os.environ.get("SCREENSHOT") == "write" else tmp_path / "made.png"
    page.screenshot(path=made, animations="disabled")
    context.close()
    assert _size(made) == _size(SHOWN) == SIZE


def _size(file: Path) -> tuple[int, int]:
    head = file.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    return width, height
