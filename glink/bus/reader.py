"""The bus as other processes and threads see it: read-only, without the daemon, up to what is durable.

Called by the reading verbs of the command line. While a daemon holds the bus, its `durable` says how far to read; else
the end of the log is judged as recovery would, in memory, and nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from glink.bus import fsck, holder, marks, redact, segment
from glink.bus.blobs import StoredBlobs
from glink.bus.checkpoints import Checkpoint, Checkpoints, CrcAt
from glink.bus.damage import Damage
from glink.bus.fsio import Disk, disk_errors
from glink.bus.history import End, History, Judge
from glink.bus.holder import Holder
from glink.bus.known import Known
from glink.bus.recovery import judge, known_floor
from glink.clock import wait_for
from glink.errors import BusCorrupt, BusTrimmed, NoState
from glink.event import Record
from glink.limits import Limits

REDACTION_SECONDS = 30.0  # renames and syncs of all segments


class BusReader(Known):
    """Raises NoState where there is no bus, BusFormat for a newer one."""

    def __init__(self, path: Path, *, limits: Limits) -> None:
        self.path = path.absolute()
        self._disk = Disk()
        self._events = self.path / "events"
        self._limits = limits
        with disk_errors(f"the bus {self.path} cannot be read"):
            if not marks.check_format(self._disk, self.path) or not segment.firsts(self._disk, self._events):
                raise NoState(f"no bus at {self.path}: nothing has run there yet; start it with `glink up`")
        self.blobs = StoredBlobs(self._disk, self.path / "blobs" / "sha256")
        self._history = History(self._disk, self._events, limits, open_index=None, look=self._look)
        self._checkpoints = Checkpoints(self._disk, self.path / "checkpoints", self._crcs)

    @property
    def held(self) -> bool:
        """Whether a daemon holds the bus now."""
        with disk_errors(f"the bus {self.path} cannot be read"):
            return holder.is_held(self._disk, self.path)

    def holder(self) -> Holder | None:
        """Who holds the bus; None when nobody does."""
        if not self.held:
            return None
        with disk_errors(f"the bus {self.path} cannot be read"):
            return holder.find(self._disk, self.path) or Holder(0, "")

    def rest(self) -> Checkpoint | None:
        """What was last known of projects at rest, as of its seq; None where nothing was, or it is damaged."""
        with disk_errors("the checkpoints cannot be read"):
            return self._checkpoints.rest()

    def replay(self, after: int, *, project: str | None = None) -> Iterator[Record]:
        """The records with a seq above `after` that are durable at the time of the call; see `Bus.replay`.

        While `glink redact` puts other segments in the place of these, it goes on in those with the next seq.
        """
        with disk_errors("the log cannot be read"):
            if after + 1 < self._history.first_seq():
                self._history.find_damage()  # trimmed, or gone?
            while True:
                last = self._last_file()
                try:
                    end, is_tail = self._end()
                    judge = self._judge() if is_tail else None
                    for found in self._history.replay(after, end, project=project, judge=judge):
                        after = found["seq"]
                        yield found
                except BusCorrupt:
                    if not self._is_another(last) and not self._history.find_damage():
                        raise
                else:
                    if not self._is_another(last):
                        return

    def by_project(self, after: int) -> Iterator[tuple[str, list[Record]]]:
        """As `Bus.by_project`; all is given again, which a fold passes over, where `glink redact` puts other segments there."""
        with disk_errors("the log cannot be read"):
            if after + 1 < self._history.first_seq():
                self._history.find_damage()
            while True:
                last = self._last_file()
                try:
                    end, is_tail = self._end()
                    yield from self._history.by_project(after, end, judge=self._judge() if is_tail else None)
                except BusCorrupt:
                    if not self._is_another(last):
                        raise
                else:
                    if not self._is_another(last):
                        return

    def read(self, seq: int) -> Record | None:
        """One record; None where it is not, or not any more, on the bus."""
        if seq < self.first_seq:
            return None
        return next((record for record in self.replay(seq - 1) if record["seq"] == seq), None)

    def follow(self, after: int, *, stop: Callable[[], bool], every: float = 0.05) -> Iterator[Record]:
        """`replay`, and then each record as it becomes durable, over restarts of the daemon, until `stop` says so.

        Raises BusTrimmed when it was so slow that retention took away what came next.
        """
        seen: tuple[End, bool] | None = None
        while not stop():
            with disk_errors("the log cannot be read"):
                now = self._end()
            if now != seen:
                seen = now
                if after and (first := self.first_seq) > after + 1:
                    raise BusTrimmed(
                        f"records {after + 1}-{first - 1} were trimmed before they were read; the first is {first}"
                    )
                for record in self.replay(after):
                    after = record["seq"]
                    yield record
            wait_for(stop, seconds=every, every=every)

    def _end(self) -> tuple[End, bool]:
        """Where reading stops, and whether a torn batch may stand there."""
        # the size first: bytes that were there before the bus was seen to be free are not in the making
        last = segment.firsts(self._disk, self._events)[-1]
        size = self._disk.stat(self._events / segment.name_of(last)).st_size
        durable = marks.read_durable(self._disk, self.path)
        if durable is not None and holder.is_held(self._disk, self.path):
            return End(*durable), False
        return End(last, size), True

    def _last_file(self) -> tuple[int, int]:
        """The last segment: its first seq, and the inode under its name."""
        last = segment.firsts(self._disk, self._events)[-1]
        return last, self._disk.stat(self._events / segment.name_of(last)).st_ino

    def _is_another(self, last: tuple[int, int]) -> bool:
        """Whether another file has its name now, or is about to: a redaction writes the last segment anew in any case."""
        redaction = self.path / redact.JOURNAL
        if self._disk.exists(redaction):
            wait_for(
                lambda: not (self._disk.exists(redaction) and holder.is_held(self._disk, self.path)),
                seconds=REDACTION_SECONDS,
            )
        try:
            return self._disk.stat(self._events / segment.name_of(last[0])).st_ino != last[1]
        except FileNotFoundError:  # trimmed
            return False

    def _judge(self) -> Judge:
        floor = known_floor(self._disk, self.path)
        return partial(judge, disk=self._disk, events=self._events, floor=floor, limits=self._limits)

    def _look(self) -> tuple[Damage, ...]:
        if self._disk.exists(self.path / redact.JOURNAL):
            return ()  # halfway it looks like damage
        end, is_tail = self._end()
        return fsck.damages(self._disk, self.path, self._limits, end=None if is_tail else end)

    def _crcs(self) -> CrcAt:
        stored, clean = self._history.crcs(lambda: self._end()[0]), marks.read_clean(self._disk, self.path)

        def crc_at(seq: int) -> str | None:
            found = stored(seq)
            return clean[1].decode() if found is None and clean is not None and clean[0] == seq else found

        return crc_at
