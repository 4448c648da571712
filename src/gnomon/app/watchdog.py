"""Watches the scheduler from inside: says in the log when schedules are overdue or the loop stands still."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from gnomon.core.errors import GnomonError
from gnomon.core.health import OVERDUE_S, STALLED_S, Health
from gnomon.operations.context import Desk
from gnomon.operations.health import health

logger = logging.getLogger("gnomon")
PERIOD_S = 10.0


class Watchdog:
    """A thread that looks every ten seconds, and speaks when the verdict changes.

    Args:
        quiet_s: how long ago the loop last turned.
        overdue_s, stalled_s: how long a schedule may wait for its decision, and the loop stand still.
    """

    def __init__(
        self,
        desk: Desk,
        quiet_s: Callable[[], float | None],
        *,
        period_s: float = PERIOD_S,
        overdue_s: float = OVERDUE_S,
        stalled_s: float = STALLED_S,
    ) -> None:
        self._desk, self._quiet_s = desk, quiet_s
        self._period_s, self._overdue_s, self._stalled_s = period_s, overdue_s, stalled_s
        self._stop = threading.Event()
        self._bad = 0
        self._told = False
        self._thread = threading.Thread(target=self._run, name="gnomon-watchdog", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End. Idempotent."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def _run(self) -> None:
        while not self._stop.wait(self._period_s):
            try:
                self._look()
            except GnomonError as error:
                logger.debug("the watchdog cannot read the database: %s", error)
            except Exception:
                logger.exception("the watchdog failed, and goes on")

    def _look(self) -> None:
        """One bad look may be a start or a moment of load; two are told, once."""
        verdict: Health = health(
            self._desk, overdue_s=self._overdue_s, stalled_s=self._stalled_s, quiet_s=self._quiet_s()
        )
        self._bad = 0 if verdict.ok else self._bad + 1
        if self._bad >= 2 and not self._told:
            self._told = True
            logger.error("watchdog: %s", verdict.line, extra={"about": {"healthy": False}})
        elif verdict.ok and self._told:
            self._told = False
            logger.warning("watchdog: %s again", verdict.line, extra={"about": {"healthy": True}})
