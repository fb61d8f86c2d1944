"""Real power cuts: a file system on a loop device is shut down under a daemon at work, by the kernel's own ioctl.

What is in flight is thrown away as when the plug is pulled: the journal may hold more than was synced, or less. Then the
image is mounted again, and all that was acknowledged has to be there.

    with Image("ext4", folder) as image:
        image.cut()      # one life of a daemon, one cut, one proof; raises AssertionError

Root is needed, for the loop device and the mount. The image's device is never that of the folder it lies in.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
from pathlib import Path
from random import Random
from typing import Self

from glink.bus.bus import Bus
from glink.clock import SystemClock, text_of, wait_for
from glink.digest import of_bytes
from glink.limits import Limits

_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32): EXT4_IOC_SHUTDOWN, XFS_IOC_GOINGDOWN
_FLUSH, _NO_FLUSH = 1, 2  # the journal goes to the disk first, or does not
_SIZES = {"ext4": 96 << 20, "xfs": 320 << 20}
LIMITS = Limits(segment_bytes=24 << 10, reserve_bytes=0)


def obstacle(kind: str) -> str:
    """Why it cannot be done here; "" when it can."""
    if os.geteuid() != 0:
        return "power cuts need root"
    for program in (f"mkfs.{kind}", "mount", "umount"):
        if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
            return f"power cuts on {kind} need {program}"
    if not os.path.exists("/dev/loop-control"):
        return "power cuts need loop devices"
    return ""


class Image:
    """A file system in a file, mounted below `folder`. `cuts` counts."""

    def __init__(self, kind: str, folder: Path, *, seed: int = 0) -> None:
        self._file, self._at = folder / f"{kind}.img", folder / kind
        self._random = Random(seed)
        self._kind = kind
        self.cuts = self.acknowledged = 0
        self._said: dict[int, str] = {}

    def __enter__(self) -> Self:
        with self._file.open("wb") as file:
            file.truncate(_SIZES[self._kind])
        quiet = ["-q", "-F"] if self._kind == "ext4" else ["-q", "-f"]
        _run(f"mkfs.{self._kind}", *quiet, str(self._file))
        self._at.mkdir(exist_ok=True)
        self._mount()
        return self

    def __exit__(self, *_: object) -> None:
        _run("umount", str(self._at))
        self._file.unlink()

    def cut(self) -> None:
        """A daemon appends, rolls, saves and trims until the power goes; then every acknowledged record is looked for."""
        said, ready = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(said)
            os._exit(_live(self._at / "bus", ready, self._random.randrange(1 << 30)))
        os.close(ready)
        heard = _Heard(said)
        wait_for(lambda: heard.lines() > self._random.randrange(3, 40), seconds=20, every=0.001)
        os.kill(pid, signal.SIGSTOP)
        os.waitpid(pid, os.WUNTRACED)
        heard.lines()
        self._shut_down()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        heard.lines()  # what it was told before the cut and wrote before it was stopped
        os.close(said)
        _run("umount", str(self._at))
        self._mount()
        self.cuts += 1
        self._prove(heard)

    def _shut_down(self) -> None:
        assert os.stat(self._at).st_dev != os.stat("/").st_dev, "the image is not a file system of its own"
        fd = os.open(self._at, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, self._random.choice((_FLUSH, _NO_FLUSH)).to_bytes(4, "little"))
        finally:
            os.close(fd)

    def _mount(self) -> None:
        _run("mount", "-o", "loop", str(self._file), str(self._at))

    def _prove(self, heard: _Heard) -> None:
        self._said |= heard.said
        self.acknowledged += len(heard.said)
        bus = Bus.open(self._at / "bus", clock=SystemClock(), limits=LIMITS)
        try:
            assert not bus.damages, bus.damages
            self._prove_bus(bus, heard)
        finally:
            bus.close(clean=self._random.random() < 0.3)

    def _prove_bus(self, bus: Bus, heard: _Heard) -> None:
        found = {record["seq"]: record["data"].get("label", "") for record in bus.replay(0)}
        assert list(found) == list(range(bus.first_seq, bus.durable_seq + 1)), "a gap"
        assert bus.durable_seq >= max(self._said, default=0), "acknowledged records are lost"
        for seq, label in self._said.items():
            assert found.get(seq, label) == label, f"record {seq} is another one"
            assert seq in found or seq < bus.first_seq, f"record {seq} is lost"
        for digest in heard.blobs:
            assert of_bytes(bus.blobs.get(digest)) == digest, f"body {digest} is another one"
        if heard.manifest >= bus.first_seq:
            assert bus.manifest_seq >= heard.manifest, f"manifest {heard.manifest} is lost"
        for one in bus.checkpoints():
            assert one.payload == b"%d" % one.seq
        self._said = {seq: label for seq, label in self._said.items() if seq >= bus.first_seq}


class _Heard:
    """What the daemon said before it was stopped."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self._fd, self._rest, self._count = fd, b"", 0
        self.said: dict[int, str] = {}
        self.blobs: list[str] = []
        self.manifest = 0

    def lines(self) -> int:
        """Read on; returns how many lines there were so far."""
        try:
            while piece := os.read(self._fd, 1 << 16):
                self._rest += piece
        except BlockingIOError:
            pass
        *whole, self._rest = self._rest.split(b"\n")
        for line in whole:
            self._count += 1
            kind, _, value = line.decode().partition(" ")
            if kind == "record":
                seq, _, label = value.partition(" ")
                self.said[int(seq)] = label
            elif kind == "blob":
                self.blobs.append(value)
            else:
                self.manifest = int(value)
        return self._count


def _live(path: Path, said: int, seed: int) -> int:
    """The daemon: says on the pipe what it was told is durable."""
    random = Random(seed)
    try:
        bus = Bus.open(path, clock=SystemClock(), limits=LIMITS)
        while True:
            blob = bus.blobs.put(random.randbytes(random.randrange(20_000)))
            staged = []
            for _ in range(random.choice((1, 1, 1, 4, 40))):
                label = random.randbytes(8).hex()
                data = {"label": label, "blob": blob, "pad": "x" * random.randrange(700)}
                staged.append((bus.stage({"type": "note.a", "project": "p", "data": data})["seq"], label))
            bus.commit()
            lines = [f"record {seq} {label}\n" for seq, label in staged]
            os.write(said, f"blob {blob}\n{''.join(lines)}".encode())
            _tend(bus, random, said)
    except BaseException:  # the file system is gone, or a bug: what was said decides
        return 1


def _tend(bus: Bus, random: Random, said: int) -> None:
    chance = random.random()
    if chance < 0.1:
        bus.write_checkpoint("p", bus.durable_seq, b"%d" % bus.durable_seq)
        bus.write_manifest(bus.durable_seq)
        os.write(said, b"manifest %d\n" % bus.manifest_seq)
    elif chance < 0.15 and (spans := bus.trimmable(text_of(4e9))):
        bus.stage({"type": "project.carried", "project": "p", "data": {"label": "", "state": {}}})
        bus.stage({"type": "log.trimmed", "data": {"through": spans[-1].last}})
        bus.commit()
        bus.trim(spans[-1].last)


def _run(*command: str) -> None:
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
    subprocess.run(command, check=True, env=environment, capture_output=True)
