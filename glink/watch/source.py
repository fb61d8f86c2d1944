"""The one face of watching: whole observations of the desired state, each at one revision.

Made by the composition root; the conductor is reached through `deliver` alone. `scan` serves verbs that look
once. The thread sleeps until something is heard, something unfinished is due, or the regular rescan; with each of its
looks it calls `at_look`, for what is to be looked after as often and is worth no wake-up of its own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from types import MappingProxyType

from glink.clock import Clock
from glink.errors import UsageError
from glink.limits import Limits
from glink.project import Loaded
from glink.watch.catalogue import Catalogue, Find, Load
from glink.watch.git import Git, Head
from glink.watch.observer import Observer
from glink.watch.settle import Kind, Look, Settler
from glink.watch.snapshot import EMPTY, Snapshot, take_snapshot

_STOP_SECONDS = 10.0
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Observation:
    """The desired state at one revision.

    `projects` are all. `changed` names those that differ from the last delivery, new ones included; the others come
    without their bodies, which whoever took that delivery has stored. `gone` names those that are gone for good.
    """

    revision: str
    projects: Mapping[str, Loaded]
    changed: frozenset[str]
    gone: frozenset[str]


class Source:
    """Watches one projects folder. Never writes there, nor into the repository around it.

    `mode` is how changes are found now: "inotify" or "rescan". `missed` counts how often events may have been
    lost; `trouble` says why the last look failed, "" when it did not.
    """

    def __init__(
        self,
        root: Path,
        *,
        limits: Limits,
        load: Load,
        find: Find,
        deliver: Callable[[Observation], None],
        clock: Clock,
        watch: bool = True,
        at_look: Callable[[], None] = lambda: None,
    ) -> None:
        self.mode = "rescan"
        self.missed = 0
        self.trouble = ""
        self._root = root
        self._limits = limits
        self._deliver = deliver
        self._clock = clock
        self._watch = watch
        self._at_look = at_look
        self._git = Git(root, limits)
        self._catalogue = Catalogue(root, limits=limits, load=load, find=find)
        self._settler = Settler(limits, clock.now())
        self._observer = Observer(os.path.abspath(root), heard=self._hear, fault=self._fault)
        self._snapshot = EMPTY
        self._revised: tuple[Snapshot, Head | None, str] | None = None
        self._revision = ""
        self._changed: set[str] = set()
        self._gone: set[str] = set()
        self._heard: SimpleQueue[tuple[Kind, str] | None] = SimpleQueue()
        self._asked = self._unfinished = False
        self._awaited: list[threading.Event] = []
        self._stopping = False
        self._looking = threading.Lock()
        self._thread: threading.Thread | None = None

    def expect(self, names: Iterable[str]) -> None:
        """Projects known from before the start, to be called before `start`: one that stays missing is `gone`."""
        self._catalogue.expect(names, self._clock.now())

    def scan(self) -> Observation:
        """One whole look, at once; what is there counts as complete. Raises UsageError when it cannot be read."""
        with self._looking:
            try:
                revision = self._observe(Look(asked=True), trusting=True)
            except OSError as error:
                raise UsageError(f"{self._root}: cannot be read: {error.strerror}") from error
            observation = self._observation(revision)
            self._delivered(observation)
            return observation

    def start(self) -> None:
        """Start the thread; its first look is delivered whatever it finds."""
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._asked = True
        self._thread.start()

    def stop(self) -> None:
        """End the thread; nothing is delivered after this returns."""
        self._stopping = True
        self._heard.put(None)
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)

    def look(self, seconds: float = 0.0) -> bool:
        """Look soon, and deliver what is found also when nothing has changed.

        Waits up to `seconds` until all that stands there at this moment was read and delivered; whether it was.
        """
        served = threading.Event()
        self._awaited.append(served)
        self._asked = True
        self._heard.put(None)
        return self._thread is not None and served.wait(seconds)

    # -- on watchdog's thread

    def _hear(self, kind: Kind, path: str) -> None:
        if self._heard.qsize() < self._limits.inbox:
            self._heard.put((kind, path))
        else:
            self.missed += 1

    def _fault(self, text: str) -> None:
        self.missed += 1
        self._heard.put((Kind.CHANGED, ""))

    # -- on the watch thread

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._turn()
        finally:
            self._observer.disarm()

    def _turn(self) -> None:
        """Wait for the next look and take it, or take in what was heard."""
        if self._asked:
            self._asked = False
            self._settler.ask()
        now = self._clock.now()
        due = self._settler.due(now, lock=self._git.lock())
        if due > now:
            self._listen(due - now)
            return
        look = self._settler.take(now)
        awaited = len(self._awaited)
        try:
            self._at_look()
            with self._looking:
                self._look(look)
            self.trouble = ""
            if not self._unfinished:
                self._serve(awaited)
        except Exception as error:  # a look that fails is repeated; the thread must outlive every one of them
            self.trouble = f"{type(error).__name__}: {error}"
            self._settler.again(self._clock.now() + self._limits.absent)

    def _serve(self, count: int) -> None:
        """Whoever waited before this look began has what stood there then."""
        for served in self._awaited[:count]:
            served.set()
        del self._awaited[:count]

    def _listen(self, seconds: float) -> None:
        try:
            item = self._heard.get(timeout=seconds)
            now = self._clock.now()
            while True:
                if item is not None:
                    self._settler.heard(*item, now)
                item = self._heard.get_nowait()
        except Empty:
            return

    def _look(self, look: Look) -> None:
        if self._watch:
            self._keep_armed()
        revision = self._observe(look, trusting=False)
        news = bool(self._changed or self._gone)
        # A revision that only passes by, such as an editor's temporary file, is not worth an event.
        if news or look.asked or (look.quiet and revision != self._revision):
            observation = self._observation(revision)
            if not self._stopping:
                self._deliver(observation)
                self._delivered(observation)
        elif revision != self._revision:
            self._settler.again(self._clock.now() + self._limits.quiet)

    def _keep_armed(self) -> None:
        """Hear the folder that bears the name now, before it is looked at: what comes after the look is heard."""
        try:
            found = os.stat(self._root)
            folder: tuple[int, int] | None = (found.st_dev, found.st_ino)
        except OSError:
            folder = None
        if self._observer.watches(folder):
            return
        if self.mode == "inotify":
            self.missed += 1
        self.mode = "inotify" if folder is not None and self._observer.arm() else "rescan"

    def _observe(self, look: Look, *, trusting: bool) -> str:
        """Take a snapshot at one revision and bring the catalogue up to it."""
        heard = look.heard
        for _ in range(_TRIES):
            head = self._git.head()
            now = self._clock.now()
            snapshot = take_snapshot(os.fspath(self._root), self._snapshot, heard=heard, now=now, limits=self._limits)
            if self._git.head() == head:
                break
        difference = self._catalogue.take(snapshot, look, now, trusting=trusting)
        self._snapshot = snapshot
        self._changed |= difference.changed
        self._gone |= difference.gone
        self._unfinished = difference.again is not None
        if difference.again is not None:
            self._settler.again(difference.again)
        if difference.unheard and self.mode == "inotify":
            # Part of the tree is not being heard: the next look arms everything anew.
            self._observer.disarm()
            self._settler.again(now + self._limits.quiet)
        return self._revision_of(snapshot, head, look)

    def _revision_of(self, snapshot: Snapshot, head: Head | None, look: Look) -> str:
        known = self._revised
        if known is None or known[0] is not snapshot or known[1] != head or look.rescan:
            known = self._revised = (snapshot, head, self._git.revision(head, snapshot.files))
        return known[2]

    def _observation(self, revision: str) -> Observation:
        projects = MappingProxyType(dict(self._catalogue.loaded))
        return Observation(revision, projects, frozenset(self._changed), frozenset(self._gone))

    def _delivered(self, observation: Observation) -> None:
        self._revision = observation.revision
        self._catalogue.let_go(observation.changed)
        self._changed.clear()
        self._gone.clear()
