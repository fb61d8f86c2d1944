"""The API put together: routes, streams, metrics, pages and the server around one running engine. Called by `glink up`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from glink.bus.bus import Bus
from glink.event import Record
from glink.pages.files import PageFiles
from glink.pages.prompts import Prompts
from glink.reconciler.survey import survey
from glink.report import Report
from glink.server.access import TOKEN_FILE, guard_of, tokens_of
from glink.server.ask_routes import ask_routes
from glink.server.engine import Engine
from glink.server.events import events_route
from glink.server.health import health_route
from glink.server.metrics import Gauges, Metrics, metrics_route
from glink.server.page_routes import page_routes
from glink.server.serve import Serving
from glink.server.site import Site
from glink.server.streams import Streams
from glink.server.tell_routes import tell_routes
from glink.server.work import Work
from glink.view import View


class _Kept:
    """The bus as streams read it."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    @property
    def durable_seq(self) -> int:
        return self._bus.durable_seq

    def replay(self, after: int, project: str | None) -> Iterator[Record]:
        return self._bus.replay(after, project=project)


class Api:
    """What is served of one engine. `hear` is for the conductor; `url` is where it is reached."""

    def __init__(self, engine: Engine, *, default: str | None = None) -> None:
        """Bind and go; raises UsageError when it may not, or cannot, listen as it is configured."""
        config = engine.config
        tokens = tokens_of(config, config.bus_dir / TOKEN_FILE)
        self._streams = Streams(_Kept(engine.bus), config.limits)
        self.metrics = Metrics(
            self._gauges(engine), agent_of=lambda record: engine.agent_of(record["project"], record["step"])
        )
        self.pages = _pages(engine)
        routes = [
            health_route(engine.pulse),
            *ask_routes(engine),
            *tell_routes(engine, default),
            *Work(engine).routes(),
            events_route(_Kept(engine.bus), self._streams, is_open=_open_offers(engine)),
            metrics_route(self.metrics),
            *page_routes(self.pages),
        ]
        site = Site(routes, tokens=tokens, guard=guard_of(config), limits=config.limits, secure=config.behind_proxy)
        try:
            self._serving = Serving(site, host=config.host, port=config.port, limits=config.limits)
        except BaseException:
            self._streams.stop()
            raise
        self.url = self._serving.url

    def hear(self, records: list[Record]) -> None:
        """A durable batch: for streams, counters and pages. Never waits."""
        self._streams.hear(records)
        self.metrics.hear(records)
        self.pages.hear(records)

    def start(self) -> None:
        """Begin to write pages, once the engine answers."""
        self.pages.start()

    def close(self, *, seconds: float = 2.0) -> None:
        """Write the last pages, end the streams, answer what was asked, stop listening."""
        self.pages.close()
        self._streams.stop()
        self._serving.stop(seconds=seconds)

    def _gauges(self, engine: Engine) -> Gauges:
        return Gauges(
            inbox=lambda: len(engine.inbox),
            in_flight=lambda: int(engine.look(lambda view: view.world.in_flight)),
            streams=lambda: len(self._streams),
            watch_missed=lambda: engine.source.missed,
            untidied=lambda: engine.housekeeping()[0],
            unsaved=lambda: engine.housekeeping()[1],
            unpublished=lambda: engine.housekeeping()[2],
            durable_seq=lambda: engine.bus.durable_seq,
            damages=lambda: len(engine.bus.damages),
            projects=lambda: engine.look(_conditions),
        )


def _pages(engine: Engine) -> PageFiles:
    config, bus = engine.config, engine.bus
    return PageFiles(
        config.bus_dir / "site",
        limits=config.limits,
        look=lambda names: engine.look(_reports(names)),
        prompts=Prompts(bus.read, bus.blobs.get, config.limits),
        now=engine.now,
        earlier=lambda: bus.newest(config.limits.page_records),
        revision=lambda: str(engine.look(lambda view: view.revision)),
    )


def _reports(names: Collection[str] | None) -> Callable[[View], Sequence[Report]]:
    def look(view: View) -> Sequence[Report]:
        now = view.clock.now()
        wanted: Iterable[str] = sorted(view.desks) if names is None else [name for name in names if name in view.desks]
        return [survey(view.desks[name], now) for name in wanted]

    return look


def _conditions(view: View) -> Sequence[tuple[str, str, str]]:
    """How each project is, in two words."""
    now = view.clock.now()
    reports = (survey(view.desks[name], now) for name in sorted(view.desks))
    return [(one.project, one.sync, one.health) for one in reports]


def _open_offers(engine: Engine) -> Callable[[Record], bool]:
    """Whether an offer still waits for a claim. Looked up without the conductor: a claim is judged anyway."""

    def is_open(record: Record) -> bool:
        if record["type"] != "step.offered":
            return False
        return engine.offers(record["project"]).get(record["step"]) == record["seq"]

    return is_open
