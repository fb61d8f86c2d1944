"""What `run` and `sync` end with."""

from __future__ import annotations

import pytest

from glink.cli.attend import _conclude
from glink.jsontext import dumps, loads
from glink.report import Health, Report, Sync


@pytest.mark.parametrize(
    ("sync", "health", "settled", "code"),
    [
        # The run that was asked for went well; that another is under way by now is another's business.
        (Sync.OUT_OF_SYNC, Health.PROGRESSING, "succeeded", 0),
        (Sync.SYNCED, Health.HEALTHY, "failed", 1),
        (Sync.SYNCED, Health.HEALTHY, "", 0),
        (Sync.OUT_OF_SYNC, Health.SUSPENDED, "", 1),
    ],
)
def test_the_exit_code_is_that_of_the_run_that_was_followed(
    sync: Sync, health: Health, settled: str, code: int
) -> None:
    """Without one, that of the project."""
    report = loads(dumps(Report("p", sync, health)))
    assert _conclude(report, settled, as_json=False) == code
