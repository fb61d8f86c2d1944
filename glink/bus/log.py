"""The one log and the order of effects: what is staged becomes durable here, or never was.

    stage     encode, chain, keep in memory
    commit    CLEAN away (once) → one write loop → fdatasync → `durable` → the caller's effects

Called by the bus, from the conductor's thread only. A write that fails is taken back and may be tried again; a sync
that fails is not, because the page cache would then say yes to what the disk never got.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

from glink.bus import marks, record, segment
from glink.bus.encode import Encoder
from glink.bus.fsio import Disk, write_at
from glink.bus.recovery import Recovered
from glink.clock import text_of
from glink.errors import BusError
from glink.event import Record
from glink.limits import Limits

_OWN_KEYS = frozenset(("seq", "b", "e", "time", "p", "crc"))


class Durable(NamedTuple):
    """How far the log is synced: the segment by its first seq, the offset in it, the last seq and its crc."""

    first: int
    offset: int
    seq: int
    crc: bytes


class Log:
    """One open segment; `durable` is replaced as a whole, so other threads may read it."""

    def __init__(
        self,
        disk: Disk,
        bus: Path,
        found: Recovered,
        *,
        now: Callable[[], float],
        encoder: Encoder,
        limits: Limits,
        sync: bool,
    ) -> None:
        self._disk = disk
        self._bus = bus
        self._now = now
        self._encoder = encoder
        self._batch_bytes = limits.batch_bytes
        self._sync = sync
        self._seed = found.header.id
        self._epoch = found.epoch
        self._second = (0, "")
        self._staged: list[bytes] = []
        self.staged_bytes = 0
        self.durable = Durable(found.header.first, found.end, found.seq, found.crc)
        self._seq, self._crc = found.seq, found.crc
        self._marked_clean = disk.exists(bus / "CLEAN")
        self._poison = ""
        self.unpublished = 0
        self._durable_fd = marks.open_durable(disk, bus)
        try:
            self._fd = disk.open(bus / "events" / segment.name_of(found.header.first), os.O_RDWR)
        except OSError:
            disk.close(self._durable_fd)
            raise
        self._publish()

    def stage(self, body: dict[str, Any]) -> Record:
        """Raises BusError, and has then staged nothing, for a record that cannot be written or finds the batch full."""
        if self._poison:
            raise self._poisoned()
        if not _OWN_KEYS.isdisjoint(body):
            raise BusError(f"an event must not bring {', '.join(sorted(_OWN_KEYS & body.keys()))}: the bus numbers it")
        seq = self._seq + 1
        fields = {"seq": seq, "b": self.durable.seq + 1, "e": self._epoch, "time": self._time(), **body}
        fields, text = self._encoder.encode(fields)
        if self.staged_bytes + len(text) + record.TAIL_BYTES > self._batch_bytes:
            raise BusError(f"a batch holds at most {self._batch_bytes} bytes; commit it before more is staged")

        line, self._crc = record.frame(text, self._crc, self._seed)
        self._staged.append(line)
        self.staged_bytes += len(line)
        self._seq = seq
        return cast("Record", fields)

    def commit(self) -> None:
        """Makes what is staged durable. Raises BusError, and what was staged is gone then."""
        if self._poison:
            raise self._poisoned()
        if not self._staged:
            return
        if self._marked_clean:
            self._leave_clean_stop()
        self._write(b"".join(self._staged))
        if self._sync:
            self._fdatasync()
        self.durable = Durable(self.durable.first, self.durable.offset + self.staged_bytes, self._seq, self._crc)
        self._staged.clear()
        self.staged_bytes = 0
        self._publish()

    def rollback(self) -> None:
        """Drops what is staged; the next record takes the seq after the last durable one."""
        self._staged.clear()
        self.staged_bytes = 0
        self._seq, self._crc = self.durable.seq, self.durable.crc

    def close(self, *, clean: bool) -> None:
        """With `clean`, CLEAN is written and synced last; never after a failed sync."""
        self.rollback()
        try:
            if clean and not self._poison and not self._marked_clean:
                if not self._sync:
                    self._fdatasync()
                marks.write_clean(self._disk, self._bus, self.durable.seq, self.durable.crc)
        finally:
            self._disk.close(self._fd)
            self._disk.close(self._durable_fd)

    def _leave_clean_stop(self) -> None:
        try:
            self._disk.unlink(self._bus / "CLEAN")
        except OSError as error:
            self.rollback()
            raise BusError(f"CLEAN cannot be removed: {error}", errno=error.errno) from error
        try:
            self._disk.fsync_dir(self._bus)
        except OSError as error:
            raise self._poisoned(error) from error
        self._marked_clean = False

    def _write(self, data: bytes) -> None:
        try:
            write_at(self._disk, self._fd, data, self.durable.offset)
        except OSError as error:
            self.rollback()
            self._take_back()
            raise BusError(f"the log cannot be written: {error}", errno=error.errno) from error

    def _take_back(self) -> None:
        try:
            self._disk.truncate(self._fd, self.durable.offset)
            self._disk.fsync(self._fd)
        except OSError as error:
            raise self._poisoned(error) from error

    def _fdatasync(self) -> None:
        try:
            self._disk.fdatasync(self._fd)
        except OSError as error:
            raise self._poisoned(error) from error

    def _poisoned(self, error: OSError | None = None) -> BusError:
        """From the first failed sync on, every call ends in this error; the outcome of the last batch is unknown."""
        if error is not None:
            self.rollback()
            self._poison = f"a sync failed, so what the disk holds is unknown; open the bus anew: {error}"
        return BusError(self._poison, errno=error.errno if error else None, poisoned=True)

    def _publish(self) -> None:
        """Tells readers in other processes. The batch is durable whether or not they hear of it, so a failure is counted."""
        try:
            marks.write_durable(self._disk, self._durable_fd, self.durable.first, self.durable.offset)
        except OSError:
            self.unpublished += 1

    def _time(self) -> str:
        """`text_of(now)`, formatting the date only when the second changes."""
        second, micros = divmod(round(self._now() * 1_000_000), 1_000_000)
        if second != self._second[0]:
            self._second = (second, text_of(second)[:20])
        return f"{self._second[1]}{micros:06d}Z"
