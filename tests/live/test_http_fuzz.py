"""Everything that the description allows, and much that it does not, against a running server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import checks
from schemathesis.generation import GenerationMode

from glink.limits import Limits
from tests.unit.server.small import MAIN, Small

# the load of a test is no attack
JUDGED = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.allow_header_conformance,
    checks.unsupported_method,
]
LIMITS = Limits(requests_per_second=1_000_000, login_failures=1_000_000)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    small = Small(tmp_path, limits=LIMITS)
    small.stored.notes(50)
    yield f"http://127.0.0.1:{small.serve()}"
    small.close()


def fuzz(url: str, examples: int, mode: GenerationMode) -> int:
    """Ask every operation so often; each answer is judged by the description. How many were asked."""
    asked = 0
    key = {"X-API-Key": MAIN}
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", headers=key)
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            nonlocal asked
            if case.operation.path == "/events":
                # a stream would go on; they have tests of their own
                case.query = {**(case.query or {}), "follow": "0"}
            case.headers = {name: text for name, text in (case.headers or {}).items() if name != "Authorization"}
            case.call_and_validate(headers=key, timeout=10, checks=JUDGED)
            asked += 1

        with suppress(Unsatisfiable):  # nothing can be wrong about a request that has nothing in it
            ask()
    return asked


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_server_answers_as_it_says(url: str, mode: GenerationMode) -> None:
    """Status, content type and body are those of the description, and none is a 5xx."""
    assert fuzz(url, 25, mode) > 50


@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_server_answers_as_it_says_at_length(url: str, mode: GenerationMode) -> None:
    assert fuzz(url, 800, mode) > 3_000
