"""The small site, opened and closed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.server.small import Small


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    one = Small(tmp_path)
    yield one
    one.close()
