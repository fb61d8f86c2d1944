"""What the kernel tells of the projects folder: the only importer of watchdog.

Made and fed by `glink.watch.source`. Asks for closed writes, moves, creations and deletions alone; opening and
reading, which Glink does itself, is never heard. Nothing that happens here may be relied on: events are lost on
overflow and watches at the system's limits, and each loss is only a delay, since every look is at everything.
"""

from __future__ import annotations

import importlib
import logging
import os
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from glink.watch.settle import Kind
from glink.watch.snapshot import heeded

if TYPE_CHECKING:
    from watchdog.observers.inotify import InotifyObserver

# watchdog pairs the two halves of a rename, and a half that came alone holds up all that follows for so many
# seconds (its own value is 0.5). The halves are queued by one system call, microseconds apart.
_PAIRING = 0.01
_PAIRING_CLASSES = (
    ("watchdog.observers.inotify_move_event_grouper", "InotifyMoveEventGrouper"),
    ("watchdog.observers.inotify_buffer", "InotifyBuffer"),
)
_STOP_SECONDS = 5.0


class Observer:
    """Hears changes below one folder and says what and where: `heard(kind, path relative to the folder)`.

    `fault(text)` is called when events may have been lost. Both are called on watchdog's thread.
    """

    def __init__(self, root: str, *, heard: Callable[[Kind, str], None], fault: Callable[[str], None]) -> None:
        self._root = root
        self._heard = heard
        self._fault = fault
        self._observer: InotifyObserver | None = None
        self._complaints = _Complaints(fault)
        self._armed: tuple[int, int] | None = None

    def watches(self, folder: tuple[int, int] | None) -> bool:
        """Whether the folder with this (device, inode) is the one being heard, by threads that live."""
        if self._observer is None or folder is None or folder != self._armed:
            return False
        emitters = self._observer.emitters
        return self._observer.is_alive() and bool(emitters) and all(emitter.is_alive() for emitter in emitters)

    def arm(self) -> bool:
        """Hear the folder that has the name now; False when there is none or the system has no watch left."""
        self.disarm()
        try:
            found = os.stat(self._root)
            self._observer = self._start()
        except OSError:
            return False
        self._armed = (found.st_dev, found.st_ino)
        logging.getLogger("watchdog").addHandler(self._complaints)
        return True

    def disarm(self) -> None:
        """Hear nothing any more."""
        # First the ears for complaints: stopping makes watchdog complain, and no event is lost by it.
        logging.getLogger("watchdog").removeHandler(self._complaints)
        observer, self._observer, self._armed = self._observer, None, None
        if observer is None:
            return
        observer.stop()
        observer.join(_STOP_SECONDS)

    def _start(self) -> InotifyObserver:
        from watchdog import events
        from watchdog.observers.inotify import InotifyObserver

        _shorten_pairing()
        # A folder made within a folder just made may be registered twice. That is harmless, but its warning would
        # litter the terminal, and where warnings are errors it would end watchdog's reader without a word.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"watchdog\.")
        observer = InotifyObserver(generate_full_events=True)
        heeded_classes: list[type[events.FileSystemEvent]] = [
            events.FileClosedEvent,
            events.FileMovedEvent,
            events.DirMovedEvent,
            events.FileCreatedEvent,
            events.DirCreatedEvent,
            events.FileDeletedEvent,
            events.DirDeletedEvent,
        ]
        try:
            observer.schedule(self._handler(), self._root, recursive=True, event_filter=heeded_classes)
            observer.start()
        except OSError:
            observer.on_thread_stop()
            raise
        return observer

    def _handler(self) -> Any:
        from watchdog.events import FileSystemEvent, FileSystemEventHandler

        translate = self._translate

        class Handler(FileSystemEventHandler):
            def dispatch(self, event: FileSystemEvent) -> None:
                translate(event.event_type, os.fsdecode(event.src_path), os.fsdecode(event.dest_path))

        return Handler()

    def _translate(self, event_type: str, source: str, target: str) -> None:
        """One event of watchdog as ours. Whatever goes wrong stays here: an exception would end watchdog's thread."""
        try:
            if event_type == "closed":
                self._say(Kind.CLOSED, source)
                return
            if source:
                self._say(Kind.CHANGED, source)
            if target:
                self._say(Kind.REPLACED, target)
        except Exception as error:  # whatever the receiver raises must not make us deaf
            self._fault(f"an event was lost: {error!r}")

    def _say(self, kind: Kind, path: str) -> None:
        inner = path[len(self._root) :].strip("/")
        if heeded(inner):
            self._heard(kind, inner)


class _Complaints(logging.Handler):
    """watchdog tells of an overflow of the kernel's queue by its log alone."""

    def __init__(self, fault: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._fault = fault

    def emit(self, record: logging.LogRecord) -> None:
        self._fault(record.getMessage())


def _shorten_pairing() -> None:
    for module, name in _PAIRING_CLASSES:
        try:
            grouper: Any = getattr(importlib.import_module(module), name)
        except ImportError:
            continue
        grouper.delay = _PAIRING
