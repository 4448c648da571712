"""One thread that waits: for file descriptors, for timers, and for calls from other threads."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import os
import select
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from gnomon.core.health import MOST_TEXT, SLOW_S, STALLED_S, Check, Level
from gnomon.core.ports import Clock

Call = Callable[[], None]
_LOG = logging.getLogger(__name__)
_REMEMBERED_S = 600.0
"""How long a call that raised is told."""


@dataclass(frozen=True, slots=True)
class _Raised:
    """Calls that raised, not long ago: how many, since when, when the last did (monotonic), and what."""

    count: int
    since: datetime
    last: float
    text: str


class Timer:
    """A call at an instant of the monotonic clock; `cancel` takes it back."""

    __slots__ = ("call",)

    def __init__(self, call: Call) -> None:
        self.call: Call | None = call

    def cancel(self) -> None:
        """The call will not be made."""
        self.call = None


class Loop:
    """Everything but `start`, `submit` and `stop` is for the loop's own thread only.

    Calls are made one after the other; one that raises is logged and the loop goes on.
    """

    def __init__(self, clock: Clock, name: str, cleanup: Call) -> None:
        """`cleanup` is called last of all, in the loop's thread."""
        self._clock = clock
        self._cleanup = cleanup
        self._lock = threading.Lock()
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._fds: dict[int, Call] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._calls: deque[Call] = deque()
        self._signalled = False
        self._stopping = False
        self._busy_since: float | None = None
        self._raised: _Raised | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; calls submitted before are made first."""
        self._thread.start()

    def submit(self, call: Call) -> None:
        """Have `call` made by the loop, in order of submission. From any thread."""
        self._calls.append(call)
        self._interrupt()

    def checks(self) -> Iterator[Check]:
        """Whether it stands still in one call, and whether calls have raised. From any thread."""
        name, busy_since, raised, now = self._thread.name, self._busy_since, self._raised, self._clock.monotonic()
        if busy_since is not None and now - busy_since > SLOW_S:
            busy_s = now - busy_since
            level = Level.FAILING if busy_s > STALLED_S else Level.DEGRADED
            text = f"the thread {name} has stood still for {busy_s:.0f} s: nothing of its kind starts or ends"
            yield Check("executor_stands", level, text)
        if raised is not None and now - raised.last < _REMEMBERED_S:
            text = f"calls of the thread {name} failed, {raised.count} lately: {raised.text}"
            yield Check("executor_error", Level.DEGRADED, text, raised.since)

    def stop(self) -> None:
        """End after what was submitted before; waits for it, unless called from inside. Idempotent."""
        self.submit(self._halt)
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()

    def _halt(self) -> None:
        self._stopping = True

    def after(self, delay_s: float, call: Call) -> Timer:
        """Make `call` in `delay_s` seconds."""
        timer = Timer(call)
        heapq.heappush(self._timers, (self._clock.monotonic() + delay_s, next(self._order), timer))
        return timer

    def watch(self, fd: int, call: Call) -> None:
        """Make `call` whenever `fd` is readable. Raises OSError if it can not be watched."""
        self._epoll.register(fd, select.EPOLLIN)
        self._fds[fd] = call

    def guarded(self, call: Call, rescue: Callable[[Exception], None]) -> Call:
        """`call`, made for one attempt: if it raises, `rescue` sees to it that the attempt has an end all the same."""

        def made() -> None:
            try:
                call()
            except Exception as error:
                _LOG.exception("a call of %s for an attempt failed", self._thread.name)
                self._note(error)
                rescue(error)

        return made

    def unwatch(self, fd: int) -> None:
        """No longer; `fd` may be closed then."""
        if self._fds.pop(fd, None) is not None:
            with contextlib.suppress(OSError):
                self._epoll.unregister(fd)

    def _interrupt(self) -> None:
        with self._lock:  # the descriptor may be freed, and then be somebody else's
            if not self._signalled and self._wake >= 0:
                self._signalled = True
                os.eventfd_write(self._wake, 1)

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._turn()
        finally:
            self._cleanup()
            with self._lock:
                self._epoll.close()
                os.close(self._wake)
                self._wake = -1

    def _turn(self) -> None:
        found = [(fd, self._fds.get(fd)) for fd, _ in self._epoll.poll(self._patience(), 256)]
        for fd, call in found:
            if fd == self._wake:
                with self._lock, contextlib.suppress(BlockingIOError):
                    os.eventfd_read(self._wake)
                    self._signalled = False
            elif self._fds.get(fd) is call:  # else a call before this one has closed it, and the number is another's
                self._make(call)
        for _ in range(len(self._calls)):
            self._make(self._calls.popleft())
        now = self._clock.monotonic()
        while self._timers and self._timers[0][0] <= now and not self._stopping:
            self._make(heapq.heappop(self._timers)[2].call)

    def _patience(self) -> float:
        """Seconds until the next timer; cancelled ones are dropped on the way."""
        while self._timers and self._timers[0][2].call is None:
            heapq.heappop(self._timers)
        if self._calls or self._stopping:
            return 0.0
        return max(0.0, self._timers[0][0] - self._clock.monotonic()) if self._timers else -1.0

    def _make(self, call: Call | None) -> None:
        if call is None or self._stopping:
            return
        self._busy_since = self._clock.monotonic()
        try:
            call()
        except Exception as error:
            _LOG.exception("a call of %s failed", self._thread.name)
            self._note(error)
        finally:
            self._busy_since = None

    def _note(self, error: Exception) -> None:
        """Remember for a while that a call raised."""
        before, now = self._raised, self._clock.monotonic()
        text = " ".join(f"{type(error).__name__}: {error}".split())[:MOST_TEXT]
        if before is None or now - before.last >= _REMEMBERED_S:
            self._raised = _Raised(1, self._clock.now(), now, text)
        else:
            self._raised = _Raised(before.count + 1, before.since, now, text)
