"""SIGKILL for a whole engine at work, again and again: whatever moment it hits, every step is done once and none is lost.

An engine lives in a process of its own, over a project of instant, pooled and command steps, with a real bus and real
children. It is killed after some events, and the next one carries on. When a generation has settled, an edit makes the
next one, so that there is always something to do. A reader beside them sees every event once, over all the lives.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from random import Random

from glink.app import Engine
from glink.bus import marks, segment
from glink.bus.fsio import Disk
from glink.bus.reader import BusReader
from glink.clock import wait_for
from glink.config import Config, load_config
from glink.limits import Limits

_CONFIG = """
limits: {segment_bytes: 60000, checkpoint_events: 150, look: 0.01}
agents:
  instant: {type: echo}
  pooled: {type: echo, delay: 1ms}
  program: {type: command, command: [/bin/cat], exit_record: true}
"""
_STEPS = 12
_SETTLES = 60


class Mortal:
    """One bus and its engines. `kills` counts those that were killed while there was work to do."""

    def __init__(self, folder: Path, *, seed: int = 0) -> None:
        (folder / "projects").mkdir()
        (folder / "glink-config.yaml").write_text(_CONFIG)
        self._folder, self._random = folder, Random(seed)
        self._generation = 0
        self.kills = self.settled = 0
        self._edit()
        self._config = self._load()
        self._bus = self._config.bus_dir

    def live_and_die(self) -> None:
        """One life; the kill comes after a chance number of events, unless it settles before."""
        before = self._progress()
        events = self._random.choice((0, 1, 2, 3, 5, 8, 13, 21))
        pid = os.fork()
        if pid == 0:
            os._exit(self._engine())
        wait_for(
            lambda: self._progress() > before + events * 400 or _has_ended(pid),
            seconds=_SETTLES,
            every=self._random.choice((0.0005, 0.002, 0.01)),
        )
        if _has_ended(pid):
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            assert code == 0, f"the engine ended with {code}"
            self._prove_generation()
            self._edit()
            self.settled += 1
            return
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self.kills += 1

    def prove(self) -> None:
        """The whole log is one unbroken order, and what it says is what the rules allow."""
        while self.settled == 0 or self._in_flight():
            self.live_and_die()
        seqs = [record["seq"] for record in self._reader().replay(0)]
        assert seqs == list(range(1, len(seqs) + 1))

    def _engine(self) -> int:
        devnull = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(devnull, fd)
        try:
            engine = Engine.open(self._load(), watch=False)
            conductor = engine.conductor
            conductor.run(until=lambda: conductor.quiet)
            engine.close()
        except BaseException:  # the parent says that it is wrong
            return 1
        return 0

    def _load(self) -> Config:
        return load_config(None, environ={"HOME": str(self._folder)}, folder=self._folder)

    def _edit(self) -> None:
        self._generation += 1
        agents = ("instant", "pooled", "program")
        lines = [
            f"  - {{step: s{n}, agent: {agents[n % 3]}, task: do {n} of {self._generation}, context: none}}"
            for n in range(_STEPS)
        ]
        text = "mode: sequential\nsteps:\n" + "\n".join(lines).replace(
            "context: none}", "after: [], context: none}", _STEPS // 2
        )
        (self._folder / "projects" / "p.yaml").write_text(text + "\n")

    def _progress(self) -> int:
        """Bytes of log that readers may see, over all segments."""
        mark = marks.read_durable(Disk(), self._bus) if self._bus.exists() else None
        if mark is None:
            return 0
        sizes = {first: (self._bus / "events" / segment.name_of(first)) for first in self._firsts()}
        return mark[1] + sum(path.stat().st_size for first, path in sizes.items() if first < mark[0])

    def _firsts(self) -> list[int]:
        return segment.firsts(Disk(), self._bus / "events")

    def _reader(self) -> BusReader:
        return BusReader(self._bus, limits=Limits())

    def _in_flight(self) -> bool:
        return len(self._flying()) > 0

    def _flying(self) -> Mapping[str, int]:
        flying: dict[str, int] = {}
        for record in self._reader().replay(0, project="p"):
            if record["type"] == "step.dispatched":
                flying[record["step"]] = record["seq"]
            elif record.get("fence") == flying.get(record.get("step", "")):
                flying.pop(record.get("step", ""), None)
        return flying

    def _prove_generation(self) -> None:
        """Every step of it succeeded once, by the fence that was current, and nothing was dispatched after that."""
        done: dict[str, int] = {}
        current: dict[str, int] = {}
        for record in self._reader().replay(0, project="p"):
            kind, step = record["type"], record.get("step", "")
            if kind == "workflow.changed":
                done, current = {}, {}
            elif kind == "step.dispatched":
                assert step not in done, f"{step} was done at {done[step]} and is dispatched at {record['seq']}"
                current[step] = record["seq"]
            elif kind == "step.succeeded":
                assert record["fence"] == current[step], f"{step}: a stale result counts at {record['seq']}"
                assert step not in done, f"{step} succeeds twice"
                done[step] = record["seq"]
        assert sorted(done) == sorted(f"s{n}" for n in range(_STEPS))


def _has_ended(pid: int) -> bool:
    found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return found is not None
