"""The one face of the bus: what happened, in order, and nothing that was acknowledged is ever lost.

One `Bus` in one daemon owns the directory. The conductor's thread stages events, folds what it gets back, and commits:
what a commit returned from is durable and may have effects. Blobs, checkpoints and `read` serve any thread. Nothing
outside this package knows that the bus is files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from glink.bus import collecting, fsck, holder, marks, retention, segment
from glink.bus.blobs import Blobs
from glink.bus.checkpoints import Checkpoint, Checkpoints, CrcAt
from glink.bus.damage import end_of, in_words
from glink.bus.damaged import open_around
from glink.bus.encode import Encoder
from glink.bus.fsio import Disk, disk_errors, make_folder, replace_file
from glink.bus.history import End, History
from glink.bus.known import Known
from glink.bus.log import Log
from glink.bus.mask import Mask
from glink.bus.recovery import Recovered, recover
from glink.bus.reserve import Reserve
from glink.bus.retention import Span
from glink.clock import Clock, text_of
from glink.errors import BusCorrupt, BusError
from glink.event import Record
from glink.limits import Limits

NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "gfs2", "ocfs2"}
    | {f"fuse.{name}" for name in ("sshfs", "glusterfs", "s3fs", "rclone", "davfs2", "gcsfuse", "juicefs", "ceph")}
)


class Bus(Known):
    """An open bus. `epoch` counts the openings; `clean` says whether the stop before this opening was a clean one.

    `secret` is 32 random bytes that belong to this bus.
    """

    def __init__(
        self,
        disk: Disk,
        path: Path,
        *,
        lock: int,
        found: Recovered,
        log: Log,
        reserve: Reserve,
        mask: Mask,
        secret: bytes,
        limits: Limits,
    ) -> None:
        """For `open` alone."""
        self.path = path
        self.epoch = found.epoch
        self.clean = found.clean
        self.secret = secret
        self.blobs = Blobs(disk, path / "blobs" / "sha256", mask)
        self.reserve = reserve
        self._disk, self._events = disk, path / "events"
        self._lock: int | None = lock
        self._sign, self._unannounced = holder.Sign(disk, path), 0
        self._inode = disk.fstat(lock).st_ino
        self._log = log
        self._history = History(
            disk,
            path / "events",
            limits,
            open_index=lambda: log.index,
            look=lambda: fsck.damages(disk, path, limits, end=self._end()),
        )
        self._checkpoints = Checkpoints(disk, path / "checkpoints", self._crcs)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        clock: Clock,
        limits: Limits,
        secrets: Sequence[str] = (),
        disk: Disk | None = None,
        sync: bool = True,
        network: bool = False,
        repairs: bool = False,
    ) -> Bus:
        """Takes the directory, made where it is missing, and recovers it; appends nothing.

        Raises BusHeld (another daemon has it), BusFormat (written by a newer version) and BusError (the disk does not do
        what is asked). Where acknowledged records are lost it opens around them: see `damages`. `secrets` are masked in
        all that is stored.
        A network file system is refused unless `network`: its locks and syncs may not do what they say.
        `sync=False` leaves out the sync of a commit: for measuring only, a power cut then loses what was acknowledged.
        `repairs` is for `repair`, which has still to tell of what it gave up: nobody else opens a bus in that state.
        """
        disk = disk or Disk()
        path = path.absolute()
        with disk_errors(f"the bus {path} cannot be opened"):
            make_folder(disk, path)
            if not network and (kind := disk.file_system(path)) in NETWORK:
                raise BusError(
                    f"{path} lies on a network file system ({kind}), where locks and syncs may not do what they say; "
                    "put `bus: {dir: …}` on a local disk, or say `bus: {network: true}`"
                )
            lock = holder.take(disk, path)
            try:
                if not repairs:
                    marks.refuse_half_repaired(disk, path)
                now, corrupt = text_of(clock.now()), False
                try:
                    found = recover(disk, path, time=now, limits=limits)
                except BusCorrupt as error:
                    if repairs:
                        raise
                    found, corrupt = open_around(disk, path, error, time=now, limits=limits), True
                if not disk.exists(path / ".gitignore"):
                    replace_file(disk, path / ".gitignore", b"*\n")
                secret, mask = marks.read_secret(disk, path), Mask(secrets)
                encoder = Encoder(limits, mask)
                reserve = Reserve(disk, path, limits.reserve_bytes)
                log = Log(disk, path, found, now=clock.now, encoder=encoder, limits=limits, sync=sync, reserve=reserve)
                bus = cls(
                    disk,
                    path,
                    lock=lock,
                    found=found,
                    log=log,
                    reserve=reserve,
                    mask=mask,
                    secret=secret,
                    limits=limits,
                )
                if corrupt:
                    bus.find_damage()
                return bus
            except BaseException:
                disk.close(lock)
                raise

    def announce(self, *, url: str = "") -> None:
        """Names this process in LOCK, for whoever finds the bus held; costs one stat while LOCK is as it was written.

        Any thread. LOCK decides nothing, so a disk that does not take it is counted in `unpublished`, and the next call
        tries again.
        """
        if self._lock is None:
            return
        try:
            self._sign.show(holder.Holder(os.getpid(), url))
        except OSError:
            self._unannounced += 1

    # -- the log: the conductor's thread only ------------------------------------------------------------------

    @property
    def durable_seq(self) -> int:
        return self._log.durable.seq

    @property
    def staged_bytes(self) -> int:
        return self._log.staged_bytes

    @property
    def unpublished(self) -> int:
        """How often other processes were not told, because `durable` or LOCK could not be written."""
        return self._log.unpublished + self._unannounced

    def stage(self, body: dict[str, Any]) -> Record:
        """Puts an event into the batch and returns it as it will stand on the bus, to be folded.

        `body` has the keys of a Record after `time`, in their order. Raises BusError, and nothing is staged then, for
        an event that is too long, too deep or no JSON, and when the batch is full.
        """
        return self._log.stage(body)

    def commit(self) -> None:
        """Makes the batch durable; effects come after.

        Raises BusError, and the batch is gone then: with `errno` when the disk did not take it (its seqs are given out
        again, the bus goes on), with `poisoned` when a sync failed (whether it is durable is unknown, and every further
        call raises). A directory that was removed, or replaced by another, poisons the bus as well.
        """
        self._must_be_there()
        self._log.commit()

    def _must_be_there(self) -> None:
        """What is written into a directory that has lost its name is lost to everybody."""
        there: int | None = None
        try:
            there = self._disk.stat(self.path).st_ino
        except FileNotFoundError:
            pass
        except OSError as error:
            raise BusError(f"the bus {self.path} cannot be seen: {error}", errno=error.errno) from error
        if there != self._inode:
            raise BusError(f"{self.path} was removed or replaced while it was in use", poisoned=True)

    def rollback(self) -> None:
        """Drops the batch; its seqs are given out again."""
        self._log.rollback()

    def close(self, *, clean: bool = True) -> None:
        """Gives the directory back; what is staged is dropped. `clean` marks the stop, as the last thing, on the disk."""
        if self._lock is None:
            return
        lock, self._lock = self._lock, None
        try:
            with disk_errors("the bus cannot be closed cleanly"):
                self._log.close(clean=clean)
        finally:
            self._sign.take_down()
            self._disk.close(lock)

    # -- what happened ------------------------------------------------------------------------------------------

    def replay(self, after: int, *, project: str | None = None) -> Iterator[Record]:
        """The records with a seq above `after` that are durable now, in order; those of one project by the index.

        Any thread. Where `after` is below `first_seq`, it begins at `first_seq`. Raises BusTrimmed when a reader was so
        slow that retention took away what it was still to read, and BusCorrupt where what comes next is lost: behind
        that it can be read on.
        """
        with disk_errors("the log cannot be read"):
            end = self._end()
            try:
                for found in self._history.replay(after, end, project=project):
                    after = found["seq"]
                    yield found
            except BusCorrupt:
                if not self._history.find_damage():
                    raise
                yield from self._history.replay(after, end, project=project)

    def newest(self, records: int) -> Iterator[Record]:
        """About so many of the last records, as `replay`; none from before what is damaged."""
        yield from self.replay(max(0, self.durable_seq - records, end_of(self.damages)))

    def by_project(self, after: int) -> Iterator[tuple[str, list[Record]]]:
        """The same, some records of one project at a time ("" for none): in order within each project. Any thread."""
        with disk_errors("the log cannot be read"):
            yield from self._history.by_project(after, self._end())

    def read(self, seq: int) -> Record | None:
        """One durable record; raises BusCorrupt where it is lost."""
        if not 0 < seq <= self.durable_seq:
            return None
        with disk_errors("the log cannot be read"):
            end = self._end()
            try:
                return self._history.read(seq, end)
            except BusCorrupt:
                if not self._history.find_damage():
                    raise
                return self._history.read(seq, end)

    # -- what is past its time: the conductor's thread, but for `unnamed` --------------------------------------------

    def trimmable(self, before: str) -> list[Span]:
        """The oldest sealed segments that ended before that time, as many as one pass may take away."""
        with disk_errors("the segments cannot be listed"):
            return retention.to_trim(retention.sealed(self._disk, self._events), before)

    def projects_in(self, span: Span) -> list[str]:
        """Which projects have records in a sealed segment; "" stands for the engine's own."""
        with disk_errors("the log cannot be read"):
            return self._history.projects(span.first)

    def is_read(self, span: Span) -> bool:
        """Whether a reader is at work in the segment now."""
        with disk_errors("the log cannot be read"):
            return retention.is_read(self._disk, self._events, span.first)

    def trim(self, through: int) -> None:
        """Takes away the segments up to the one that ends with `through`; the `log.trimmed` that says so is durable."""
        with disk_errors("the log cannot be trimmed"):
            if not 0 < through < segment.firsts(self._disk, self._events)[-1]:
                raise BusError(f"the log cannot be trimmed up to {through}, which no sealed segment ends with")
            retention.trim(self._disk, self._events, through)

    def unnamed(self) -> set[str]:
        """The blobs that nothing on the bus names; see `Blobs.watch`. Any thread, and it takes its time."""
        if self.damages:
            raise BusCorrupt(
                f"what a damaged bus names is not known, so nothing is taken away; {in_words(self.damages)}"
            )
        with disk_errors("what the bus names cannot be found out"):
            return collecting.unnamed(self._disk, self._events, self.blobs)

    # -- checkpoints: any thread --------------------------------------------------------------------------------

    def checkpoint(self, name: str) -> tuple[Checkpoint | None, int]:
        """One of them, and the seq after which its records are to be folded on: all of them where there is none."""
        with disk_errors("the checkpoints cannot be read"):
            return self._checkpoints.latest(name)

    @property
    def bad_checkpoints(self) -> int:
        """How many checkpoints were found damaged or of another log when they were last read."""
        return self._checkpoints.bad

    def write_checkpoint(self, name: str, seq: int, payload: bytes) -> None:
        """The state of `name` (a project, or `.world`) after the durable record `seq`."""
        self._must_be_durable(seq)
        with disk_errors(f"the checkpoint of {name} cannot be written"):
            self._checkpoints.write(name, seq, payload)

    def write_manifest(self, seq: int) -> None:
        """Says that each checkpoint holds all that concerns it up to `seq`."""
        self._must_be_durable(seq)
        with disk_errors("the manifest cannot be written"):
            self._checkpoints.write_manifest(seq)

    def write_rest(self, seq: int, payload: bytes) -> None:
        """What is known after the durable record `seq` of projects at rest; see `glink.reconciler.rest`."""
        self._must_be_durable(seq)
        with disk_errors("what is known of projects at rest cannot be written"):
            self._checkpoints.write_rest(seq, payload)

    def _must_be_durable(self, seq: int) -> None:
        if not 0 <= seq <= self.durable_seq:
            raise BusError(
                f"a checkpoint at {seq} would be ahead of the log, which is durable up to {self.durable_seq}"
            )

    def _crcs(self) -> CrcAt:
        stored = self._history.crcs(self._end)

        def crc_at(seq: int) -> str | None:
            durable = self._log.durable
            if seq == durable.seq and seq >= durable.first:
                return durable.crc.decode()
            return stored(seq) if 0 < seq <= durable.seq else None

        return crc_at

    def _end(self) -> End:
        durable = self._log.durable
        return End(durable.first, durable.offset)
