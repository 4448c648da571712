"""Threads for calls that may never end: unlike those of `concurrent.futures` they do not keep the interpreter alive."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

logger = logging.getLogger("gnomon")


class DaemonThreads:
    """Calls what it is given, in order, in at most `most` daemon threads, made when they are needed."""

    def __init__(self, most: int, name: str) -> None:
        self._most, self._name = most, name
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = self._pending = 0  # pending: waiting or being called
        self._closed = False

    def submit(self, call: Callable[[], None]) -> bool:
        """Have it called; False: closed."""
        with self._lock:
            if self._closed:
                return False
            self._calls.put(call)
            self._pending += 1
            if self._pending > self._threads and self._threads < self._most:
                self._threads += 1
                threading.Thread(target=self._work, name=f"{self._name}-{self._threads}", daemon=True).start()
            return True

    def close(self) -> None:
        """Begin nothing more; what waits is dropped, what runs goes on. Idempotent."""
        with self._lock:
            if not self._closed:
                self._closed = True
                while not self._calls.empty():
                    self._calls.get()
                for _ in range(self._threads):
                    self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except Exception:
                logger.exception("a call failed outside of its function (a bug: please report it)")
            with self._lock:
                self._pending -= 1
