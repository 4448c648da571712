"""Tells the service manager when the scheduler has begun to work, and that it still does."""

from __future__ import annotations

from dataclasses import dataclass

from gnomon.core.ports import Clock
from gnomon.engine.loop import Loop
from gnomon.system.notify import Notifier


@dataclass(slots=True)
class Pulse:
    """Called again and again by the thread that waits for signals.

    Signs of life are given only while the loop turns: a manager that watches ends a scheduler whose loop stands still
    for half of its patience or longer, and starts it anew.
    """

    notifier: Notifier
    loop: Loop
    clock: Clock
    status: str
    ready: bool = False
    _told_at: float = 0.0

    def beat(self) -> None:
        """Say what is due."""
        quiet_s = self.loop.quiet_s()
        if quiet_s is None or not self.loop.steps:
            return
        if not self.ready:
            self.ready = True
            self.notifier.ready(self.status)
        patience_s, now = self.notifier.watchdog_s, self.clock.monotonic()
        if patience_s is not None and quiet_s < patience_s / 2 and now - self._told_at >= patience_s / 4:
            self._told_at = now
            self.notifier.alive()
