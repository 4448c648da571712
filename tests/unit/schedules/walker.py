"""An independent reading of the cron rules: walks minute by minute, one clock at a time. Slow and plain on purpose.

Shares no code with the evaluator. It takes instants in order and asks what a person with a wall clock would see.
"""

from __future__ import annotations

import calendar
import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Africa/Cairo",
    "Pacific/Apia",
    "America/Caracas",
    "Pacific/Chatham",
    "Asia/Pyongyang",
    "Africa/Casablanca",
    "Asia/Gaza",
    "America/Havana",
    "Antarctica/Troll",
    "Asia/Tehran",
    "America/Santiago",
)
CHANGES = {
    # instants (UTC) near which each zone changed its clocks
    "UTC": ("2026-03-29T01:00", "2016-12-31T23:59"),
    "Europe/Berlin": ("2026-03-29T01:00", "2026-10-25T01:00"),
    "America/New_York": ("2026-03-08T07:00", "2026-11-01T06:00"),
    "Australia/Lord_Howe": ("2026-04-04T15:00", "2026-10-03T15:30"),
    "America/Sao_Paulo": ("2018-11-04T03:00", "2018-02-18T02:00", "2019-02-17T02:00"),
    "Africa/Cairo": ("2026-04-23T22:00", "2026-10-29T21:00"),
    "Pacific/Apia": ("2011-12-30T10:00", "2011-09-24T14:00", "2012-03-31T14:00"),
    "America/Caracas": ("2007-12-09T07:00", "2016-05-01T07:00"),
    "Pacific/Chatham": ("2026-04-04T14:00", "2026-09-26T14:00"),
    "Asia/Pyongyang": ("2015-08-14T15:00", "2018-05-04T15:00"),
    "Africa/Casablanca": ("2026-02-15T02:00", "2026-03-22T02:00"),
    "Asia/Gaza": ("2026-03-28T00:00", "2026-10-23T23:00", "2011-08-01T00:00", "2011-09-29T21:00"),
    "America/Havana": ("2026-03-08T05:00", "2026-11-01T05:00"),
    "Antarctica/Troll": ("2026-03-29T01:00", "2026-10-25T01:00"),
    "Asia/Tehran": ("2022-03-21T20:30", "2022-09-21T19:30"),
    "America/Santiago": ("2026-04-05T03:00", "2026-09-06T04:00"),
}
NAMES = {
    n: i for i, n in enumerate(["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"], 1)
}
DAYS = {n: i for i, n in enumerate(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"])}


def change(zone: str, number: int = 0) -> datetime:
    """An instant near a change of the zone's clock."""
    return datetime.fromisoformat(CHANGES[zone][number] + "+00:00")


def plain(item: str, low: int, high: int, names: dict[str, int]) -> set[int]:
    """The values of one list item without day operators."""
    body, _, step = item.partition("/")

    def number(text: str) -> int:
        return names[text.upper()] if text.upper() in names else int(text)

    if body in ("*", "?"):
        order = list(range(low, high + 1))
    elif "-" in body:
        first, last = (number(part) for part in body.split("-"))
        order, at = [first], first
        while at != last:
            at = low if at >= high and last < first else at + 1
            order.append(at)
    else:
        order = list(range(number(body), high + 1)) if step else [number(body)]
    return set(order[:: int(step or 1)])


@dataclass(frozen=True)
class Walker:
    """Five fields, read the slow way."""

    text: str
    zone: str
    gap: str | None = None
    fold: str | None = None

    def matches(self, wall: datetime) -> bool:
        minute, hour, dom, month, dow = self.text.split()
        if wall.minute not in self.values(minute, 0, 59) or wall.hour not in self.values(hour, 0, 23):
            return False
        return wall.month in self.values(month, 1, 12, NAMES) and self.day(wall.date(), dom, dow)

    def values(self, field: str, low: int, high: int, names: dict[str, int] | None = None) -> set[int]:
        return set().union(*(plain(item, low, high, names or {}) for item in field.split(",")))

    def day(self, day: date, dom: str, dow: str) -> bool:
        length = calendar.monthrange(day.year, day.month)[1]
        by_date = any(self.date_item(item, day, length) for item in dom.split(","))
        by_week = any(self.week_item(item, day, length) for item in dow.split(","))
        either_open = dom[0] in "*?" or dow[0] in "*?"
        return (by_date and by_week) if either_open else (by_date or by_week)

    def date_item(self, item: str, day: date, length: int) -> bool:
        if item == "L":
            return day.day == length
        if item == "LW" or item.endswith("W"):
            target = length if item == "LW" else int(item[:-1])
            if target > length:
                return False
            workdays = [d for d in range(1, length + 1) if date(day.year, day.month, d).weekday() < 5]
            weekday = date(day.year, day.month, target).weekday()
            side = -1 if weekday == 5 else 1
            return day.day == min(workdays, key=lambda d: (abs(d - target), -side * (d - target)))
        return day.day in plain(item, 1, 31, {})

    def week_item(self, item: str, day: date, length: int) -> bool:
        today = (day.weekday() + 1) % 7
        if "#" in item:
            weekday, nth = item.split("#")
            number = DAYS[weekday.upper()] if weekday.upper() in DAYS else int(weekday) % 7
            return today == number and (day.day - 1) // 7 + 1 == int(nth)
        if item.endswith("L"):
            weekday = item[:-1]
            number = DAYS[weekday.upper()] if weekday.upper() in DAYS else int(weekday) % 7
            return today == number and day.day + 7 > length
        high = 7 if "7" in item.partition("/")[0] else 6
        return today in {value % 7 for value in plain(item, 0, high, DAYS)}

    def fires(self, low: datetime, high: datetime) -> list[datetime]:
        """Fires at whole minutes in (low, high], both in UTC."""
        minute, hour = self.text.split()[:2]
        wildcard = minute.startswith("*") or hour.startswith("*")
        gap = self.gap or ("skip" if wildcard else "after")
        fold = self.fold or ("both" if wildcard else "first")
        zone, found = ZoneInfo(self.zone), []
        at = low.replace(second=0, microsecond=0) - 1500 * MINUTE
        before = at.astimezone(zone)
        while at < high:
            at += MINUTE
            now = at.astimezone(zone)
            jump = now.replace(tzinfo=None) - before.replace(tzinfo=None) - MINUTE
            fire = at > low and self.matches(now.replace(tzinfo=None)) and self.counts(now, fold)
            if timedelta(0) < jump < timedelta(hours=3) and gap == "after":
                missing = [before.replace(tzinfo=None) + k * MINUTE for k in range(1, jump // MINUTE + 1)]
                fire = fire or (at > low and any(map(self.matches, missing)))
            if fire:
                found.append(at)
            before = now
        return found

    def counts(self, now: datetime, fold: str) -> bool:
        first, second = now.replace(fold=0), now.replace(fold=1)
        shift = first.utcoffset() - second.utcoffset()
        if fold == "both" or shift <= timedelta(0) or shift >= timedelta(hours=3):
            return True
        return (now.utcoffset() == first.utcoffset()) == (fold == "first")


def random_field(rng: random.Random, low: int, high: int, names: tuple[str, ...] = ()) -> str:
    """A random valid field."""

    def value() -> str:
        number = rng.randint(low, high)
        return rng.choice(names) if names and rng.random() < 0.3 else str(number)

    kind = rng.random()
    if kind < 0.3:
        return "*"
    if kind < 0.42:
        return f"*/{rng.randint(1, max(2, (high - low) // 2))}"
    items = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        shape = rng.random()
        if shape < 0.6:
            items.append(value())
        elif shape < 0.9:
            first, last = value(), value()
            step = f"/{rng.randint(1, 5)}" if rng.random() < 0.4 else ""
            items.append(f"{first}-{last}{step}")
        else:
            items.append(f"{rng.randint(low, high)}/{rng.randint(1, 7)}")
    return ",".join(items)


def random_expression(rng: random.Random) -> str:
    """A random valid five-field expression that may fire rarely or never."""
    dom = random_field(rng, 1, 31)
    if rng.random() < 0.12:
        dom = rng.choice(("L", "LW", "?", "15W", "1W", "31W", "1,L", f"{rng.randint(1, 31)}W"))
    dow = random_field(rng, 0, 6, tuple(DAYS))
    if rng.random() < 0.12:
        dow = rng.choice(
            ("?", "FRIL", "1#1", "SUN#5", "0L", "7", "5#2,MON", f"{rng.randint(0, 7)}#{rng.randint(1, 5)}")
        )
    month = random_field(rng, 1, 12, tuple(NAMES)) if rng.random() < 0.4 else "*"
    return " ".join((random_field(rng, 0, 59), random_field(rng, 0, 23), dom, month, dow))


def utc(text: str) -> datetime:
    """`2026-03-29T01:00` as an aware UTC datetime."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class Window:
    """All minutes around one change of a zone's clock, laid out once and scanned for many expressions."""

    def __init__(self, zone: str, centre: datetime, hours: int = 30) -> None:
        self.zone = zone
        self.low = centre.replace(second=0, microsecond=0) - timedelta(hours=hours)
        self.high = self.low + timedelta(hours=2 * hours)
        info = ZoneInfo(zone)
        self.shown: list[tuple[datetime, int, int, date, int]] = []
        self.jumps: list[tuple[datetime, list[datetime]]] = []
        at, before = self.low, self.low.astimezone(info).replace(tzinfo=None)
        while at < self.high:
            at += MINUTE
            aware = at.astimezone(info)
            now = aware.replace(tzinfo=None)
            jump = now - before - MINUTE
            if timedelta(0) < jump < timedelta(hours=3):
                self.jumps.append((at, [before + k * MINUTE for k in range(1, jump // MINUTE + 1)]))
            first, second = aware.replace(fold=0).utcoffset(), aware.replace(fold=1).utcoffset()
            small_fold = timedelta(0) < first - second < timedelta(hours=3)
            which = 0 if not small_fold else 1 if aware.utcoffset() == first else 2
            self.shown.append((at, now.minute, now.hour, now.date(), which))
            before = now
        self.dates = {entry[3] for entry in self.shown} | {m.date() for _, missing in self.jumps for m in missing}

    def fires(self, walker: Walker) -> list[datetime]:
        """Every fire in (low, high], in order."""
        minute, hour, dom, month, dow = walker.text.split()
        minutes, hours = walker.values(minute, 0, 59), walker.values(hour, 0, 23)
        months = walker.values(month, 1, 12, NAMES)
        days = {day for day in self.dates if day.month in months and walker.day(day, dom, dow)}
        wildcard = minute.startswith("*") or hour.startswith("*")
        gap = walker.gap or ("skip" if wildcard else "after")
        passes = {"first": (0, 1), "second": (0, 2), "both": (0, 1, 2)}[
            walker.fold or ("both" if wildcard else "first")
        ]
        if not days:
            return []
        found = {e[0] for e in self.shown if e[1] in minutes and e[2] in hours and e[3] in days and e[4] in passes}
        if gap == "after":
            for at, missing in self.jumps:
                if any(m.minute in minutes and m.hour in hours and m.date() in days for m in missing):
                    found.add(at)
        return sorted(found)
