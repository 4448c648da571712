"""Watches the scheduler from inside: tells others how it is, and says in the log when it is not well."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from gnomon.core.errors import GnomonError
from gnomon.core.health import OVERDUE_S, Health, Level
from gnomon.operations.context import Desk
from gnomon.operations.health import health

from .vitals import Vitals

logger = logging.getLogger("gnomon")
LOOK_S = 10.0
TELL_S = 1.0
_GOOD = 3
"""So many good looks in a row end a bad time."""


class Watchdog:
    """A thread that tells every second, looks every ten, and speaks when the verdict changes.

    Args:
        vitals: what the process knows of itself.
        look_s: seconds between looks. overdue_s: how long a schedule may wait for its decision.
        looks: called before each look. tell: called when the log says how it is.
    """

    def __init__(
        self,
        desk: Desk,
        vitals: Vitals,
        *,
        look_s: float = LOOK_S,
        overdue_s: float = OVERDUE_S,
        looks: Callable[[], None] = lambda: None,
        tell: Callable[[Health], None] = lambda verdict: None,
    ) -> None:
        self._desk, self._vitals, self._looks, self._tell = desk, vitals, looks, tell
        self._look_s, self._overdue_s = look_s, overdue_s
        self._stop = threading.Event()
        self._seen = self._told = Level.OK
        self._good = 0
        self._thread = threading.Thread(target=self._run, name="gnomon-watchdog", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._vitals.tell()
        self._thread.start()

    def stop(self) -> None:
        """End. Idempotent."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def _run(self) -> None:
        left = self._look_s
        while not self._stop.wait(min(left, TELL_S)):
            left = self._look_s if (looks := left <= TELL_S) else left - TELL_S
            try:
                self._vitals.tell()
                if looks:
                    self._looks()
                    self._look()
            except GnomonError as error:
                logger.debug("the watchdog cannot read the database: %s", error)
            except Exception:
                logger.exception("the watchdog failed, and goes on")

    def _look(self) -> None:
        """One bad look may be a start or a moment of load; two of the same are told, once. So is the end of it, if it
        lasts: what comes and goes is told once."""
        verdict = health(self._desk, overdue_s=self._overdue_s, own=self._vitals)
        level, seen = verdict.level, self._seen
        self._seen, self._good = level, self._good + 1 if level is Level.OK else 0
        if level is self._told or (self._good < _GOOD if level is Level.OK else level is not seen):
            return
        self._told = level
        self._tell(verdict)
        about = {"healthy": level is not Level.FAILING, "health": str(level)}
        if level is Level.OK:
            logger.warning("watchdog: %s again", verdict.line, extra={"about": about})
        else:
            logger.log(
                logging.ERROR if level is Level.FAILING else logging.WARNING,
                "watchdog: %s",
                verdict.line,
                extra={"about": about},
            )
