"""The console reporter: one plain line for each thing that people want to know, on a stream."""

from __future__ import annotations

from typing import Any, TextIO

from glink.event import Record
from glink.words import escaped, in_words


class Console:
    """Writes lines like `23:30:57 hello-world #1 step 1 succeeded in 0.01 s`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def report(self, records: list[Record]) -> None:
        lines = [line for record in records if (line := line_of(record)) is not None]
        if lines:
            self._stream.write("".join(f"{line}\n" for line in lines))
            self._stream.flush()


_OF_AGENTS = {
    "agent.cooling": "cools down",
    "agent.paused": "is paused: its credentials were refused",
    "agent.ready": "is asked again",
}


def line_of(record: Record) -> str | None:
    """The line for one record, None for those that only the bus needs."""
    what = sentence(record)
    if what is None:
        return None
    run = f" #{record['run']}" if "run" in record else ""
    step = f" step {record['step']}" if "step" in record else ""
    return escaped(f"{record['time'][11:19]} {record.get('project', 'glink')}{run}{step} {what}")


def sentence(record: Record) -> str | None:
    """What a record says, without when and where; None for those that only the bus needs."""
    data: dict[str, Any] = record.get("data", {})
    match record["type"]:
        case "step.dispatched":
            attempt = record.get("attempt", 1)
            again = f", attempt {attempt}" if attempt > 1 else ""
            return f"given to {data['agent']}{again}: {in_words(data['reason'])}"
        case "step.succeeded":
            return f"succeeded in {data.get('seconds', 0):.2f} s"
        case "step.failed":
            return f"failed ({data['class']}, {data['code']}): {data['message']}"
        case "step.restored":
            return "restored: an earlier answer stands again"
        case "step.skipped":
            return f"skipped: {in_words(data['reason'])}"
        case "step.held" | "step.cancelled":
            return record["type"].removeprefix("step.")
        case "step.parked":
            return f"parked: {data['message']}"
        case "run.settled":
            return f"settled: {data['status']}"
        case "workflow.changed":
            return f"changed: generation {data['generation']} of {data['revision']}"
        case "workflow.orphaned":
            return "orphaned: its files are gone; history and answers are kept"
        case "project.suspended" | "project.resumed" | "project.released":
            return record["type"].removeprefix("project.")
        case "agent.cooling" | "agent.paused" | "agent.ready":
            return f"agent {data['agent']} {_OF_AGENTS[record['type']]}"
        case _:
            return None
