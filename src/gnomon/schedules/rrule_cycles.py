"""The members of an RRULE: in days, weeks, months and years (`DayCycle`), or finer (`FineWalls`)."""

from __future__ import annotations

from bisect import bisect_left
from datetime import date

from gnomon.schedules.cron_days import LAST_DAY
from gnomon.schedules.rrule_days import YearMasks, month_span, year_start
from gnomon.schedules.rrule_parse import Recur
from gnomon.schedules.walls import Walls
from gnomon.schedules.zones import DAY, LAST

_FINE_BUDGET = 150_000  # a day each at worst: 400 years


class DayCycle:
    """The members of one year, month, week (from WKST) or day of a rule (a `Cycle`)."""

    __slots__ = ("_masks", "_rule", "_times")

    def __init__(self, rule: Recur) -> None:
        self._rule, self._masks = rule, YearMasks(rule)
        clock = ((hour, minute) for hour in rule.byhour for minute in rule.byminute)
        self._times = [hour * 3600 + minute * 60 + second for hour, minute in clock for second in rule.bysecond]

    def number(self, day: int) -> int:
        """Number of the period that holds `day`."""
        if self._rule.freq == "DAILY":
            return day
        if self._rule.freq == "WEEKLY":
            return (day - self._rule.wkst) // 7
        at = date.fromordinal(day + 1)
        return at.year if self._rule.freq == "YEARLY" else at.year * 12 + at.month - 1

    def members(self, number: int) -> list[int]:
        """The wall seconds of a period, after BYSETPOS."""
        low, high = self._span(number)
        days = self._masks.days(low, high)
        return chosen([day * DAY + time for day in days for time in self._times], self._rule.bysetpos)

    def onward(self, number: int) -> int | None:
        """Days that no mask lets through are skipped a year at a time."""
        return self._masks.next(number) if self._rule.freq == "DAILY" else number

    def whole(self, periods: range) -> int:
        """Without BYSETPOS consecutive periods are counted by their days."""
        if not periods:
            return 0
        if self._rule.bysetpos:
            return sum(len(self.members(period)) for period in periods)
        if periods.step == 1:
            days = self._masks.count(self._span(periods[0])[0], self._span(periods[-1])[1])
        elif self._rule.freq == "DAILY":
            days = sum(map(self._masks.has, periods))
        else:
            days = sum(self._masks.count(*self._span(period)) for period in periods)
        return days * len(self._times)

    def _span(self, number: int) -> tuple[int, int]:
        """The days [low, high) of a period."""
        if self._rule.freq == "DAILY":
            return number, number + 1
        if self._rule.freq == "WEEKLY":
            return number * 7 + self._rule.wkst, number * 7 + self._rule.wkst + 7
        if self._rule.freq == "YEARLY":
            return year_start(number), year_start(number + 1)
        before, length = month_span(number // 12, number % 12 + 1)
        low = year_start(number // 12) + before
        return low, low + length


class FineWalls:
    """HOURLY, MINUTELY and SECONDLY rules (a `Walls`): every n-th unit whose day and time of day pass the BY parts."""

    __slots__ = (
        "_allowed",
        "_floor",
        "_interval",
        "_known",
        "_masks",
        "_offsets",
        "_per_day",
        "_phase",
        "_text",
        "_unit",
    )

    def __init__(self, rule: Recur, floor: int) -> None:
        self._unit = {"HOURLY": 3600, "MINUTELY": 60, "SECONDLY": 1}[rule.freq]
        self._per_day = DAY // self._unit
        self._interval, self._floor, self._phase = rule.interval, floor, floor // self._unit
        self._masks = YearMasks(rule)
        self._known: dict[int, int] = {}
        seconds = rule.bysecond if self._unit > 1 else (0,)
        minutes = rule.byminute if self._unit == 3600 else (0,)
        self._offsets = chosen([m * 60 + s for m in minutes for s in seconds], rule.bysetpos)
        self._allowed = self._times_of_day(rule)
        self._text = ""

    def _times_of_day(self, rule: Recur) -> int:
        """Bit u is set when unit u of the day passes BYHOUR, BYMINUTE and BYSECOND, as far as they filter."""
        second = _bits(rule.bysecond or range(60)) if self._unit == 1 else 1
        minute = _bits(rule.byminute or range(60)) if self._unit <= 60 else 1
        per_minute, per_hour = 60 // min(self._unit, 60), 3600 // self._unit
        hour = 0
        for number in range(60 if self._unit <= 60 else 1):
            hour |= second << (number * per_minute) if minute >> number & 1 else 0
        day = 0
        for number in rule.byhour or range(24):
            day |= hour << (number * per_hour)
        return day

    def next(self, wall: int) -> int | None:
        """The first member at or after `wall`."""
        wall = max(wall, self._floor)
        unit = self._next_unit(wall // self._unit)
        while unit is not None and self._offsets:
            at = bisect_left(self._offsets, wall - unit * self._unit)
            if at < len(self._offsets):
                found = unit * self._unit + self._offsets[at]
                return found if found <= LAST else None
            unit = self._next_unit(unit + 1)
        return None

    def prev(self, wall: int) -> int | None:
        """The last member at or before `wall`: stretches that double, then bisection, both by `count`."""
        wall = min(wall, LAST)
        low, high, step = wall, wall + 1, self._unit * self._interval
        while low >= self._floor and self.count(low, high) == 0:
            low, high, step = max(low - step, self._floor) if low > self._floor else -1, low, step * 2
        if low < self._floor:
            return None
        while high - low > 1:
            middle = (low + high) // 2
            if self.count(middle, high):
                low = middle
            else:
                high = middle
        return low

    def count(self, low: int, high: int) -> int:
        """How many members lie in [low, high)."""
        low, high = max(low, self._floor), min(high, LAST + 1)
        if low >= high:
            return 0
        first, last = low // self._unit, (high - 1) // self._unit
        inner = self._units(first + 1, last) * len(self._offsets)
        return inner + sum(self._edge(unit, low, high) for unit in {first, last})

    def _edge(self, unit: int, low: int, high: int) -> int:
        day, of_day = divmod(unit, self._per_day)
        if (unit - self._phase) % self._interval or not self._allowed >> of_day & 1 or not self._masks.has(day):
            return 0
        start = unit * self._unit
        return bisect_left(self._offsets, high - start) - bisect_left(self._offsets, low - start)

    def _units(self, low: int, high: int) -> int:
        """How many units in [low, high) count."""
        if low >= high:
            return 0
        first, last = low // self._per_day, (high - 1) // self._per_day
        total = -self._in_day(first, 0, low % self._per_day) + self._in_day(last, 0, (high - 1) % self._per_day + 1)
        if self._per_day % self._interval == 0:
            return total + self._masks.count(first, last) * self._in_day(0, 0, self._per_day, every=True)
        if self._interval > self._per_day:
            start = first * self._per_day
            start += (self._phase - start) % self._interval
            units = range(start, last * self._per_day, self._interval)
            return total + sum(
                self._allowed >> unit % self._per_day & 1 and self._masks.has(unit // self._per_day) for unit in units
            )
        return total + sum(self._in_day(day, 0, self._per_day, every=True) for day in self._masks.days(first, last))

    def _in_day(self, day: int, low: int, high: int, every: bool = False) -> int:
        """Units of `day` in [low, high) that count; `every` skips the check of the day itself."""
        if not every and not self._masks.has(day):
            return 0
        rest = (self._phase - day * self._per_day) % self._interval
        whole = (low, high) == (0, self._per_day)
        known = self._known.get(rest) if whole else None
        if known is None:
            start = low + (rest - low) % self._interval
            if self._interval == 1:
                known = (self._allowed >> low & ((1 << (high - low)) - 1)).bit_count()
            else:
                if not self._text:
                    self._text = bin(self._allowed)[:1:-1].ljust(self._per_day, "0")
                known = self._text[start : high : self._interval].count("1")
            if whole and len(self._known) < 100_000:
                self._known[rest] = known
        return known

    def _next_unit(self, unit: int) -> int | None:
        """The first unit from `unit` on that counts."""
        for _ in range(_FINE_BUDGET):
            unit += (self._phase - unit) % self._interval
            day, of_day = divmod(unit, self._per_day)
            if day > LAST_DAY:
                return None
            left = self._allowed >> of_day
            if left & 1:
                if self._masks.has(day):
                    return unit
                left = 0
            if left:
                unit += (left & -left).bit_length() - 1
                continue
            later = self._masks.next(day + 1)
            if later is None:
                return None
            unit = later * self._per_day
        return None


class Limited:
    """Another `Walls` up to its `count`-th member, or up to the wall second `until`."""

    __slots__ = ("_count", "_floor", "_last", "_walls")

    def __init__(self, walls: Walls, floor: int, count: int | None, until: int | None) -> None:
        self._walls, self._floor, self._count, self._last = walls, floor, count, until

    def next(self, wall: int) -> int | None:
        """The first member at or after `wall`."""
        found = self._walls.next(wall)
        return found if found is not None and found <= self._end() else None

    def prev(self, wall: int) -> int | None:
        """The last member at or before `wall`."""
        return self._walls.prev(min(wall, self._end()))

    def count(self, low: int, high: int) -> int:
        """How many members lie in [low, high)."""
        return self._walls.count(low, min(high, self._end() + 1))

    def _end(self) -> int:
        """The last wall second that may be a member; found once, by counting stretches that double."""
        if self._last is None:
            left, low, step = self._count or 0, self._floor, 366 * DAY
            while low <= LAST and (here := self._walls.count(low, low + step)) < left:
                left, low, step = left - here, low + step, min(step * 2, 10 * 366 * DAY)
            high = min(low + step, LAST + 1)
            base = low
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (low, middle) if self._walls.count(base, middle) >= left else (middle, high)
            self._last = low
        return self._last


def chosen(members: list[int], positions: tuple[int, ...]) -> list[int]:
    """BYSETPOS: the members at the given positions from the front (1, 2, …) or the back (-1, …)."""
    if not positions:
        return members
    size = len(members)
    picked = {position - 1 if position > 0 else size + position for position in positions}
    return [members[index] for index in sorted(picked) if 0 <= index < size]


def _bits(values: tuple[int, ...] | range) -> int:
    mask = 0
    for value in values:
        mask |= 1 << value
    return mask
