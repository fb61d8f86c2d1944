"""`python -m bench`: each figure beside its floor, alternating, in one run; a table, and bench/results.json."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench import bus, floor, loading, steps, watching

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Run the lines and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, one round: does it run at all?")
    parser.add_argument("--dir", type=Path, default=Path(), help="where to work; the disk that is measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.dir, prefix=".bench-") as folder:
        rows = measure(Path(folder), quick=options.quick)
    for row in rows:
        print(
            "  ".join(str(cell).ljust(width) for cell, width in zip(row.values(), (4, 34, 24, 24, 8, 20), strict=True))
        )
    (ROOT / "bench" / "results.json").write_text(json.dumps(rows, indent=2) + "\n")


def measure(folder: Path, *, quick: bool) -> list[dict[str, str]]:
    """All rows; each a mapping of line, work, floor, glink, ratio, goal."""
    rounds = 1 if quick else 5
    rows: list[dict[str, str]] = []
    names = iter(range(1_000_000))

    def fresh() -> Path:
        return folder / str(next(names))

    def add(line: str, work: str, low: float, own: float, goal: str, more: str = "") -> None:
        ratio = f"{own / low:.2f}"
        cells = (line, work, f"floor {low:.3f} ms", f"{own:.3f} ms{more}", ratio, goal)
        rows.append(dict(zip(("line", "work", "floor", "glink", "ratio", "goal"), cells, strict=True)))

    def paired(count: int, *, fan: bool, agent: str = "instant") -> tuple[float, float, float]:
        found = []
        for _ in range(rounds):
            low = floor.two_records_one_sync(folder)
            own = steps.settle(fresh(), count, fan=fan, agent=agent)
            found.append((low, own.ms, own.bytes))
        return tuple(median(one[part] for one in found) for part in range(3))  # type: ignore[return-value]

    sizes = (20, 40) if quick else (200, 1_000)
    for count in (*sizes, *(() if quick else (10_000,))):
        low, own, size = paired(count, fan=False)
        add("1", f"chain of {count} steps", low, own, "<= 1.6 F", f", {size:.0f} B")
    low, own, _ = paired(sizes[0], fan=False, agent="pooled")
    add("1", f"chain of {sizes[0]}, pool, 1 ms each", low, own, "<= 2.5 F + 1 ms")
    for count in (sizes[0], *(() if quick else (10_000,))):
        low, own, size = paired(count, fan=True)
        add("2", f"fan-out of {count} steps, 8 at once", low, own, "<= 0.16 ms", f", {size:.0f} B")
    p50, p99 = watching.save_to_dispatch(fresh(), 5 if quick else 100)
    add("6", "save to durable dispatch, p50", 0.7, p50, "<= 40 ms")
    add("6", "save to durable dispatch, p99", 3.3, p99, "<= 60 ms")
    bus.measure(fresh, add, quick=quick)
    text = loading.text_of(50 if quick else 1_000)
    low = median(floor.yaml_events(text) for _ in range(rounds))
    own = median(loading.load(fresh(), text) for _ in range(rounds))
    add("12", f"load {len(text) // 1000} KB", low, own, "<= 60 ms")
    start = median(_several(floor.python_start, rounds))
    add("13", "glink --version", start, median(_several(loading.version, rounds)), "<= 40 ms")
    up = median(_several(lambda: loading.ready(_made(fresh()), ROOT), rounds))
    add("13", "glink up ready on the examples", start, up, "<= 500 ms")
    return rows


def _several(measured: Callable[[], float], rounds: int) -> list[float]:
    return [measured() for _ in range(rounds)]


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


if __name__ == "__main__":
    main()
