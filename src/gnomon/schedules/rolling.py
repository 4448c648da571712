"""Moving fires off excluded days, to the nearest day before or after that is not excluded, at the same wall time.

Each day that is not excluded (a target) has its own fires and those of the excluded days that lie directly before it
(roll: next) or after it (roll: previous). Fires that meet at one instant are one fire.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta

from gnomon.core.rules import Fire, Rule
from gnomon.schedules.exclusions import Exclusions
from gnomon.schedules.zones import DAY, Zone, to_instant, wall_seconds

MAX_ROLL_DAYS = 366
"""A fire moves by at most this many days; with no better day it stays, excluded."""

_ONE = timedelta(days=1)
_TICK = timedelta(microseconds=1)


class Rolled:
    """A `Rule`: `inner` with its fires on excluded days moved to the next or previous day that is free."""

    __slots__ = ("_exclusions", "_inner", "_step", "_zone")

    def __init__(self, inner: Rule, exclusions: Exclusions, zone: Zone, roll: str) -> None:
        self._inner, self._exclusions, self._zone = inner, exclusions, zone
        self._step = 1 if roll == "next" else -1

    def next(self, after: datetime) -> Fire | None:
        """The first fire strictly after `after`."""
        day: date | None = self._zone.local(after).date()
        while day is not None:
            found = [fire for source in self._sources(day) if (fire := self._first(source, day, after))]
            if found:
                return min(found, key=_rank)
            day = self._day_after(day)
        return None

    def latest(self, until: datetime) -> Fire | None:
        """The last fire at or before `until`."""
        day: date | None = self._zone.local(until).date()
        while day is not None:
            found = [fire for source in self._sources(day) if (fire := self._last(source, day, until))]
            if found:
                return max(found, key=lambda fire: (fire.at, fire.note is None))
            day = self._day_before(day)
        return None

    def count(self, after: datetime, until: datetime) -> int:
        """How many fires lie in (after, until]: all of them, less those moved away, plus those moved here."""
        if after >= until:
            return 0
        total = self._inner.count(after, until)
        day, last = (self._zone.local(moment).date() for moment in (after, until))
        while day <= last:
            sources = self._sources(day)
            if not sources:
                low, high = self._bounds(day)
                total -= self._inner.count(max(low - _TICK, after), min(high - _TICK, until))
            arrived = {fire.at for source in sources[1:] for fire in self._moved(source, day)}
            for at in arrived:
                if after < at <= until and not self._inner.count(at - _TICK, at):
                    total += 1
            if day == date.max:
                break
            day += _ONE
        return total

    def _sources(self, day: date) -> list[date]:
        """The days whose fires happen on `day`, itself first; empty if they all move away."""
        if self._exclusions.reason(day) is not None:
            return [] if self._target(day) is not None else [day]
        return [day, *self._run(day, -self._step)]

    def _run(self, day: date, step: int) -> list[date]:
        """The excluded days that directly follow `day` in direction `step`."""
        found: list[date] = []
        at = _shift(day, step)
        while at is not None and len(found) < MAX_ROLL_DAYS and self._exclusions.reason(at) is not None:
            found.append(at)
            at = _shift(at, step)
        return found

    def _target(self, day: date) -> date | None:
        """Where the fires of an excluded day go, or None if there is no free day near enough."""
        run = self._run(day, self._step)
        return _shift(run[-1] if run else day, self._step) if len(run) < MAX_ROLL_DAYS else None

    def _day_after(self, day: date) -> date | None:
        """The next day that may have fires."""
        here = self._target(day) if self._step > 0 and self._exclusions.reason(day) is not None else None
        fire = self._inner.next(self._bounds(day)[1] - _TICK)
        while fire is not None:
            there = fire.local.date()
            if self._exclusions.reason(there) is not None:
                there = self._target(there) or there
            if there > day:
                return min(there, here) if here is not None and here > day else there
            fire = self._inner.next(self._bounds(fire.local.date())[1] - _TICK)
        return here if here is not None and here > day else None

    def _day_before(self, day: date) -> date | None:
        """The previous day that may have fires."""
        here = self._target(day) if self._step < 0 and self._exclusions.reason(day) is not None else None
        fire = self._inner.latest(self._bounds(day)[0] - _TICK)
        while fire is not None:
            there = fire.local.date()
            if self._exclusions.reason(there) is not None:
                there = self._target(there) or there
            if there < day:
                return max(there, here) if here is not None and here < day else there
            fire = self._inner.latest(self._bounds(fire.local.date())[0] - _TICK)
        return here if here is not None and here < day else None

    def _first(self, source: date, day: date, after: datetime) -> Fire | None:
        """The first fire of `source`, moved to `day`, strictly after `after`."""
        low, high = self._bounds(source)
        start = low - _TICK
        if source == day:
            start = max(start, after)
        elif self._plain(source) and self._plain(day):
            begin = self._bounds(day)[0]
            start = max(start, low + (after - begin) if after > begin else start)
        fire = self._inner.next(start)
        while fire is not None and fire.at < high:
            moved = self._move(fire, source, day)
            if moved.at > after:
                return moved
            fire = self._inner.next(fire.at)
        return None

    def _last(self, source: date, day: date, until: datetime) -> Fire | None:
        """The last fire of `source`, moved to `day`, at or before `until`."""
        low, high = self._bounds(source)
        stop = high - _TICK
        if source == day:
            stop = min(stop, until)
        elif self._plain(source) and self._plain(day):
            begin = self._bounds(day)[0]
            stop = min(stop, low + (until - begin)) if until >= begin else low - _TICK
        fire = self._inner.latest(stop)
        while fire is not None and fire.at >= low:
            moved = self._move(fire, source, day)
            if moved.at <= until:
                return moved
            fire = self._inner.latest(fire.at - _TICK)
        return None

    def _moved(self, source: date, day: date) -> Iterator[Fire]:
        low, high = self._bounds(source)
        fire = self._inner.next(low - _TICK)
        while fire is not None and fire.at < high:
            yield self._move(fire, source, day)
            fire = self._inner.next(fire.at)

    def _move(self, fire: Fire, source: date, day: date) -> Fire:
        """`fire` at the same wall time on `day`; marked as excluded if it cannot move."""
        reason = self._exclusions.reason(source)
        if source == day:
            return fire if reason is None else replace(fire, excluded=reason)
        wall = (day.toordinal() - 1) * DAY + wall_seconds(fire.local.replace(tzinfo=None)) % DAY
        at = to_instant(self._zone.resolve(wall).first) + timedelta(microseconds=fire.at.microsecond)
        return Fire(at, self._zone.local(at), f"moved from {source.isoformat()} ({reason})")

    def _bounds(self, day: date) -> tuple[datetime, datetime]:
        """First instant of a local day, and of the next one."""
        start = (day.toordinal() - 1) * DAY
        low, high = (self._zone.resolve(wall).first for wall in (start, start + DAY))
        return self._clamped(low), self._clamped(high)

    def _clamped(self, u: int) -> datetime:
        """As a datetime that leaves room for a microsecond on both sides."""
        top = (date.max.toordinal()) * DAY - 1
        return to_instant(min(max(u, 1), top))

    def _plain(self, day: date) -> bool:
        low, high = self._bounds(day)
        return high - low == _ONE


def _shift(day: date, step: int) -> date | None:
    try:
        return day + step * _ONE
    except OverflowError:
        return None


def _rank(fire: Fire) -> tuple[datetime, bool]:
    return fire.at, fire.note is not None
