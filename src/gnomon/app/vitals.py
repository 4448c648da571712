"""What a scheduler process knows of itself and the database does not: asked of its parts, told beside its lock."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Sequence

from gnomon.core.health import Check, Level, Telling
from gnomon.core.ports import Clock
from gnomon.operations.health import note
from gnomon.system.filelock import HeldLock

logger = logging.getLogger("gnomon")
_REFRESH_S = 10.0


class Vitals:
    """The checks of one process.

    Args:
        parts: what may know something: those that have `checks()` (`core.health.Telling`) are asked, others not.
        lock: of the node, if it has one.
    """

    def __init__(self, node_id: str, parts: Iterable[object], clock: Clock, lock: HeldLock | None = None) -> None:
        self._node_id, self._clock, self._lock = node_id, clock, lock
        self._parts = tuple(part for part in parts if isinstance(part, Telling))
        self._told: tuple[float, Sequence[Check]] | None = None

    def ask(self, part: Telling) -> None:
        """One more that knows something."""
        self._parts = (*self._parts, part)

    @property
    def node_id(self) -> str:
        """Whose they are."""
        return self._node_id

    def checks(self) -> Sequence[Check]:
        """What is wrong now. A part that cannot even tell is named."""
        found: list[Check] = []
        for part in self._parts:
            try:
                found += part.checks()
            except Exception as error:
                found.append(Check("vitals", Level.DEGRADED, f"{type(part).__name__} cannot tell how it is: {error!r}"))
        return sorted(found, key=lambda check: -check.level.rank)

    def tell(self) -> None:
        """Write down what has changed, and that there is somebody who writes."""
        if self._lock is None:
            return
        now, checks = self._clock.monotonic(), self.checks()
        if self._told is None or self._told[1] != checks or now - self._told[0] >= _REFRESH_S:
            with contextlib.suppress(OSError):
                self._lock.tell(note(checks, now))
                self._told = now, checks
