"""Looking at the logs of running commands often enough: every 10 ms while one grows, else 2 to 20 times a second."""

from __future__ import annotations

from gnomon.core.ports import Clock

from .capping import CappedLog
from .loop import Loop, Timer

_HOT_S = 0.01
_PER_LOG_S = 0.0002  # keeps the cost of looking near one percent of a core
_QUIET_S = (0.05, 0.4)
_LINGER_S = 0.5
_LINGERING = 1000  # ended attempts whose daemons still write


class LogWatch:
    """The logs of all attempts of one executor. For the loop's thread only."""

    def __init__(self, loop: Loop, clock: Clock) -> None:
        self._loop, self._clock = loop, clock
        self._logs: set[CappedLog] = set()
        self._hot: set[CappedLog] = set()
        self._lingering: dict[CappedLog, float] = {}
        self._timer: Timer | None = None
        self._all_at = 0.0

    def add(self, log: CappedLog) -> None:
        """Guard this log."""
        self._logs.add(log)
        if self._timer is None:
            self._arm()

    def remove(self, log: CappedLog) -> None:
        """No longer."""
        self._logs.discard(log)
        self._hot.discard(log)

    def finish(self, log: CappedLog) -> int:
        """Make it final and give its size; when a daemon of the attempt still writes to it, guard it on."""
        log.poll()
        size = log.finish()
        if size is not None:
            return size
        while len(self._lingering) >= _LINGERING:
            self._lingering.pop(next(iter(self._lingering)))
        self._lingering[log] = self._clock.monotonic() + _LINGER_S
        if self._timer is None:
            self._arm()
        return log.kept()

    def _look(self) -> None:
        now = self._clock.monotonic()
        whole = now >= self._all_at
        for log in list(self._logs if whole else self._hot):
            if log.poll():
                self._hot.add(log)
            else:
                self._hot.discard(log)
        if whole:
            self._all_at = now + self._quiet()
            for log in [log for log, at in self._lingering.items() if at <= now]:
                log.poll()
                if log.finish() is None:
                    self._lingering[log] = now + _LINGER_S
                else:
                    del self._lingering[log]
        self._arm()

    def _quiet(self) -> float:
        least, most = _QUIET_S
        return min(most, max(least, _PER_LOG_S * len(self._logs))) if self._logs else _LINGER_S

    def _arm(self) -> None:
        if self._logs or self._lingering:
            self._timer = self._loop.after(_HOT_S if self._hot else self._quiet(), self._look)
        else:
            self._timer = None
