"""The only place that waits: wakes a node when something is due, was reported, or was changed by others."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from gnomon.core.errors import Unavailable
from gnomon.core.health import MOST_TEXT, STALLED_S, Check, Level
from gnomon.core.ports import Clock, Store

from .node import Node

logger = logging.getLogger("gnomon")

LONGEST_S = 30.0
"""Monotonic timers stand still in suspend: the wall clock is read again at least this often."""
POLL_S = 0.2
"""How soon changes by other processes on the same database are seen, in seconds."""
_BACKOFF_S = (0.1, 0.5, 1.0, 2.0, 5.0)
IN_A_ROW = 3
"""So many steps that failed one after the other are no hiccup."""


@dataclass(frozen=True, slots=True)
class Failing:
    """Steps that fail one after the other: how many, since when, and what the last one raised."""

    count: int
    since: datetime
    text: str


@dataclass(slots=True)
class Loop:
    """Steps a node until told to stop. `wake` and `stop` may be called from any thread or signal handler.

    `steps`: how many went well. `failing`: those since then that did not.
    """

    node: Node
    store: Store
    clock: Clock
    peers_changed: Callable[[], bool] = lambda: False
    poll_s: float | None = POLL_S
    stopping: bool = False
    turned_at: float | None = None
    steps: int = 0
    failing: Failing | None = None
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

    def checks(self) -> Iterator[Check]:
        """Whether it turns and its steps go well; a loop that has not made one yet has not shown that it can."""
        quiet_s, failing = self.quiet_s(), self.failing
        if quiet_s is not None and quiet_s > STALLED_S:
            yield Check("steps", Level.FAILING, f"the loop of this scheduler has stood still for {quiet_s:.0f} s")
        if failing is not None:
            level = Level.FAILING if failing.count >= IN_A_ROW else Level.DEGRADED
            text = f"steps of the scheduler fail, {failing.count} in a row: {failing.text}"
            yield Check("steps", level, text, failing.since)
        elif not self.steps:
            yield Check("steps", Level.DEGRADED, "the scheduler starts: it has made no step yet")

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Step until `stop` is called or `until` is true after a step."""
        while not self.stopping:
            self.turned_at = self.clock.monotonic()
            self._bell.clear()
            seen = self._version()
            try:
                wake_at = self.node.step()
            except Exception as error:
                self._failed(error)
                continue
            self.steps += 1
            self.failing = None
            if until():
                return
            self._wait(wake_at, seen)

    def _failed(self, error: Exception) -> None:
        """Take note of a step that failed, and wait a little."""
        before = self.failing
        if not isinstance(error, Unavailable):
            logger.exception("a step of the scheduler failed (a bug: please report it); trying again")
        elif before is None:
            logger.error("%s: %s; trying again, nothing is lost", error.code, error)
        count, since = (1, self.clock.now()) if before is None else (before.count + 1, before.since)
        text = f"{error.code if isinstance(error, Unavailable) else type(error).__name__}: {error}"
        self.failing = Failing(count, since, " ".join(text.split())[:MOST_TEXT])
        self._bell.wait(_BACKOFF_S[min(count, len(_BACKOFF_S)) - 1])

    def _wait(self, wake_at: datetime | None, seen: int) -> None:
        """Until `wake_at`, a bell, a commit by someone else, a peer's death, the wall clock is set, or half a minute.

        A clock that is set back takes `wake_at` away with it: all that waits by it has to be seen again.
        """
        give_up = self.clock.monotonic() + LONGEST_S
        while not self._bell.is_set():
            self.turned_at = self.clock.monotonic()
            left = give_up - self.turned_at
            now = self.clock.now()
            if wake_at is not None:
                left = min(left, (wake_at - now).total_seconds())
            if left <= 0 or self.node.time.was_set(now, self.clock.steady()):
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
