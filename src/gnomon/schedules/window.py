"""Start, end and exclusions around any rule."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gnomon.core.rules import Fire, Rule
from gnomon.schedules.exclusions import Exclusions

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Windowed:
    """A `Rule` with fires in [`start`, `end`] only; those on excluded days say so in `excluded`."""

    inner: Rule
    start: datetime | None
    end: datetime | None
    exclusions: Exclusions | None = None

    def next(self, after: datetime) -> Fire | None:
        """The first fire strictly after `after`, in the window."""
        if self.start is not None and after < self.start:
            after = self.start - _TICK
        fire = self.inner.next(after)
        if fire is None or (self.end is not None and fire.at > self.end):
            return None
        return self._marked(fire)

    def latest(self, until: datetime) -> Fire | None:
        """The last fire at or before `until`, in the window."""
        if self.end is not None and until > self.end:
            until = self.end
        fire = self.inner.latest(until)
        if fire is None or (self.start is not None and fire.at < self.start):
            return None
        return self._marked(fire)

    def count(self, after: datetime, until: datetime) -> int:
        """How many fires lie in (after, until] and the window, excluded ones included."""
        if self.start is not None and after < self.start:
            after = self.start - _TICK
        if self.end is not None and until > self.end:
            until = self.end
        return self.inner.count(after, until) if after < until else 0

    def _marked(self, fire: Fire) -> Fire:
        reason = self.exclusions.reason(fire.local.date()) if self.exclusions else None
        return replace(fire, excluded=reason) if reason else fire
