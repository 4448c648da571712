"""The only place that waits: wakes a node when something is due, was reported, or was changed by others."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from gnomon.core.errors import Unavailable
from gnomon.core.ports import Clock, Store

from .node import Node

logger = logging.getLogger("gnomon")

LONGEST_S = 30.0
"""Monotonic timers stand still in suspend: the wall clock is read again at least this often."""
POLL_S = 0.2
"""How soon changes by other processes on the same database are seen, in seconds."""
_BACKOFF_S = (0.1, 0.5, 1.0, 2.0, 5.0)


@dataclass(slots=True)
class Loop:
    """Steps a node until told to stop. `wake` and `stop` may be called from any thread or signal handler.

    `steps`: how many went well.
    """

    node: Node
    store: Store
    clock: Clock
    peers_changed: Callable[[], bool] = lambda: False
    poll_s: float | None = POLL_S
    stopping: bool = False
    turned_at: float | None = None
    steps: int = 0
    _bell: threading.Event = field(default_factory=threading.Event)

    def wake(self) -> None:
        """A step is wanted now."""
        self._bell.set()

    def stop(self) -> None:
        """Leave `run` after the current step."""
        self.stopping = True
        self._bell.set()

    def quiet_s(self) -> float | None:
        """How long ago it last turned, whether or not the step went well; None: it has not begun. From any thread."""
        at = self.turned_at
        return None if at is None else max(0.0, self.clock.monotonic() - at)

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Step until `stop` is called or `until` is true after a step."""
        failures = 0
        while not self.stopping:
            self.turned_at = self.clock.monotonic()
            self._bell.clear()
            seen = self._version()
            try:
                wake_at = self.node.step()
                failures = 0
                self.steps += 1
            except Unavailable as error:
                if failures == 0:
                    logger.error("%s; trying again, nothing is lost", error)
                failures += 1
                self._pause(failures)
                continue
            except Exception:
                logger.exception("a step of the scheduler failed (a bug: please report it); trying again")
                failures += 1
                self._pause(failures)
                continue
            if until():
                return
            self._wait(wake_at, seen)

    def _pause(self, failures: int) -> None:
        self._bell.wait(_BACKOFF_S[min(failures, len(_BACKOFF_S)) - 1])

    def _wait(self, wake_at: datetime | None, seen: int) -> None:
        """Until `wake_at`, a bell, a commit by someone else, a peer's death, or half a minute."""
        give_up = self.clock.monotonic() + LONGEST_S
        while not self._bell.is_set():
            self.turned_at = self.clock.monotonic()
            left = give_up - self.turned_at
            if wake_at is not None:
                left = min(left, (wake_at - self.clock.now()).total_seconds())
            if left <= 0:
                return
            if self.poll_s is not None:
                if self._version() != seen or self.peers_changed():
                    return
                left = min(left, self.poll_s)
            self._bell.wait(left)

    def _version(self) -> int:
        try:
            return self.store.data_version() if self.poll_s is not None else 0
        except Unavailable:
            return -1
