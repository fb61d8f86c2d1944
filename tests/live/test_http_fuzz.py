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
from tests.live.served import TOKEN, served
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


CONFIG = """\
agents: {say: {type: echo}, coder: {type: pull}}
limits: {requests_per_second: 1000000, login_failures: 1000000, queued_runs: 1000000}
"""
Asked = tuple[str, str]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Asked]:
    """A site with small handlers: address and token."""
    site = Small(tmp_path, limits=LIMITS)
    site.stored.notes(50)
    yield f"http://127.0.0.1:{site.serve()}", MAIN
    site.close()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Asked]:
    """The real one; it must be well when all is over."""
    steps = "steps: [{step: 1, agent: say, task: x}, {step: 2, agent: coder, task: y}]\n"
    with served(tmp_path, CONFIG, p=steps) as running:
        yield running.url, TOKEN
        assert running.ask("GET", "/health")[0] == 200
        assert running.ask("GET", "/status/project?project=p")[0] == 200


def fuzz(asked_of: Asked, examples: int, mode: GenerationMode) -> int:
    """Ask every operation so often; each answer is judged by the description. How many were asked."""
    asked, (url, token) = 0, asked_of
    key = {"X-API-Key": token}
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
def test_the_server_answers_as_it_says(small: Asked, mode: GenerationMode) -> None:
    """Status, content type and body are those of the description, and none is a 5xx."""
    assert fuzz(small, 25, mode) > 50


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_engine_answers_as_it_says(engine: Asked, mode: GenerationMode) -> None:
    assert fuzz(engine, 25, mode) > 50


@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_engine_answers_as_it_says_at_length(engine: Asked, mode: GenerationMode) -> None:
    """About ten minutes: `python -m pytest -m long tests/live/test_http_fuzz.py`."""
    assert fuzz(engine, 500, mode) > 3_000
