"""What the machine can do at all, measured in the same run as Glink."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PROGRAM = ["/bin/echo", "done"]


def milliseconds(work: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e3


def _two_records(fd: int, number: int) -> None:
    for kind in ("start", "done"):
        event = {"seq": number, "kind": kind, "step": f"s{number}", "agent": "noop", "pad": "x" * 200}
        os.write(fd, json.dumps(event).encode() + b"\n")


def two_records_one_sync(folder: Path, count: int = 300) -> float:
    """F: milliseconds for two records of about 300 bytes written and one fdatasync."""
    path = folder / "floor"
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    began = time.perf_counter()
    for number in range(count):
        _two_records(fd, number)
        os.fdatasync(fd)
    took = time.perf_counter() - began
    os.close(fd)
    path.unlink()
    return took * 1e3 / count


def programs(folder: Path, *, at_once: int, count: int = 200) -> float:
    """Milliseconds for a program started and ended, two records and one fdatasync."""
    path, lock = folder / "floor", threading.Lock()
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def one(number: int) -> None:
        subprocess.run(PROGRAM, check=True, stdout=subprocess.DEVNULL)
        with lock:
            _two_records(fd, number)
            os.fdatasync(fd)

    began = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(one, range(count)))
    took = time.perf_counter() - began
    os.close(fd)
    path.unlink()
    return took * 1e3 / count


def python_start() -> float:
    """Milliseconds to start this environment's interpreter and end it."""
    return milliseconds(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True))


def yaml_events(text: str) -> float:
    """Milliseconds for libyaml's events of a text."""
    import yaml

    def drain() -> None:
        for _ in yaml.parse(text, Loader=yaml.CLoader):
            pass

    return milliseconds(drain)


def stats(root: Path) -> float:
    """Milliseconds to list every folder below `root` and stat every file in it."""

    def look(folder: str) -> None:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    look(entry.path)
                else:
                    entry.stat(follow_symlinks=False)

    return milliseconds(lambda: look(str(root)))


def watchdog_callbacks(folder: Path, saves: int) -> list[float]:
    """Milliseconds from before each `os.replace` to watchdog's callback."""
    from watchdog.events import FileSystemEvent, FileSystemEventHandler
    from watchdog.observers import Observer

    heard: list[float] = []

    class Ear(FileSystemEventHandler):
        def on_moved(self, event: FileSystemEvent) -> None:
            heard.append(time.perf_counter())

    folder.mkdir(parents=True)
    observer = Observer()
    observer.schedule(Ear(), str(folder), recursive=True)
    observer.start()
    took = []
    for number in range(saves):
        time.sleep(0.02)
        heard.clear()
        fresh = folder / ".p.tmp"
        fresh.write_text(str(number))
        began = time.perf_counter()
        fresh.replace(folder / "p.yaml")
        while not heard:
            time.sleep(0.0002)
        took.append((heard[0] - began) * 1e3)
    observer.stop()
    observer.join()
    return took
