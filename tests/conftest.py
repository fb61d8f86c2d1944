"""What holds for all tests: those that a missing browser skips are counted where nobody can overlook it."""

from __future__ import annotations

from typing import Any

NO_BROWSER = "no browser"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many tests of the page did not run."""
    skipped = [one for one in terminalreporter.stats.get("skipped", ()) if NO_BROWSER in str(one.longrepr)]
    if skipped:
        terminalreporter.section("THE STATUS PAGE WAS NOT LOOKED AT", sep="!", red=True, bold=True)
        terminalreporter.line(f"{len(skipped)} tests were skipped: {skipped[0].longrepr[2]}", red=True)
