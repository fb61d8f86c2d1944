"""States that are rebuilt project by project and segment by segment are the ones that were folded record by record."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from glink.bus.bus import Bus
from glink.bus.reader import BusReader
from glink.clock import SystemClock
from glink.limits import Limits
from glink.reconciler.memory import Memory

LIMITS = Limits(segment_bytes=3 << 10)
KEYS = st.sampled_from(["a" * 16, "b" * 16, "c" * 16])
KINDS = [
    "answered",
    "answered",
    "answered",
    "dispatched",
    "succeeded",
    "failed",
    "restored",
    "skipped",
    "noted",
    "observed",
    "committed",
]


def data_of(kind: str, key: str) -> dict[str, Any]:
    """What an event of this kind says, as far as the fold looks at it."""
    asked = {"reason": "never_ran", "agent": "a", "generation": 1, "definition": "d", "fingerprint": {"task": key}}
    return {
        "dispatched": {**asked, "key": key},
        "succeeded": {"digest": key, "output": key * 5, "usage": {"tokens": 3}},
        "failed": {"class": "lost", "code": "x", "message": "gone", "key": key},
        "restored": {"key": key},
        "skipped": {"key": key},
    }[kind]


def stage(bus: Bus, kind: str, project: str, step: str, key: str, fences: dict[tuple[str, str], int]) -> None:
    if kind == "answered":
        for one in ("dispatched", "succeeded"):
            stage(bus, one, project, step, key, fences)
    elif kind == "observed":
        bus.stage({"type": "source.observed", "data": {"revision": key}})
    elif kind == "noted":
        bus.stage({"type": "note.a", "project": project, "data": {"text": key}})
    else:
        fence = fences.get((project, step), 0)
        body: dict[str, Any] = {"type": f"step.{kind}", "project": project, "run": 1, "step": step, "attempt": 1}
        if kind in {"succeeded", "failed"}:
            body["fence"] = fence
        record = bus.stage({**body, "data": data_of(kind, key)})
        if kind == "dispatched" and not fence:
            fences[project, step] = record["seq"]
        elif kind in {"succeeded", "failed"}:
            fences[project, step] = 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(KINDS), st.sampled_from("pqr"), st.sampled_from("xy"), KEYS),
        min_size=20,
        max_size=120,
    )
)
def test_rebuilt_states_are_the_folded_ones(events: list[tuple[str, str, str, str]]) -> None:
    """For the daemon and for a reader; and the answer that stands is the last one of its step's answers."""
    with TemporaryDirectory() as folder:
        bus = Bus.open(Path(folder) / "bus", clock=SystemClock(), limits=LIMITS, sync=False)
        fences: dict[tuple[str, str], int] = {}
        for kind, project, step, key in events:
            if kind == "committed":
                bus.commit()
            else:
                stage(bus, kind, project, step, key, fences)
        bus.commit()
        plain = Memory.until(bus)
        assert plain.seq == bus.durable_seq
        for rebuilt in (Memory.read(bus), Memory.read(BusReader(bus.path, limits=LIMITS))):
            assert rebuilt.states == plain.states
            assert (rebuilt.world, rebuilt.seq) == (plain.world, plain.seq)
            assert {name: one.packed() for name, one in rebuilt.states.items()} == {
                name: one.packed() for name, one in plain.states.items()
            }
        steps = [step for state in plain.states.values() for step in state.steps.values()]
        assert all(list(step.answers)[-1] == step.answer.key for step in steps if step.answer is not None)
        bus.close()
