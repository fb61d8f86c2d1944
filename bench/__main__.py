"""`python -m bench`: each figure beside its floor, alternating, in one run; a table, and bench/results.json."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median, quantiles

from bench import bus, commands, floor, http, loading, settled, steps, watching
from glink import collector

ROOT = Path(__file__).parents[1]
WIDTHS = (4, 36, 18, 24, 7, 22)

Measure = Callable[[], float]


class Table:
    """The rows as they come in. Each round measures the floor, then Glink; ratios are of one round."""

    def __init__(self, folder: Path, *, quick: bool) -> None:
        self.quick = quick
        self.rounds = 1 if quick else 5
        self.rows: list[dict[str, str]] = []
        self.folder = folder
        self._names = count()

    def fresh(self) -> Path:
        """A folder that is not there yet."""
        return self.folder / str(next(self._names))

    def size(self, usual: int) -> int:
        """How much to do: a twentieth is enough to see that it runs."""
        return max(usual // 20, 5) if self.quick else usual

    def measure(self, line: str, work: str, low: Measure, own: Measure, goal: str, *, rounds: int = 0) -> None:
        """Alternate floor and Glink, and take the medians."""
        pairs = [(low(), own()) for _ in range(rounds if rounds and not self.quick else self.rounds)]
        self.add(line, work, pairs, goal)

    def add(self, line: str, work: str, pairs: list[tuple[float, float]], goal: str, more: str = "") -> None:
        """One row of the table, from (floor, Glink) in milliseconds."""
        low, own = (median(side) for side in zip(*pairs, strict=True))
        ratio = median(one / least for least, one in pairs)
        cells = (line, work, f"floor {low:.3f} ms", f"{own:.3f} ms{more}", f"{ratio:.2f}", goal)
        row = dict(zip(("line", "work", "floor", "glink", "ratio", "goal"), cells, strict=True))
        self.rows.append(row)
        print("  ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)), flush=True)


def main() -> None:
    """Run the lines and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, one round: does it run at all?")
    parser.add_argument("--dir", type=Path, default=Path(), help="where to work; the disk that is measured")
    parser.add_argument("--lines", default="", help="only these, such as 1,12")
    options = parser.parse_args()
    commands.compiled()
    collector.calm()
    with tempfile.TemporaryDirectory(dir=options.dir, prefix=".bench-") as folder:
        table = Table(Path(folder), quick=options.quick)
        for line, run in LINES.items():
            if not options.lines or line in options.lines.split(","):
                run(table)
    (ROOT / "bench" / "results.json").write_text(json.dumps(table.rows, indent=2) + "\n")


def chain(table: Table) -> None:
    """Line 1."""
    for size in (table.size(200), table.size(1_000), table.size(10_000)):
        _steps(table, "1", f"chain of {size} steps", size, goal="<= 1.6 F")
    size = table.size(200)
    _steps(table, "1", f"chain of {size}, through the pool", size, agent="pooled", goal="<= 2.5 F")


def fan_out(table: Table) -> None:
    """Line 2."""
    for size in (table.size(200), table.size(10_000)):
        _steps(table, "2", f"fan-out of {size} steps, 8 at once", size, fan=True, goal="<= 0.16 ms")


def _steps(
    table: Table, line: str, work: str, size: int, *, goal: str, fan: bool = False, agent: str = "instant"
) -> None:
    pairs, sizes, syncs = [], [], []
    for _ in range(table.rounds):
        low = floor.two_records_one_sync(table.folder)
        own = steps.settle(table.fresh(), size, fan=fan, agent=agent)
        pairs.append((low, own.ms))
        sizes.append(own.bytes)
        syncs.append(own.syncs)
    table.add(line, work, pairs, goal, f", {median(sizes):.0f} B, {median(syncs):.2f} syncs")


def programs(table: Table) -> None:
    """Line 3."""
    size = table.size(200)

    def own(*, fan: bool) -> float:
        return steps.settle(table.fresh(), size, fan=fan, agent="program").ms

    low = partial(floor.programs, table.folder, count=size)
    table.measure("3", "programs, one by one", partial(low, at_once=1), partial(own, fan=False), "<= 1.5")
    table.measure("3", "programs, 8 at once", partial(low, at_once=8), partial(own, fan=True), "<= 1.5, <= 1.0 ms")


def cold_plan(table: Table) -> None:
    """Line 4."""
    size = table.size(1_000)
    for projects, goal in ((1, "<= 250 ms"), (10, "<= 400 ms")):
        home = table.fresh()
        settled.settled(home, projects=projects, steps=size).close()
        work = f"glink plan, cold, {projects * size} steps"
        table.measure("4", work, floor.python_start, partial(settled.plan, home), goal)
        told = partial(settled.plan, home, "--config", "glink-config.yaml")
        table.measure("4", f"the same, loaded and decided, {projects * size} steps", floor.python_start, told, "")


def nothing_to_do(table: Table) -> None:
    """Line 5."""
    tree = settled.Tree(table.fresh(), table.size(10_000))

    def stats() -> float:
        return floor.stats(tree.root)

    table.measure("5", f"rescan of {table.size(10_000)} files", stats, tree.rescan, "<= 50 ms")
    size = table.size(1_000)
    engine = settled.settled(table.fresh(), projects=1, steps=size)
    table.measure("5", f"pass, {size} steps, none touched", stats, lambda: settled.look(engine, steps=()), "<= 1 ms")
    table.measure("5", f"pass, {size} steps, all checked", stats, lambda: settled.look(engine, steps=None), "<= 2 ms")
    engine.close()


def watching_files(table: Table) -> None:
    """Line 6."""
    saves = table.size(100)
    low, own = floor.watchdog_callbacks(table.fresh(), saves), watching.save_to_dispatch(table.fresh(), saves)
    for name, at, goal in (("p50", 49, "<= 40 ms"), ("p99", 98, "<= 60 ms")):
        pair = (quantiles(low, n=100)[at], quantiles(own, n=100)[at])
        table.add("6", f"save to durable dispatch, {name}", [pair], goal)


def loaded(table: Table) -> None:
    """Line 12."""
    text = loading.text_of(table.size(1_000))
    goal = "<= 60 ms: 2.6"
    work = f"load {len(text) // 1000} KB"
    table.measure(
        "12", work, lambda: floor.yaml_events(text), lambda: loading.load(table.fresh(), text), goal, rounds=15
    )


def starts(table: Table) -> None:
    """Line 13."""
    table.measure("13", "glink --version", floor.python_start, commands.version, "<= 40 ms")
    ready = "glink up ready on the examples"
    table.measure("13", ready, floor.python_start, lambda: commands.ready(table.fresh(), ROOT), "<= 500 ms")


def over_http(table: Table) -> None:
    """Small requests, and how soon `/health` answers beside open streams; bare bottle on the same waitress is the floor."""
    count, seconds, asked = (20, 0.2, 20) if table.quick else (500, 3.0, 1_000)
    folder = table.fresh()
    small: list[tuple[float, float]] = []
    silent: list[tuple[float, float]] = []
    live: list[tuple[float, float]] = []
    for number in range(table.rounds):
        with http.server("floor", folder) as bare:
            low, alone = http.requests(bare.port, seconds), http.health(bare.port, asked)[1]
        with http.server("glink", folder / str(number)) as own:
            small.append((low, http.requests(own.port, seconds)))
            with http.streams(own.port, count):
                silent.append((alone, http.health(own.port, asked)[1]))
                own.tell("beat 60")
                live.append((alone, http.health(own.port, asked)[1]))
    table.add("11", "a small request, 32 at once", small, "<= 1.13 F")
    table.add("11", f"p99 beside {count} silent streams", silent, "<= 2 ms")
    table.add("11", f"p99 beside {count} live streams", live, "<= 5 ms")


def events_over_http(table: Table) -> None:
    """`GET /events` over a small bus; reading the same records from the disk is the floor."""
    folder = table.fresh()
    with http.server("glink", folder) as own:
        own.tell(f"write {2_000 if table.quick else 200_000} 100")
        first, last, events = http.events(own.port, "")
        asked = http.health(own.port, 20 if table.quick else 1_000)[0]
        read, records = http.replayed(folder)
    table.add("9", f"{events} events, first byte (F: /health)", [(asked, first)], "<= 10 ms")
    table.add("9", "1,000 events of them", [(read * 1e3 / records, last * 1e3 / events)], "<= 5 ms")


def the_bus(table: Table) -> None:
    """Lines 7 and 8, and of line 9 what is read of one project among many."""
    bus.measure(
        table.fresh,
        lambda line, work, low, own, goal, more="": table.add(line, work, [(low, own)], goal, more),
        quick=table.quick,
    )


LINES: dict[str, Callable[[Table], None]] = {
    "1": chain,
    "2": fan_out,
    "3": programs,
    "4": cold_plan,
    "5": nothing_to_do,
    "6": watching_files,
    "7": the_bus,
    "9": events_over_http,
    "11": over_http,
    "12": loaded,
    "13": starts,
}

if __name__ == "__main__":
    main()
