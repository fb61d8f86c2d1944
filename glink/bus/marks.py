"""The few small files at the top of the bus directory, each with one fact. Called by the bus, its log and its readers.

FORMAT    {"glink":"bus","format":1}
epoch     how often the bus was opened for writing, decimal
CLEAN     {"seq":…,"crc":"…"} of the last record, there only while the last stop was a clean one
durable   <segment's first seq, 20 digits> <offset, 20 digits> <crc32 of that, 8 hex digits>: how far readers may
          read; one write in place after each sync, not synced itself, so it is never ahead of the log
secret    32 random bytes
repair    {"lost":[[4711,4712]]} while a repair is under way: losses that were accepted and are still to be told
"""

from __future__ import annotations

import os
from pathlib import Path
from zlib import crc32

from glink.bus.fsio import Disk, read_file, replace_file, write_at
from glink.bus.segment import FORMAT
from glink.errors import BusCorrupt, BusFormat
from glink.jsontext import JSONError, dumps, loads

_SECRET_BYTES = 32


def check_format(disk: Disk, bus: Path) -> bool:
    """Whether the FORMAT file is there; raises BusFormat when it names another format than this version's."""
    data = read_file(disk, bus / "FORMAT")
    if data is None:
        return False
    try:
        found = loads(data)
    except JSONError:
        found = None
    version = found.get("format") if isinstance(found, dict) else None
    if version != FORMAT:
        raise BusFormat(
            f"{bus / 'FORMAT'}: format {version}, and this version of Glink knows {FORMAT}; use the version that wrote it"
        )
    return True


def write_format(disk: Disk, bus: Path) -> None:
    replace_file(disk, bus / "FORMAT", dumps({"glink": "bus", "format": FORMAT}) + b"\n")


def read_epoch(disk: Disk, bus: Path) -> int:
    """0 when there is none that can be read: records and headers carry the epoch as well."""
    data = read_file(disk, bus / "epoch") or b""
    return int(data) if data.strip().isdigit() else 0


def write_epoch(disk: Disk, bus: Path, epoch: int) -> None:
    replace_file(disk, bus / "epoch", b"%d\n" % epoch)


def read_clean(disk: Disk, bus: Path) -> tuple[int, bytes] | None:
    """(seq, crc) of the last record at a clean stop; None without a readable mark."""
    data = read_file(disk, bus / "CLEAN")
    try:
        found = loads(data) if data else None
    except JSONError:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("seq"), int):
        return None
    return found["seq"], str(found.get("crc")).encode()


def write_clean(disk: Disk, bus: Path, seq: int, crc: bytes) -> None:
    replace_file(disk, bus / "CLEAN", dumps({"seq": seq, "crc": crc.decode()}) + b"\n")


def remove_clean(disk: Disk, bus: Path) -> None:
    disk.unlink(bus / "CLEAN")
    disk.fsync_dir(bus)


def open_durable(disk: Disk, bus: Path) -> int:
    return disk.open(bus / "durable", os.O_WRONLY | os.O_CREAT)


def write_durable(disk: Disk, fd: int, first: int, offset: int) -> None:
    text = b"%020d %020d" % (first, offset)
    write_at(disk, fd, b"%b %08x\n" % (text, crc32(text)), 0)


def read_durable(disk: Disk, bus: Path) -> tuple[int, int] | None:
    """(segment's first seq, offset); None when it is missing or was read while it was being written."""
    data = read_file(disk, bus / "durable") or b""
    text, _, crc = data.rstrip(b"\n").rpartition(b" ")
    if crc != b"%08x" % crc32(text) or len(text) != 41:
        return None
    return int(text[:20]), int(text[21:])


def read_repair(disk: Disk, bus: Path) -> list[tuple[int, int]] | None:
    """The losses (from, to) that a repair under way has accepted; None when there is none. Raises BusCorrupt."""
    data = read_file(disk, bus / "repair")
    try:
        return None if data is None else [(int(first), int(last)) for first, last in loads(data)["lost"]]
    except (JSONError, TypeError, KeyError, ValueError):
        raise BusCorrupt(f"{bus / 'repair'}: damaged; remove it and repair anew") from None


def write_repair(disk: Disk, bus: Path, lost: list[tuple[int, int]]) -> None:
    replace_file(disk, bus / "repair", dumps({"lost": lost}) + b"\n")


def remove_repair(disk: Disk, bus: Path) -> None:
    disk.unlink(bus / "repair")
    disk.fsync_dir(bus)


def refuse_half_repaired(disk: Disk, bus: Path) -> None:
    """Raises BusCorrupt: what was accepted as lost is not told yet, and more may be damaged."""
    if disk.exists(bus / "repair"):
        raise BusCorrupt(f"the repair of {bus} did not come to its end; finish it with `glink repair`")


def read_secret(disk: Disk, bus: Path) -> bytes:
    """The secret of this bus, made at the first call."""
    path = bus / "secret"
    found = read_file(disk, path)
    if found is None:
        found = disk.entropy(_SECRET_BYTES)
        replace_file(disk, path, found)
    if len(found) != _SECRET_BYTES:
        raise BusCorrupt(
            f"{path}: {_SECRET_BYTES} bytes are due, {len(found)} are there; remove it to get a new secret"
        )
    return found
