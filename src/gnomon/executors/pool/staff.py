"""The workers there are, and which of them should get the next attempt."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from gnomon.core.ports import Clock
from gnomon.executors.loop import Loop

from .line import Line, Path
from .places import Places
from .worker import PoolSettings, Worker

HOLD_S = 0.05
"""What a worker has not taken after this long, it is not going to take soon."""

_QUICK = max(1, os.cpu_count() or 1)


class Staff:
    """For the loop's thread only. `on_word` and `on_end` are called when a worker has said something, or has ended."""

    def __init__(
        self,
        loop: Loop,
        clock: Clock,
        places: Places,
        settings: PoolSettings,
        environment: Mapping[str, str],
        line: Line,
    ) -> None:
        self._loop, self._clock, self._places = loop, clock, places
        self._settings, self._environment, self._line = settings, environment, line
        self.workers: list[Worker] = []
        self.on_word: Callable[[Worker], None] = lambda worker: None
        self.on_end: Callable[[Worker], None] = lambda worker: None
        self.trouble = ""

    def taker(self, path: Path) -> Worker | None:
        """Who should get the next attempt: an idle one, a new one while cores are free, or the least laden."""
        best: Worker | None = None
        now = self._clock.monotonic()
        for worker in self.workers:
            if worker.path != path or not worker.open:
                continue
            if worker.idle:
                return worker
            quick = len(worker.ahead) < self.depth(worker) and now - worker.since < HOLD_S
            if quick and (best is None or len(worker.ahead) < len(best.ahead)):
                best = worker
        if len(self._line) and self._open() < min(_QUICK, self._settings.size):
            return self._spawn(path) or best
        if best is None and not self.serves(path):
            return self._exchange(path)
        return best

    def serves(self, path: Path) -> bool:
        """Whether anybody who takes more has this path."""
        return any(worker.path == path and worker.open for worker in self.workers)

    def depth(self, worker: Worker) -> int:
        """How much to hand it: what it does in about 20 ms."""
        most = self._settings.depth
        return most if worker.pace * most < 0.02 else int(0.02 / worker.pace)

    def _open(self) -> int:
        return sum(not worker.retired and not worker.dead for worker in self.workers)

    def _exchange(self, path: Path) -> Worker | None:
        """A worker for another path; if need be, an idle one goes for it."""
        if self._open() >= self._settings.size:
            spare = next((worker for worker in self.workers if worker.idle), None)
            if spare is None:
                return None
            spare.retire()
        return self._spawn(path)

    def _spawn(self, path: Path) -> Worker | None:
        try:
            worker = Worker(self._places.new_worker(), self._settings, path, self._environment)
            self._loop.watch(worker.socket.fileno(), lambda: self.on_word(worker))
            self._loop.watch(worker.pidfd, lambda: self.on_end(worker))
        except OSError as error:
            self.trouble = f"no worker process could be started: {error}"
            return None
        self.trouble, worker.since = "", self._clock.monotonic()
        self.workers.append(worker)
        return worker

    def grow(self) -> None:
        """Nobody is free for what waits: more workers, as many as may be."""
        ready = sum(not worker.ready or worker.idle for worker in self.workers if worker.open)
        for path in self._line.paths():
            room = min(self._settings.size - self._open(), len(self._line) - ready)
            for _ in range(min(room, 4)):
                self._spawn(path)
