"""What a rule leaves out comes from DTSTART: the table of RFC 5545, 3.3.10, walked day by day, without our code."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, datetime, timedelta

import pytest

from gnomon.core.errors import UsageError
from gnomon.schedules.rrule import walls_of
from gnomon.schedules.rrule_parse import parse_rrule
from gnomon.schedules.zones import get_zone, wall_seconds
from tests.unit.schedules.rules import KINDS, local, spec_of
from tests.unit.schedules.test_rrule import DAYS, random_rule

END = date(2070, 1, 1)


class ByTable:
    """A rule of days or longer, read literally."""

    def __init__(self, text: str, start: datetime) -> None:
        parts = dict(part.split("=") for part in text.split(";"))
        self.start, self.freq = start, parts["FREQ"]
        self.interval = int(parts.get("INTERVAL", 1))
        self.week_start = DAYS.index(parts.get("WKST", "MO"))
        self.lists = {
            name: [int(item) for item in parts[name].split(",")] if name in parts else []
            for name in ("BYMONTH", "BYWEEKNO", "BYYEARDAY", "BYMONTHDAY", "BYHOUR", "BYMINUTE", "BYSECOND", "BYSETPOS")
        }
        self.days = [(int(one[:-2] or 0), DAYS.index(one[-2:])) for one in parts.get("BYDAY", "").split(",") if one]

    def week_one(self, year: int) -> date:
        """The week with 4 January in it."""
        fourth = date(year, 1, 4)
        return fourth - timedelta(days=(fourth.weekday() - self.week_start) % 7)

    def week(self, day: date) -> tuple[int, int]:
        """The number of a day's week, from the front and from the back of its year."""
        year = next(y for y in (day.year + 1, day.year, day.year - 1) if self.week_one(y) <= day)
        number = (day - self.week_one(year)).days // 7 + 1
        return number, number - (self.week_one(year + 1) - self.week_one(year)).days // 7 - 1

    def period(self, day: date) -> int:
        if self.freq == "DAILY":
            return day.toordinal()
        if self.freq == "WEEKLY":
            return (day.toordinal() - 1 - self.week_start) // 7  # ordinal 1 is a Monday
        return day.year * 12 + day.month if self.freq == "MONTHLY" else day.year

    def fits(self, day: date) -> bool:
        lists, following = self.lists, day.replace(day=28) + timedelta(days=4)
        length = (following.replace(day=1) - day.replace(day=1)).days
        of_year, year_length = day.timetuple().tm_yday, date(day.year, 12, 31).timetuple().tm_yday
        asked = [
            not lists["BYMONTH"] or day.month in lists["BYMONTH"],
            not lists["BYWEEKNO"] or not {*self.week(day)}.isdisjoint(lists["BYWEEKNO"]),
            not lists["BYYEARDAY"] or not {of_year, of_year - year_length - 1}.isdisjoint(lists["BYYEARDAY"]),
            not lists["BYMONTHDAY"] or not {day.day, day.day - length - 1}.isdisjoint(lists["BYMONTHDAY"]),
            not self.days or any(self.is_nth(day, nth, weekday) for nth, weekday in self.days),
        ]
        return all(asked) and self.derived(day)

    def is_nth(self, day: date, nth: int, weekday: int) -> bool:
        if day.weekday() != weekday or nth == 0:
            return day.weekday() == weekday
        monthly = self.freq == "MONTHLY" or self.lists["BYMONTH"]
        first = day.replace(day=1) if monthly else date(day.year, 1, 1)
        last = (first + timedelta(days=31)).replace(day=1) if monthly else date(day.year + 1, 1, 1)
        if nth > 0:
            return (day - first).days // 7 + 1 == nth
        return (last - day - timedelta(days=1)).days // 7 + 1 == -nth

    def derived(self, day: date) -> bool:
        """What the rule does not say, DTSTART does."""
        if self.days or self.lists["BYMONTHDAY"] or self.lists["BYYEARDAY"] or self.freq == "DAILY":
            return True
        if self.freq == "WEEKLY" or self.lists["BYWEEKNO"]:
            return day.weekday() == self.start.weekday()
        if self.freq == "MONTHLY" or self.lists["BYMONTH"]:
            return day.day == self.start.day
        return (day.month, day.day) == (self.start.month, self.start.day)

    def members(self) -> Iterator[datetime]:
        times = [
            (hour, minute, second)
            for hour in self.lists["BYHOUR"] or [self.start.hour]
            for minute in self.lists["BYMINUTE"] or [self.start.minute]
            for second in self.lists["BYSECOND"] or [self.start.second]
        ]
        day = self.start.date() - timedelta(days=400)
        first, members, number = self.period(self.start.date()), list[datetime](), self.period(day)
        while day < END:
            if self.period(day) != number:
                yield from self.chosen(members)
                members, number = [], self.period(day)
            if (number - first) % self.interval == 0 and self.fits(day):
                members += [datetime(day.year, day.month, day.day, *time) for time in times]
            day += timedelta(days=1)

    def chosen(self, members: list[datetime]) -> Iterator[datetime]:
        positions = self.lists["BYSETPOS"]
        for at, member in enumerate(sorted(members)):
            if (not positions or not {at + 1, at - len(members)}.isdisjoint(positions)) and member >= self.start:
                yield member


@pytest.mark.parametrize("seed", range(8))
def test_missing_parts_come_from_dtstart(seed: int) -> None:
    rng, compared = random.Random(seed), 0
    while compared < 20:
        text = random_rule(rng)
        if any(word in text for word in ("HOURLY", "MINUTELY", "SECONDLY", "COUNT", "UNTIL")):
            continue
        start = datetime(2024, 1, 1) + timedelta(seconds=rng.randrange(4 * 365 * 86400))
        walls, at, ours = walls_of(parse_rrule(text), start, get_zone("UTC")), wall_seconds(start), list[int]()
        limit = wall_seconds(datetime(2060, 1, 1))
        while len(ours) < 30 and (found := walls.next(at)) is not None and found < limit:
            ours.append(found)
            at = found + 1
        theirs = [wall_seconds(m) for _, m in zip(range(len(ours) or 1), ByTable(text, start).members(), strict=False)]
        assert ours == [one for one in theirs if one < limit], f"seed={seed} {text} from {start}"
        compared += 1


def test_a_week_is_one_day() -> None:
    value = {"rrule": "FREQ=YEARLY;BYWEEKNO=20", "dtstart": "2026-05-13T09:00:00"}  # a Wednesday
    assert local(value, "2026-01-01T00:00:00", 2) == ["2026-05-13T09:00:00+0000", "2027-05-19T09:00:00+0000"]


@pytest.mark.parametrize(("rule", "said"), [
    ("FREQ=YEARLY;BYWEEKNO=20", "write BYDAY"),
    ("FREQ=YEARLY;BYMONTHDAY=15", "every month"),
    ("FREQ=YEARLY;INTERVAL=2;BYWEEKNO=1;BYDAY=MO", "calendar year"),
    ("FREQ=YEARLY;BYWEEKNO=-1;BYDAY=MO,SU;BYSETPOS=1", "calendar year"),
])  # fmt: skip
def test_what_others_read_differently_is_warned_of(rule: str, said: str) -> None:
    (warning,) = KINDS.warnings(spec_of(f"RRULE:{rule}"), job_id="job")
    assert said in warning


@pytest.mark.parametrize("rule", [
    "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", "FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=15", "FREQ=MONTHLY;BYMONTHDAY=15",
    "FREQ=YEARLY;INTERVAL=2;BYWEEKNO=20;BYDAY=MO", "FREQ=YEARLY", "FREQ=DAILY",
])  # fmt: skip
def test_what_all_read_alike_is_not(rule: str) -> None:
    assert KINDS.warnings(spec_of(f"RRULE:{rule}"), job_id="job") == ()


@pytest.mark.parametrize("rule", ["FREQ=YEARLY;BYWEEKNO=53;BYMONTH=12", "FREQ=DAILY;INTERVAL=7;BYDAY=TU"])
def test_a_rule_whose_fires_depend_on_the_day_it_is_first_seen_wants_a_dtstart(rule: str) -> None:
    """Week 53 has days of December from Monday to Thursday only, every seventh day is a Tuesday or never is one."""
    with pytest.raises(UsageError, match="dtstart"):
        spec_of(f"RRULE:{rule}")
    spec_of({"rrule": rule, "dtstart": "2026-01-06T09:00"})  # a Tuesday
