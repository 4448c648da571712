"""A store for many callers at once: when writes stand still, it refuses more instead of letting all of them wait."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from gnomon.core.errors import Problem, Unavailable
from gnomon.core.health import MOST_TEXT, Check, Level
from gnomon.core.ports import Clock, Reader, Store, Transaction

T = TypeVar("T")
MOST = 20
"""So many writes may wait when the first of them has waited for `PATIENCE_S`: others' threads are left for reading."""
PATIENCE_S = 2.0
REMEMBERED_S = 600.0
"""How long a change that was refused is told."""


class Unclogged:
    """`store`, but `write` raises `database_locked` at once while many writes wait for long. Safe for threads."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._numbers = itertools.count()
        self._gate = threading.Lock()
        self._waiting: dict[int, float] = {}
        self._refused: tuple[int, float, str] = (0, 0.0, "")

    def checks(self) -> Iterator[Check]:
        """Whether changes that somebody asked for were refused lately."""
        count, last, text = self._refused
        if count and self._clock.monotonic() - last < REMEMBERED_S:
            yield Check("writes_refused", Level.DEGRADED, f"{count} changes were refused lately: {text}"[:MOST_TEXT])

    def write(self, work: Callable[[Transaction], T]) -> T:
        """See `core.ports.Store`."""
        try:
            return self._write(work)
        except Unavailable as error:
            now, (count, last, _) = self._clock.monotonic(), self._refused
            self._refused = (count + 1 if now - last < REMEMBERED_S else 1, now, error.problems[0].message)
            raise

    def _write(self, work: Callable[[Transaction], T]) -> T:
        now = self._clock.monotonic()
        with self._gate:
            if len(self._waiting) >= MOST and now - next(iter(self._waiting.values())) > PATIENCE_S:
                text = f"{len(self._waiting)} changes wait for the database already"
                raise Unavailable(Problem("database_locked", text, hint="try again in a while"))
            number = next(self._numbers)
            self._waiting[number] = now
        try:
            return self._store.write(work)
        finally:
            with self._gate:
                del self._waiting[number]

    def read(self, work: Callable[[Reader], T]) -> T:
        """See `core.ports.Store`."""
        return self._store.read(work)

    def data_version(self) -> int:
        """See `core.ports.Store`."""
        return self._store.data_version()

    def close(self) -> None:
        """See `core.ports.Store`."""
        self._store.close()
