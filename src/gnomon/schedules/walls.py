"""Rules of the wall clock (cron, calendar, RRULE) turned into instants: one place for every clock change.

A `Walls` names wall-clock times and knows nothing of zones. `ZonedRule` walks the zone's stretches of constant offset;
in each, the fires are the walls that its clock shows, minus or plus what the gap and fold policies say.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from gnomon.core.rules import Fire
from gnomon.schedules.zones import DAY, EPOCH, EPOCH_UTC, LAST, Segment, Zone, to_seconds

CORRECTION_S: Final = 3 * 3600
"""Changes of this many seconds or more are corrections of the clock: cron makes nothing up for them (Debian)."""


class Walls(Protocol):
    """A set of wall-clock seconds `w` (see `zones`), without a zone."""

    def next(self, wall: int) -> int | None:
        """The first member at or after `wall`, or None."""

    def prev(self, wall: int) -> int | None:
        """The last member at or before `wall`, or None."""

    def count(self, low: int, high: int) -> int:
        """How many members lie in [low, high)."""


class ZonedRule:
    """A `Rule`: the wall-clock times of `walls` in `zone`.

    Args:
        walls: the wall-clock times.
        zone: whose clock.
        gap: what becomes of times the clock skips. "skip": nothing; "after": once, at the first instant after the
            gap; "shift": each, later by the gap's length.
        fold: which passes count when the clock repeats: "first", "second" or "both".
        corrections: changes of 3 h and more are exempt from "after", "first" and "second".
    """

    __slots__ = ("_fold", "_gap", "_limit", "_walls", "_zone")

    def __init__(self, walls: Walls, zone: Zone, *, gap: str, fold: str, corrections: bool) -> None:
        self._walls = walls
        self._zone = zone
        self._gap = gap
        self._fold = fold
        self._limit = CORRECTION_S if corrections else 1 << 60

    def next(self, after: datetime) -> Fire | None:
        """The first fire strictly after `after`."""
        since = after - EPOCH_UTC
        u = since.days * DAY + since.seconds + 1
        while u <= LAST:
            part = self._zone.segment(u)
            low, high = self._span(part)
            wall = u + part.offset
            if wall < low:
                wall = low
            found = self._walls.next(wall)
            if part.before < part.offset:
                made = self._made_next(part, u)
                if made is not None and (found is None or made <= found - part.offset):
                    return self._fire(part, made)
            if found is not None and found < high:
                return self._fire(part, found - part.offset)
            u = part.end
            if found is None or found - 2 * DAY > part.end + part.offset:
                # Nothing until `found`; a repeated stretch right after this one may still hold an earlier wall.
                if found is None and self._walls.next(max(wall - 2 * DAY, 0)) is None:
                    return None
                if found is not None and wall + 2 * DAY < part.end + part.offset:
                    u = max(u, found - 2 * DAY)
        return None

    def latest(self, until: datetime) -> Fire | None:
        """The last fire at or before `until`."""
        u = to_seconds(until)
        while u >= 0:
            part = self._zone.segment(u)
            low, high = self._span(part)
            wall = min(u + part.offset, high - 1)
            found = self._walls.prev(wall)
            made = self._made_prev(part, u) if part.before < part.offset else None
            if found is not None and found >= low and (made is None or found - part.offset >= made):
                return self._fire(part, found - part.offset)
            if made is not None:
                return self._fire(part, made)
            u = part.start - 1
            if found is None or found + 2 * DAY < part.start + part.offset:
                if found is None and self._walls.prev(wall + 2 * DAY) is None:
                    return None
                if found is not None and wall - 2 * DAY > part.start + part.offset:
                    u = min(u, found + 2 * DAY)
        return None

    def count(self, after: datetime, until: datetime) -> int:
        """How many fires lie in (after, until]: arithmetic inside each stretch of constant offset."""
        u, last = max(to_seconds(after) + 1, 0), min(to_seconds(until), LAST)
        total = 0
        while u <= last:
            part = self._zone.segment(u)
            low, high = self._span(part)
            stop = min(part.end, last + 1)
            low, high = max(low, u + part.offset), min(high, stop + part.offset)
            if low < high:
                total += self._walls.count(low, high)
            if part.before < part.offset:
                made = self._made_next(part, u)
                while made is not None and made < stop:
                    if self._walls.count(made + part.offset, made + part.offset + 1) == 0:
                        total += 1
                    made = self._made_next(part, made + 1)
            u = part.end
        return total

    def _span(self, part: Segment) -> tuple[int, int]:
        """The walls of a stretch that count, [low, high), by the fold policy and the edges of the calendar."""
        start, end, offset, before, after = part
        low, high = start + offset, end + offset
        if before > offset and self._fold == "first" and before - offset < self._limit:
            low = start + before
        if offset > after and self._fold == "second" and offset - after < self._limit:
            high = end + after
        return (low if low > 0 else 0), (high if high <= LAST else LAST + 1)

    def _made_next(self, part: Segment, u: int) -> int | None:
        """The first fire at or after `u` that stands for a wall in the gap at this stretch's start."""
        if self._gap == "skip" or part.offset - part.before >= self._limit:
            return None
        low, high = part.start + part.before, part.start + part.offset
        if self._gap == "after":
            if u > part.start:
                return None
            found = self._walls.next(low)
            return part.start if found is not None and found < high else None
        if u + part.before >= high:
            return None
        found = self._walls.next(max(low, u + part.before))
        return found - part.before if found is not None and found < high else None

    def _made_prev(self, part: Segment, u: int) -> int | None:
        """The last fire at or before `u` that stands for a wall in the gap at this stretch's start."""
        if self._gap == "skip" or part.offset - part.before >= self._limit:
            return None
        if self._gap == "after":
            return self._made_next(part, part.start)
        low, high = part.start + part.before, part.start + part.offset
        found = self._walls.prev(min(high - 1, u + part.before))
        return found - part.before if found is not None and found >= low else None

    def _fire(self, part: Segment, u: int) -> Fire:
        wall = u + part.offset
        local = EPOCH + timedelta(seconds=wall)
        note = None
        fold = 0
        if u - part.start < DAY + 3600 and part.before != part.offset:
            note = self._note_start(part, u)
            fold = 1 if wall < part.start + part.before else 0
        if note is None and part.after < part.offset and wall >= part.end + part.after:
            note = self._note_end(part, wall)
        if self._zone.info.key == "UTC":
            return Fire(EPOCH_UTC + timedelta(seconds=u), local.replace(tzinfo=UTC), note)
        return Fire(EPOCH_UTC + timedelta(seconds=u), local.replace(tzinfo=self._zone.info, fold=fold), note)

    def _note_start(self, part: Segment, u: int) -> str | None:
        """What the change at the start of this stretch did to the fire at `u`."""
        wall = u + part.offset
        if part.offset < part.before:
            if wall >= part.start + part.before:
                return None
            return f"clocks went back {_change(part)}: second pass of {_clock(wall)}"
        shift = part.offset - part.before
        if self._gap == "skip" or shift >= self._limit or u - part.start >= shift:
            return None
        if self._gap == "after":
            found = self._walls.next(part.start + part.before) if u == part.start else None
            if found is None or found >= part.start + part.offset:
                return None
            return f"clocks went forward {_change(part)}: {_clock(found)} is skipped, fires at the first instant after"
        missing = u + part.before
        if self._walls.count(missing, missing + 1) == 0:
            return None
        return f"clocks went forward {_change(part)}: {_clock(missing)} is skipped, moved by the gap"

    def _note_end(self, part: Segment, wall: int) -> str:
        """What the change back at the end of this stretch means for the fire at `wall`, which comes again."""
        there = f"clocks go back {_clock(part.end + part.offset)} → {_clock(part.end + part.after)}"
        once = self._fold == "first" and part.offset - part.after < self._limit
        return f"{there}: first pass of {_clock(wall)}" + (", the only one that fires" if once else "")


def _change(part: Segment) -> str:
    return f"{_clock(part.start + part.before)} → {_clock(part.start + part.offset)}"


def _clock(wall: int) -> str:
    second = wall % DAY
    text = f"{second // 3600:02d}:{second // 60 % 60:02d}"
    return text if second % 60 == 0 else f"{text}:{second % 60:02d}"
