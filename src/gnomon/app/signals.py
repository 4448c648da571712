"""TERM, INT and HUP: the first asks for an orderly end, the second insists, the third does not wait.

A thread takes note of them: the main thread may be stuck in anything, a lock, the disk, a write that nobody reads.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ASKING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
INSISTENCE_S = 15.0
"""How long the end may take from the second one on: longer than commands are given to end by themselves."""


class Signals:
    """What came. `noted`: at least one has."""

    def __init__(self) -> None:
        self.noted = threading.Event()
        self._more = threading.Semaphore(0)
        self._count, self._last = 0, 0

    def wait(self, timeout_s: float) -> bool:
        """Whether one more comes within `timeout_s`."""
        return self._more.acquire(timeout=timeout_s)

    def listen(self, fd: int) -> None:
        """Take note of what is written there until it is closed, and see to the end."""
        while select.select([fd], [], [], INSISTENCE_S if self._count > 1 else None)[0]:
            data = os.read(fd, 64)
            if not data:
                os.close(fd)
                return
            for number in data:
                self._note(number)
        _end(self._last)

    def _note(self, number: int) -> None:
        if number not in _ASKING or (number == signal.SIGHUP and self._count):
            return  # a terminal that goes away tells its processes more than once
        self._count, self._last = self._count + 1, number
        self.noted.set()
        self._more.release()
        if self._count > 2:
            _end(number)


@contextmanager
def signals() -> Iterator[Signals]:
    """Listen for the body. For the main thread. What is ignored (`nohup`) stays ignored."""
    read, write = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(write, False)
    found = Signals()
    threading.Thread(target=found.listen, args=(read,), name="gnomon-signals", daemon=True).start()
    caught = [number for number in _ASKING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, lambda *_: None) for number in caught}
    old = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    try:
        yield found
    finally:
        signal.set_wakeup_fd(old)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(write)


def _end(number: int) -> None:
    """At once, whatever hangs. What is committed stays; a successor goes on from there."""
    os._exit(128 + number)
