"""What the pool tells the engine: each start, and each end once. And the logs that belong to them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from gnomon.core.attempts import Adoption, AttemptSpec, Ended, Handle, Outcome, Sink, Started
from gnomon.core.ports import Clock
from gnomon.core.values import Json
from gnomon.executors import processes
from gnomon.executors.attempt import Key, log_limit
from gnomon.executors.capping import CappedLog
from gnomon.executors.ending import unknown
from gnomon.executors.logwatch import LogWatch
from gnomon.executors.loop import Loop
from gnomon.system.plainfiles import remove, size_of

from .places import Places, show
from .settling import died, ended, instant, never
from .worker import Errand

_LOG = logging.getLogger(__name__)


class Reports:
    """For the loop's thread only."""

    def __init__(self, loop: Loop, clock: Clock, sink: Sink, node_id: str) -> None:
        self._sink, self._clock, self._node = sink, clock, node_id
        self._logs = LogWatch(loop, clock)
        self.boot, self.namespace = processes.boot_id(), processes.namespace()
        self.ended: set[Key] = set()

    def started(self, errand: Errand, prefix: str, pid: int, start: int) -> None:
        """It runs, there."""
        process: dict[str, Json] = {
            "pid": pid,
            "start": start,
            "boot": self.boot,
            "namespace": self.namespace,
            "path": prefix,
        }
        spec = errand.spec
        handle = Handle(self._node, process)
        self._sink(Started(spec.run_id, spec.number, spec.token, instant(errand.began), handle))

    def watch(self, errand: Errand, prefix: str) -> None:
        """Make what it prints readable while it runs, and keep it within its limit."""
        if errand.log is None and show(prefix, errand.base):
            errand.log = CappedLog(errand.base + ".log", log_limit(errand.spec))
            self._logs.add(errand.log)

    def over(self, errand: Errand) -> None:
        """It has ended by itself, or because it was stopped."""
        assert errand.over is not None
        over = errand.over
        self._emit(errand, lambda: ended(errand.spec, over, errand.intent, self._kept(errand, over.log)))

    def died(
        self, errand: Errand, prefix: str, code: int | None, *, ours: bool, survivors: str = "", lost: str = ""
    ) -> None:
        """Its worker has died, and nothing of it is left but for `survivors`. `lost`: see `settling.died`."""

        def make() -> Ended:
            self.watch(errand, prefix)
            kept = self._kept(errand, size_of(errand.base + ".log"))
            more = {"survivors": survivors, "lost": lost}
            now = self._clock.now()
            return died(errand.spec, errand.began, now, errand.intent, code, ours=ours, log_bytes=kept, **more)

        self._emit(errand, make)

    def never(self, errand: Errand, outcome: Outcome, code: str, message: str) -> None:
        """It has not begun and will not."""
        self.emit(never(errand.spec, self._clock.now(), outcome, code, message))

    def not_begun(self, errand: Errand, orphan: Adoption, places: Places) -> None:
        """No journal tells of it. They are not synced to disk at every call: a restart of the machine may have taken an
        `S` with it.
        """
        known = orphan.handle is not None and orphan.handle.process.get("boot") not in ("", None, self.boot)
        if known or places.restarted(orphan.owner):
            self.vanished(errand)
        else:
            self.never(errand, Outcome.LOST, "lost", "its scheduler died before it began")

    def vanished(self, errand: Errand) -> None:
        """Nothing is known of it: the machine was restarted."""
        self._lost(errand, "the machine was restarted; it may have begun")

    def untold(self, errand: Errand) -> None:
        """It began, and what its worker has written down of it is gone."""
        self._lost(errand, "it had begun, and the files of its worker are gone: nobody knows how it ended")

    def _lost(self, errand: Errand, text: str) -> None:
        self.emit(replace(never(errand.spec, self._clock.now(), Outcome.LOST, "lost", text), never_started=False))

    def _emit(self, errand: Errand, make: Callable[[], Ended]) -> None:
        """Whatever its worker wrote down of it, it is over."""
        try:
            event = make()
        except Exception as error:
            _LOG.exception("the end of run %s can not be understood", errand.spec.run_id)
            event = unknown(errand.spec, self._clock.now(), error)
        self.emit(event)

    def unknown(self, spec: AttemptSpec, error: Exception) -> None:
        """Nobody will ever know how it ended: what was done for it raised."""
        self.emit(unknown(spec, self._clock.now(), error))

    def emit(self, event: Ended) -> None:
        """One `Ended` per attempt until it is forgotten."""
        key = (event.run_id, event.number)
        if key not in self.ended:
            self.ended.add(key)
            self._sink(event)

    def _kept(self, errand: Errand, size: int) -> int:
        log, limit = errand.log, log_limit(errand.spec)
        if log is not None:
            self._logs.remove(log)
            errand.log = None
            if size == 0:  # what we took for its output was the next attempt's
                remove(errand.base + ".log")
        if size <= limit:
            return size
        return self._logs.finish(log or CappedLog(errand.base + ".log", limit))
