"""What the server says of itself: health, metrics, its own description."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from prometheus_client.parser import text_string_to_metric_families

from glink import __version__
from glink.server.health import Pulse
from tests.unit.server.small import MAIN, Small


def test_health_says_that_it_is_well_and_nothing_more(small: Small) -> None:
    assert small.ask("GET", "/health", token=None).json == {"status": "ok", "version": __version__, "uptime": 1.5}


def test_health_says_why_it_is_not(small: Small) -> None:
    small.pulse = Pulse(2.0, "the bus cannot be written")
    answer = small.ask("GET", "/health", token=None)
    assert (answer.status, answer.json["detail"]) == (503, "the bus cannot be written")


def samples(small: Small) -> dict[tuple[str, tuple[str, ...]], float]:
    text = small.ask("GET", "/metrics").body.decode()
    return {
        (one.name, tuple(sorted(one.labels.values()))): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def test_metrics_count_what_the_bus_says(small: Small) -> None:
    """Attempts by agent and outcome, their time, their price, and runs."""
    done = {"type": "step.succeeded", "project": "p", "step": "1"}
    small.stored.write(
        {**done, "data": {"agent": "coder", "seconds": 2.0, "usage": {"cost_usd": 0.25}}},
        {**done, "data": {"agent": "coder", "seconds": 100.0, "usage": {"cost_usd": "much"}}},
        {**done, "type": "step.failed", "data": {"agent": "coder", "class": "timeout"}},
        {"type": "run.settled", "project": "p", "run": 1, "data": {"status": "failed"}},
        {"type": "note.x", "project": "p", "data": {"agent": "coder"}},
    )
    found = samples(small)
    assert found["glink_step_total", ("coder", "succeeded")] == 2
    assert found["glink_step_total", ("coder", "timeout")] == 1
    assert found["glink_step_seconds_count", ()] == 3
    assert found["glink_step_seconds_sum", ()] == 102
    assert found["glink_agent_cost_usd_total", ("coder",)] == 0.25
    assert found["glink_run_total", ("failed",)] == 1
    assert found["glink_bus_seq", ()] == 5


def test_metrics_measure_what_they_are_told(small: Small) -> None:
    small.metrics.reconciled("changed", 0.002)
    small.metrics.reconciled("unchanged", 0.0001)
    small.metrics.appended(0.0003)
    found = samples(small)
    assert found["glink_reconcile_total", ("changed",)] == found["glink_reconcile_total", ("unchanged",)] == 1
    assert (found["glink_reconcile_seconds_count", ()], found["glink_bus_append_seconds_count", ()]) == (2, 1)


def test_metrics_look_up_what_changes_without_events(small: Small) -> None:
    found = samples(small)
    assert found["glink_in_flight", ()] == 2
    assert found["glink_watch_missed_total", ()] == 3
    assert found["glink_retention_failures_total", ()] == 4
    assert found["glink_checkpoint_failures_total", ()] == 5
    assert found["glink_mark_failures_total", ()] == 6
    assert found["glink_project_info", ("Healthy", "Synced", "team-a/x")] == 1
    assert found["glink_info", (__version__,)] == 1


def test_no_run_and_no_step_is_a_label(small: Small) -> None:
    """There would be no end of them."""
    small.stored.write({"type": "step.succeeded", "project": "p", "step": "1", "run": 7, "data": {"agent": "a"}})
    labels = set(re.findall(r'(\w+)="', small.ask("GET", "/metrics").body.decode()))
    assert labels <= {"le", "agent", "outcome", "project", "sync", "health", "version", "result", "status"}


def test_every_metric_is_documented_with_its_labels_and_no_other(small: Small) -> None:
    page = (Path(__file__).parents[3] / "docs" / "http.md").read_text()
    rows = re.findall(r"^\| `(glink_\w+)` \|(.*?)\|", page, re.MULTILINE)
    documented = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    small.metrics.reconciled("changed", 0.1)
    small.stored.write(
        {"type": "step.failed", "project": "p", "data": {"agent": "a", "class": "lost", "usage": {"cost_usd": 1}}},
        {"type": "run.settled", "project": "p", "data": {"status": "failed"}},
    )
    text = small.ask("GET", "/metrics").body.decode()
    served = {
        family.name + ("_total" if family.type == "counter" else ""): {
            label for one in family.samples for label in one.labels if label != "le"
        }
        for family in text_string_to_metric_families(text)
    }
    assert documented == {name: labels for name, labels in served.items() if not name.endswith("_created")}


def test_the_parameters_of_events_are_documented(small: Small) -> None:
    page = (Path(__file__).parents[3] / "docs" / "http.md").read_text()
    (route,) = [one for one in small.site.routes if one.path == "/events"]
    rows = "".join(re.findall(r"^\| ((?:`\w+` ?)+)\|", page, re.MULTILINE))
    assert {one.name for one in route.query} <= set(re.findall(r"`(\w+)`", rows))


def test_a_scrape_is_text_that_prometheus_reads(small: Small) -> None:
    assert small.ask("GET", "/metrics").headers["content-type"].startswith("text/plain; version=")


def test_the_description_has_every_route_and_no_other(small: Small) -> None:
    """It is made from the table that is served."""
    described = small.ask("GET", "/openapi.json").json
    found = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    assert found == {(route.method, route.path) for route in small.site.routes}
    assert described["openapi"] == "3.1.0"


def test_every_schema_in_the_description_is_one(small: Small) -> None:
    """And every reference leads somewhere."""
    described = small.ask("GET", "/openapi.json").json

    def schemas(node: object):
        if isinstance(node, dict):
            if "schema" in node:
                yield node["schema"]
            for inner in node.values():
                yield from schemas(inner)
        elif isinstance(node, list):
            for inner in node:
                yield from schemas(inner)

    found = [*schemas(described), *described["components"]["schemas"].values()]
    assert len(found) > 20
    for one in found:
        Draft202012Validator.check_schema(one)
    for reference in re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(described)):
        assert reference in described["components"]["schemas"]


@pytest.mark.parametrize("path", ["/health", "/login"])
def test_the_description_says_what_needs_no_token(small: Small, path: str) -> None:
    described = small.ask("GET", "/openapi.json", token=MAIN).json["paths"]
    assert described[path]["get"]["security"] == []
    assert described["/status"]["get"]["security"] == [{"bearer": []}, {"key": []}]


def test_each_operation_has_a_name_of_its_own(small: Small) -> None:
    described = small.ask("GET", "/openapi.json").json["paths"]
    names = [one["operationId"] for methods in described.values() for one in methods.values()]
    assert len(set(names)) == len(names)
