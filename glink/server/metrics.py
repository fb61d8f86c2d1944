"""`/metrics` for Prometheus. Counted by what the conductor says, measured when they are asked for.

No run and no step is a label: there would be no end of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from glink import __version__
from glink.event import Record
from glink.permit import Scope
from glink.server.route import Call, Reply, Route

_PASS_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_STEP_SECONDS: Final = (0.01, 0.1, 1, 5, 15, 60, 300, 900, 3600)


@dataclass(frozen=True, slots=True)
class Gauges:
    """What is looked up when somebody asks; `projects` gives (project, sync, health)."""

    inbox: Callable[[], int]
    in_flight: Callable[[], int]
    streams: Callable[[], int]
    watch_missed: Callable[[], int]
    untidied: Callable[[], int]
    unsaved: Callable[[], int]
    unpublished: Callable[[], int]
    durable_seq: Callable[[], int]
    damages: Callable[[], int]
    projects: Callable[[], Iterable[tuple[str, str, str]]]


class Metrics:
    """A registry of its own. `hear` and the two measures are the conductor's to call, in its thread."""

    def __init__(self, gauges: Gauges, *, agent_of: Callable[[Record], str]) -> None:
        """`agent_of` names the agent of an attempt that has ended."""
        self._agent_of = agent_of
        self._registry = own = CollectorRegistry()
        own.register(_Looked(gauges))
        self._reconciled = Counter("glink_reconcile", "Passes over projects", ["result"], registry=own)
        self._pass = Histogram("glink_reconcile_seconds", "Time of a pass", registry=own, buckets=_PASS_SECONDS)
        self._append = Histogram("glink_bus_append_seconds", "Time of a commit", registry=own, buckets=_PASS_SECONDS)
        self._steps = Counter("glink_step", "Attempts that ended", ["agent", "outcome"], registry=own)
        self._seconds = Histogram("glink_step_seconds", "Time of an attempt", registry=own, buckets=_STEP_SECONDS)
        self._cost = Counter("glink_agent_cost_usd", "Money spent", ["agent"], registry=own)
        self._runs = Counter("glink_run", "Runs that were settled", ["status"], registry=own)

    def hear(self, records: list[Record]) -> None:
        """A durable batch."""
        for record in records:
            count = self._COUNTED.get(record["type"])
            if count is not None:
                count(self, record, record.get("data", {}))

    def reconciled(self, result: str, seconds: float) -> None:
        """A pass: `changed`, `unchanged` or `failed`."""
        self._reconciled.labels(result).inc()
        self._pass.observe(seconds)

    def appended(self, seconds: float) -> None:
        """A commit, its sync included."""
        self._append.observe(seconds)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self._registry)

    def _attempt(self, record: Record, data: Mapping[str, Any]) -> None:
        agent = self._agent_of(record)
        self._steps.labels(agent, data.get("class", "succeeded")).inc()
        self._seconds.observe(data.get("seconds", 0.0))
        cost = (data.get("usage") or {}).get("cost_usd", 0)
        if isinstance(cost, int | float) and cost > 0:
            self._cost.labels(agent).inc(cost)

    def _settled(self, record: Record, data: Mapping[str, Any]) -> None:
        self._runs.labels(data["status"]).inc()

    _COUNTED: Final = {"step.succeeded": _attempt, "step.failed": _attempt, "run.settled": _settled}


class _Looked(Collector):
    """Asks for the gauges whenever the registry is read."""

    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        look = self._gauges
        info = GaugeMetricFamily("glink_info", "This engine", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        yield GaugeMetricFamily("glink_inbox_depth", "News that wait for the conductor", look.inbox())
        yield GaugeMetricFamily("glink_in_flight", "Attempts that are running", look.in_flight())
        yield GaugeMetricFamily("glink_streams", "Readers of streams", look.streams())
        yield GaugeMetricFamily("glink_bus_seq", "The last durable event", look.durable_seq())
        yield GaugeMetricFamily("glink_bus_damages", "Segments that are damaged", look.damages())
        yield CounterMetricFamily("glink_watch_missed", "Times that news of files were lost", look.watch_missed())
        yield CounterMetricFamily(
            "glink_retention_failures", "Times that old things could not be taken away", look.untidied()
        )
        yield CounterMetricFamily("glink_checkpoint_failures", "Checkpoints that could not be written", look.unsaved())
        yield CounterMetricFamily("glink_mark_failures", "Marks that could not be written", look.unpublished())
        projects = GaugeMetricFamily("glink_project_info", "Projects", labels=["project", "sync", "health"])
        for labels in look.projects():
            projects.add_metric(list(labels), 1)
        yield projects


def metrics_route(metrics: Metrics) -> Route:
    """The route; it names every project, so it is for tokens that have all."""

    def answer(call: Call) -> Reply:
        call.who.must_have_all()
        return Reply(metrics.text(), content_type=CONTENT_TYPE_LATEST)

    return Route("GET", "/metrics", Scope.READ, answer, "for Prometheus", replies={200: "text/plain"})
