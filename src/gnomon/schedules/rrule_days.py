"""Which days of a year an RRULE lets through: every BY part that speaks of days is one mask of 366 bits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from gnomon.schedules.cron_days import LAST_DAY, is_leap, month_length
from gnomon.schedules.rrule_parse import Recur


class YearMasks:
    """Masks by year; bit 0 is 1 January. Remembers what it computed."""

    __slots__ = ("_known", "_rule")

    def __init__(self, rule: Recur) -> None:
        self._rule = rule
        self._known: dict[int, int] = {}

    def mask(self, year: int) -> int:
        """The days of `year` that pass BYMONTH, BYWEEKNO, BYYEARDAY, BYMONTHDAY and BYDAY."""
        known = self._known.get(year)
        if known is None:
            if len(self._known) > 12000:
                self._known.clear()
            known = self._known[year] = self._compute(year)
        return known

    def has(self, day: int) -> bool:
        """Whether day number `day` passes."""
        at = date.fromordinal(day + 1)
        return bool(self.mask(at.year) >> (day - year_start(at.year)) & 1)

    def next(self, day: int) -> int | None:
        """The first day at or after `day` that passes, within 400 years."""
        if not 0 <= day <= LAST_DAY:
            return None
        year = date.fromordinal(day + 1).year
        start = year_start(year)
        left = self.mask(year) >> (day - start) << (day - start)
        for later in range(year + 1, min(year + 402, 10000)):
            if left:
                break
            start, left = year_start(later), self.mask(later)
        return start + (left & -left).bit_length() - 1 if left else None

    def count(self, low: int, high: int) -> int:
        """How many days in [low, high) pass."""
        return sum(mask.bit_count() for _, mask in self._clipped(low, high))

    def days(self, low: int, high: int) -> Iterator[int]:
        """The days in [low, high) that pass."""
        for start, mask in self._clipped(low, high):
            while mask:
                lowest = mask & -mask
                yield start + lowest.bit_length() - 1
                mask ^= lowest

    def _clipped(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        low, high = max(low, 0), min(high, LAST_DAY + 1)
        if low >= high:
            return
        for year in range(date.fromordinal(low + 1).year, date.fromordinal(high).year + 1):
            start, mask = year_start(year), self.mask(year)
            if start < low:
                mask = mask >> (low - start) << (low - start)
            yield start, mask & ((1 << (high - start)) - 1) if high - start < 366 else mask

    def _compute(self, year: int) -> int:
        rule, length = self._rule, 366 if is_leap(year) else 365
        mask = (1 << length) - 1
        if rule.bymonth:
            mask &= _union(_run(*month_span(year, month)) for month in rule.bymonth)
        if rule.bymonthday:
            mask &= _union(self._month_days(year, month) for month in range(1, 13))
        if rule.byyearday:
            days = (day - 1 if day > 0 else length + day for day in rule.byyearday)
            mask &= _union(1 << day for day in days if 0 <= day < length)
        if rule.byweekno and mask:
            mask &= self._weeks(year, length)
        if rule.byday and mask:
            mask &= self._weekdays(year, length)
        return mask

    def _month_days(self, year: int, month: int) -> int:
        start, length = month_span(year, month)
        days = (day - 1 if day > 0 else length + day for day in self._rule.bymonthday)
        return _union(1 << (start + day) for day in days if 0 <= day < length)

    def _weekdays(self, year: int, length: int) -> int:
        """BYDAY: plain weekdays, and the nth of the month or year."""
        rule, first = self._rule, year_start(year) % 7
        monthly = rule.freq == "MONTHLY" or bool(rule.bymonth)
        spans = [month_span(year, month) for month in range(1, 13)] if monthly else [(0, length)]
        mask = 0
        for nth, weekday in rule.byday:
            for start, size in spans if nth else [(0, length)]:
                hits = range(start + (weekday - first - start) % 7, start + size, 7)
                if nth == 0:
                    mask |= _union(1 << day for day in hits)
                elif -len(hits) <= nth <= len(hits):
                    mask |= 1 << hits[nth - 1 if nth > 0 else nth]
        return mask

    def _weeks(self, year: int, length: int) -> int:
        """BYWEEKNO: a day counts by its own week's number, from the front or the back of that week's year."""
        wanted, start, mask = set(self._rule.byweekno), year_start(year), 0
        firsts = [self._week_one(year + shift) for shift in (-1, 0, 1, 2)]
        for day in range(length):
            at = start + day
            index = 2 if at >= firsts[2] else 1 if at >= firsts[1] else 0
            week = (at - firsts[index]) // 7 + 1
            weeks = (firsts[index + 1] - firsts[index]) // 7
            if week in wanted or week - weeks - 1 in wanted:
                mask |= 1 << day
        return mask

    def _week_one(self, year: int) -> int:
        """First day of week 1: the week, from WKST, that has at least four days in the year."""
        start = year_start(year)
        into = (start - self._rule.wkst) % 7
        return start - into if into <= 3 else start + 7 - into


def year_start(year: int) -> int:
    """Day number of 1 January; also for years 0 and 10000 and beyond."""
    before = year - 1
    return before * 365 + before // 4 - before // 100 + before // 400


def month_span(year: int, month: int) -> tuple[int, int]:
    """(days before the month in its year, its length)."""
    before = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)[month - 1]
    return before + (month > 2 and is_leap(year)), month_length(year, month)


def _run(start: int, length: int) -> int:
    return ((1 << length) - 1) << start


def _union(masks: Iterator[int]) -> int:
    total = 0
    for mask in masks:
        total |= mask
    return total
