"""Which days a cron expression names: a bit mask per kind of month, so that years are skipped by arithmetic.

A month's mask depends only on its length and the weekday of its first day: 28 kinds. A year depends only on its first
weekday and whether it is a leap year: 14 kinds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from gnomon.schedules.cron_fields import FieldSet

LAST_DAY = date.max.toordinal() - 1
"""The last day number; day 0 is 0001-01-01, a Monday."""

_ALL = 0xFFFFFFFE  # bits 1 to 31
_LENGTHS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True, slots=True)
class Days:
    """The day fields; `years` is a mask of years, or None for all."""

    dom: FieldSet
    months: int
    dow: FieldSet
    years: int | None


def month_length(year: int, month: int) -> int:
    """Days in a month (proleptic Gregorian)."""
    return 29 if month == 2 and is_leap(year) else _LENGTHS[month]


def is_leap(year: int) -> bool:
    """Whether the year has a 29 February."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def month_mask(days: Days, first: int, length: int) -> int:
    """Bit d is set when day d matches, in a month of `length` days whose day 1 has weekday `first` (Sunday is 0)."""
    valid = _ALL & ((1 << (length + 1)) - 1)
    by_date, by_week = days.dom.mask & valid, 0
    for name, number, _ in days.dom.ops:
        if name == "L":
            by_date |= 1 << length
        elif name == "LW":
            by_date |= 1 << _weekday_near(length, first, length)
        elif number <= length:
            by_date |= 1 << _weekday_near(number, first, length)
    for weekday in range(7):
        if days.dow.mask >> weekday & 1:
            for day in range((weekday - first) % 7 + 1, length + 1, 7):
                by_week |= 1 << day
    for name, weekday, nth in days.dow.ops:
        hits = range((weekday - first) % 7 + 1, length + 1, 7)
        if name == "dL":
            by_week |= 1 << hits[-1]
        elif nth <= len(hits):
            by_week |= 1 << hits[nth - 1]
    return by_date & by_week if days.dom.open or days.dow.open else by_date | by_week


def _weekday_near(day: int, first: int, length: int) -> int:
    """The day from Monday to Friday nearest to `day`, within the month."""
    weekday = (first + day - 1) % 7
    if weekday == 6:
        return day - 1 if day > 1 else day + 2
    if weekday == 0:
        return day + 1 if day < length else day - 2
    return day


def never_fires(days: Days) -> bool:
    """Whether no allowed year has a matching day; decided from the 14 kinds of years."""
    search = DaySearch(days)
    if days.years is None:
        return not any(search.year_count(year) for year in range(2000, 2028)) and not search.year_count(2100)
    kinds: set[tuple[int, bool]] = set()
    left = days.years
    while left:
        year = (left & -left).bit_length() - 1
        left &= left - 1
        kind = (date(year, 1, 1).toordinal() % 7, is_leap(year))
        if kind not in kinds and search.year_count(year):
            return False
        kinds.add(kind)
    return True


class DaySearch:
    """Next, previous and number of matching days. Day numbers count from 0001-01-01, which is 0."""

    __slots__ = ("_days", "_months", "_years", "every")

    def __init__(self, days: Days) -> None:
        self._days = days
        self._months: dict[int, int] = {}
        self._years: dict[int, int] = {}
        self.every = days.dom.mask == _ALL and days.dow.mask == 127 and days.months == 0x1FFE and days.years is None

    def has(self, day: int) -> bool:
        """Whether the day matches."""
        if self.every:
            return True
        at = date.fromordinal(day + 1)
        return bool(self._mask(at.year, at.month) >> at.day & 1)

    def next(self, day: int) -> int | None:
        """The first matching day at or after `day`."""
        if self.every or day > LAST_DAY:
            return day if day <= LAST_DAY else None
        at = date.fromordinal(max(day, 0) + 1)
        year, month, number = at.year, at.month, at.day
        left = self._mask(year, month) >> number
        if left:
            return day + (left & -left).bit_length() - 1
        while year <= 9999:
            months = self._days.months >> (month + 1)
            while months:
                month += (months & -months).bit_length()
                mask = self._mask(year, month)
                if mask:
                    return date(year, month, (mask & -mask).bit_length() - 1).toordinal() - 1
                months = self._days.months >> (month + 1)
            month = 0
            year += 1
            while year <= 9999 and not self.year_count(year):
                year = self._year_after(year)
        return None

    def prev(self, day: int) -> int | None:
        """The last matching day at or before `day`."""
        if self.every or day < 0:
            return day if day >= 0 else None
        at = date.fromordinal(min(day, LAST_DAY) + 1)
        year, month = at.year, at.month
        mask = self._mask(year, month) & ((2 << at.day) - 1)
        while year >= 1:
            while True:
                if mask:
                    return date(year, month, mask.bit_length() - 1).toordinal() - 1
                months = self._days.months & ((1 << month) - 1)
                if not months:
                    break
                month = months.bit_length() - 1
                mask = self._mask(year, month)
            month = 13
            year -= 1
            while year >= 1 and not self.year_count(year):
                year = self._year_before(year)
        return None

    def count(self, low: int, high: int) -> int:
        """How many days in [low, high) match."""
        if self.every or low >= high:
            return max(high - low, 0)
        first, last = date.fromordinal(low + 1), date.fromordinal(high)
        years = sum(self.year_count(year) for year in range(first.year, last.year))
        return years + self._in_year(last) - self._in_year(first) + (1 if self.has(low) else 0)

    def _in_year(self, at: date) -> int:
        """Matching days of the year up to and including `at`."""
        total = (self._mask(at.year, at.month) & ((2 << at.day) - 1)).bit_count()
        return total + sum(self._mask(at.year, month).bit_count() for month in range(1, at.month))

    def year_count(self, year: int) -> int:
        """Matching days of one year."""
        if self._days.years is not None and not self._days.years >> year & 1:
            return 0
        before = year - 1
        first = (before * 365 + before // 4 - before // 100 + before // 400 + 1) % 7
        kind = first * 2 + is_leap(year)
        known = self._years.get(kind)
        if known is None:
            known = self._years[kind] = sum(self._mask(year, month).bit_count() for month in range(1, 13))
        return known

    def _year_after(self, year: int) -> int:
        years = self._days.years
        if years is None:
            return year + 1
        left = years >> (year + 1)
        return year + (left & -left).bit_length() if left else 10000

    def _year_before(self, year: int) -> int:
        years = self._days.years
        return year - 1 if years is None else (years & ((1 << year) - 1)).bit_length() - 1

    def _mask(self, year: int, month: int) -> int:
        days = self._days
        if not days.months >> month & 1 or (days.years is not None and not days.years >> year & 1):
            return 0
        first = date(year, month, 1).toordinal() % 7
        length = month_length(year, month)
        kind = first * 32 + length
        known = self._months.get(kind)
        if known is None:
            known = self._months[kind] = month_mask(days, first, length)
        return known
