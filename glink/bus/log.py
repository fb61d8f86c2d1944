"""The one log and the order of effects: what is staged becomes durable here, or never was.

    stage     encode, number, keep in memory
    commit    CLEAN away (once) → roll, where it is due → one write loop → fdatasync → `durable` → the caller's effects
    roll      seal → fdatasync → a new file with its header, fsync → rename → fsync of the folder

Called by the bus, from the conductor's thread only. A write that fails is taken back and may be tried again; a sync
that fails is not, because the page cache would then say yes to what the disk never got.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from glink.bus import index, marks, record, segment
from glink.bus.encode import Encoder
from glink.bus.fsio import Disk, write_at
from glink.bus.index import Index
from glink.bus.recovery import Recovered
from glink.bus.reserve import Reserve
from glink.clock import text_of
from glink.errors import BusError
from glink.event import Record
from glink.limits import Limits

_OWN_KEYS = frozenset(("seq", "b", "e", "time", "p", "crc"))
_DAY = slice(0, 10)  # of an RFC 3339 text


class Durable(NamedTuple):
    """How far the log is synced: the segment by its first seq, the offset in it, the last seq, the crc of the last line."""

    first: int
    offset: int
    seq: int
    crc: bytes


class Log:
    """One open segment. `durable` and `index` are replaced as a whole or grow at the end: other threads may read them."""

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
        reserve: Reserve,
    ) -> None:
        self._disk, self._bus, self._events = disk, bus, bus / "events"
        self._now, self._encoder, self._sync, self._reserve = now, encoder, sync, reserve
        self._batch_bytes, self._segment_bytes = limits.batch_bytes, limits.segment_bytes
        self._header, self._epoch = found.header, found.epoch
        self._second = (0, "")
        self._staged: list[tuple[str, bytes]] = []
        self.staged_bytes = 0
        self.durable = Durable(found.header.first, found.end, found.seq, found.crc)
        self._seq = found.seq
        self._marked_clean = disk.exists(bus / "CLEAN")
        self._sealed, self._last_crc = False, b""
        self._poison = ""
        self.unpublished = self.unindexed = 0
        self._durable_fd = marks.open_durable(disk, bus)
        try:
            self._fd = disk.open(self._path, os.O_RDWR)
            self.index = Index(found.header.first)
            self.index.scan(segment.lines(disk, self._fd, found.header.size, found.end))
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
        fields = {"seq": seq, "b": self.durable.seq + 1, "e": self._epoch, "time": self._time(), "type": body["type"]}
        project = body.get("project", "")
        if project:
            fields["project"] = project  # right behind the type, where the index looks for it
        fields.update(body)
        fields, text = self._encoder.encode(fields)
        staged_bytes = self.staged_bytes + len(text) + record.TAIL_BYTES
        if staged_bytes > self._batch_bytes:
            raise BusError(f"a batch holds at most {self._batch_bytes} bytes; commit it before more is staged")

        self._staged.append((project, text))
        self.staged_bytes = staged_bytes
        self._seq = seq
        return fields  # type: ignore[return-value]  # a Record by its keys; a cast would be called

    def commit(self) -> None:
        """Makes what is staged durable. Raises BusError, and what was staged is gone then."""
        if self._poison:
            raise self._poisoned()
        if not self._staged:
            return
        if self._marked_clean:
            self._leave_clean_stop()
        if self._roll_is_due():
            self._roll()
        lines, crc = self._framed()
        self._write(b"".join(lines), "the log cannot be written")
        if self._sync:
            self._fdatasync()
        self._advance(lines, crc)
        self._publish()

    def rollback(self) -> None:
        """Drops what is staged; the next record takes the seq after the last durable one."""
        self._staged.clear()
        self.staged_bytes = 0
        self._seq = self.durable.seq

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

    # The steps of a commit, in their order.

    def _leave_clean_stop(self) -> None:
        with self._retriable("CLEAN cannot be removed"):
            self._disk.unlink(self._bus / "CLEAN")
        with self._unrepeatable():
            self._disk.fsync_dir(self._bus)
        self._marked_clean = False

    def _roll_is_due(self) -> bool:
        if self._sealed:
            return True
        if self.durable.seq < self._header.first:
            return False
        full = self.durable.offset + self.staged_bytes > self._segment_bytes
        return full or self._second[1][_DAY] > self._header.time[_DAY]  # of what was staged last

    def _roll(self) -> None:
        """The next segment counts, and is appended to, once the one before it is sealed and its own name is synced."""
        if not self._sealed:
            self._seal()
        first = self.durable.seq + 1
        with self._retriable("the next segment cannot be made"):
            fd, header = segment.prepare(
                self._disk,
                self._events,
                first=first,
                epoch=self._epoch,
                time=self._time(),
                previous=(self._header.id, self._last_crc),
            )
            try:
                segment.rename_prepared(self._disk, self._events, first)
            except OSError:
                self._disk.close(fd)
                segment.discard_prepared(self._disk, self._events, first)
                raise
        self._disk.close(self._fd)
        self._fd, self._header, self._sealed = fd, header, False
        self.durable = Durable(first, header.size, self.durable.seq, header.crc)
        self.index = Index(first)
        with self._unrepeatable():
            self._disk.fsync_dir(self._events)

    def _seal(self) -> None:
        at, first = self.durable.offset, self._header.first
        with self._retriable("the segment cannot be read"):
            digest = segment.digest_of(self._disk, self._fd, at)
        line = segment.seal_line(
            count=self.durable.seq - first + 1,
            last=self.durable.seq,
            size=at,
            digest=digest,
            damaged=False,
            previous=self.durable.crc,
            seed=self._header.id,
        )
        self._write(line, "the segment cannot be sealed")
        self._fdatasync()
        self._sealed, self._last_crc = True, self.durable.crc
        try:
            if at < index.LARGEST:
                index.save(self._disk, self._path, self.index.encode(self._header.id, at + len(line)))
        except OSError:
            self.unindexed += 1

    def _framed(self) -> tuple[list[bytes], bytes]:
        crc, seed, lines = self.durable.crc, self._header.id, []
        for _, text in self._staged:
            line, crc = record.frame(text, crc, seed)
            lines.append(line)
        return lines, crc

    def _write(self, data: bytes, deed: str) -> None:
        try:
            write_at(self._disk, self._fd, data, self.durable.offset)
        except OSError as error:
            self.rollback()
            self._reserve.give_up(error)
            with self._unrepeatable():
                self._disk.truncate(self._fd, self.durable.offset)
                self._disk.fsync(self._fd)
            raise BusError(f"{deed}: {error}", errno=error.errno) from error

    def _fdatasync(self) -> None:
        try:
            self._disk.fdatasync(self._fd)
        except OSError as error:
            raise self._poisoned(error) from error

    def _advance(self, lines: list[bytes], crc: bytes) -> None:
        offset = self.durable.offset
        for (project, _), line in zip(self._staged, lines, strict=True):
            self.index.add(project, offset)
            offset += len(line)
        self.durable = Durable(self.durable.first, offset, self._seq, crc)
        self._staged.clear()
        self.staged_bytes = 0

    def _publish(self) -> None:
        """Tells readers in other processes. The batch is durable whether or not they hear of it, so a failure is counted."""
        try:
            marks.write_durable(self._disk, self._durable_fd, self.durable.first, self.durable.offset)
        except OSError:
            self.unpublished += 1

    # When the disk says no.

    @contextmanager
    def _retriable(self, deed: str) -> Iterator[None]:
        """What fails in here left nothing behind: the batch fails, and the next may succeed."""
        try:
            yield
        except OSError as error:
            self.rollback()
            self._reserve.give_up(error)
            raise BusError(f"{deed}: {error}", errno=error.errno) from error

    @contextmanager
    def _unrepeatable(self) -> Iterator[None]:
        """What fails in here leaves unknown what the disk holds."""
        try:
            yield
        except OSError as error:
            raise self._poisoned(error) from error

    def _poisoned(self, error: OSError | None = None) -> BusError:
        """From the first failed sync on, every call ends in this error; the outcome of the last batch is unknown."""
        if error is not None:
            self.rollback()
            self._poison = f"a sync failed, so what the disk holds is unknown; open the bus anew: {error}"
        return BusError(self._poison, errno=error.errno if error else None, poisoned=True)

    @property
    def _path(self) -> Path:
        return self._events / segment.name_of(self._header.first)

    def _time(self) -> str:
        """`text_of(now)` cut off at microseconds, formatting the date only when the second changes."""
        now = self._now()
        second, text = self._second
        micros = int((now - second) * 1_000_000)
        if not 0 <= micros < 1_000_000:
            second = int(now)
            text, micros = text_of(second)[:20], int((now - second) * 1_000_000)
            self._second = second, text
        return f"{text}{micros:06}Z"
