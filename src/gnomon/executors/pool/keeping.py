"""Keeping house: leaving nothing behind when the pool closes, and clearing away what dead nodes left long ago."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
from collections.abc import Sequence

from gnomon.core.ports import Clock
from gnomon.executors.loop import Loop
from gnomon.system.plainfiles import remove

from .places import Places, identity, names, remove_worker
from .reports import Reports
from .worker import Worker

_FIRST_S = 600.0
_EVERY_S = 3600.0
_OLD_S = 86_400.0
_LEAVE_MS = 1000

_LEFT: list[subprocess.Popen[bytes]] = []
"""Workers that were still busy when their pool closed; waited for when the next one opens."""


class Keeper:
    """Clears away, ten minutes after the start and every hour, what is a day old and of no living worker.

    A day, because a journal must not go before a successor has had the chance to read it, nor a fence before a
    scheduler that was stopped in the middle has found out.
    """

    def __init__(self, loop: Loop, clock: Clock, places: Places, reports: Reports) -> None:
        self._loop, self._clock, self._places, self._reports = loop, clock, places, reports
        self.given = 0

    def count(self) -> None:
        """One more attempt was given to the pool."""
        self.given += 1

    def begin(self) -> None:
        """Call once, when the loop runs."""
        _LEFT[:] = [process for process in _LEFT if process.poll() is None]
        self._loop.after(_FIRST_S, self.sweep)

    def sweep(self) -> None:
        """Clear away now, and again in an hour."""
        before = self._clock.now().timestamp() - _OLD_S
        for prefix in list(self._places.workers()):
            ours = os.path.dirname(prefix) == self._places.own
            old = _older(prefix + ".journal", before) and _older(prefix + ".journal2", before, missing=True)
            if old and not ours and not identity(prefix, self._reports.boot, self._reports.namespace).lives:
                remove_worker(prefix)
        for node in names(self._places.nodes):
            path = f"{self._places.nodes}/{node}"
            if path != self._places.own and _older(f"{path}/boot", before):
                self._places.leave(path)
        for name in names(self._places.fences):
            if _older(f"{self._places.fences}/{name}", before):
                remove(f"{self._places.fences}/{name}")
        self._loop.after(_EVERY_S, self.sweep)


def leave(workers: Sequence[Worker], places: Places) -> None:
    """Close every worker's socket. Idle ones go at once and leave nothing; busy ones end what they do."""
    for worker in workers:
        worker.socket.close()
    for worker in workers:
        if not worker.busy and not worker.dead:
            with contextlib.suppress(OSError):
                poll = select.poll()
                poll.register(worker.pidfd, select.POLLIN)
                poll.poll(_LEAVE_MS)
        if worker.reap() is None:
            _LEFT.append(worker.process)
        elif not worker.unacknowledged and not worker.busy:
            remove_worker(worker.prefix)
        worker.close()
    places.leave()


def _older(path: str, before: float, *, missing: bool = False) -> bool:
    try:
        return os.lstat(path).st_mtime < before
    except OSError:
        return missing
