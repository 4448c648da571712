"""Calendar intervals as people write them: a mapping, or a sentence such as `every 2 weeks on mon, thu at 18:30`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from gnomon.core.errors import Problem, UsageError, usage
from gnomon.schedules.cron_days import month_length
from gnomon.schedules.kinds import choice, nearest, shown
from gnomon.schedules.moments import read_date

UNITS: Final = ("day", "week", "month", "year")
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
KEYS: Final = ("every", "day", "on", "month", "at", "missing", "anchor")
_MOST: Final = {"day": 36525, "week": 5218, "month": 1200, "year": 100}
_LONG_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_LONG_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_EVERY = re.compile(r"(?:every[ ]+)?(?:([0-9]{1,6})[ ]*)?(day|week|month|year)s?")
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?")
_SENTENCE = re.compile(
    r"every (?P<every>(?:[0-9]{1,6} ?)?[a-z]+)(?: on (?P<on>.+?))?(?: at (?P<at>[0-9:, and]+?))?"
    r"(?P<skip>(?:,? or)? skip)?(?: from (?P<anchor>[0-9-]+))?"
)
LAST_OF_MONTH: Final = 32
"""The day that stands for the last one of any month."""

_Read = Callable[[object], tuple[int | None, str]]
_HINT = 'write "every month on the last day at 09:00", "every 2 weeks on mon, thu at 18:30" or "every day at 07:00"'


@dataclass(frozen=True, slots=True)
class Plan:
    """A calendar rule in numbers.

    Attributes:
        every: number of units between occurrences.
        unit: day, week, month or year.
        weekdays: for weeks, 0 (Monday) to 6.
        months: for years, 1 to 12.
        days: for months and years, 1 to 31, or 32 for the last one.
        times: seconds of the day, ascending.
        clamp: a day that a month lacks becomes its last day; otherwise it is left out.
        anchor: local date from which units are counted and before which nothing fires, or None.
    """

    every: int
    unit: str
    weekdays: tuple[int, ...]
    months: tuple[int, ...]
    days: tuple[int, ...]
    times: tuple[int, ...]
    clamp: bool
    anchor: date | None

    @property
    def even(self) -> bool:
        """Whether every period has the same number of members."""
        return (
            self.unit in ("day", "week")
            or max(self.days) <= 28
            or (len(self.days) == 1 and (self.clamp or self.days[0] == LAST_OF_MONTH))
        )

    @property
    def per_period(self) -> int:
        """Members of a period, if `even`."""
        days = {"day": 1, "week": len(self.weekdays), "month": len(self.days)}
        return days.get(self.unit, len(self.months) * len(self.days)) * len(self.times)


def parse_plan(value: object) -> Plan:
    """Read the mapping under `calendar:`.

    Raises:
        UsageError: all problems at once; keys are `calendar.every`, `calendar.day`, …
    """
    if not isinstance(value, Mapping):
        raise usage("value_invalid", f"calendar is a mapping, not {shown(value)}", key="calendar", hint=_HINT)
    problems = [
        Problem(
            "key_unknown",
            f"calendar has no key {shown(key)}",
            f"calendar.{key[:60] if isinstance(key, str) else shown(key)}",
            nearest(key, KEYS),
        )
        for key in list(value)[:20]
        if key not in KEYS
    ]
    reader = _Reader(value, problems)
    every, unit = reader.every()
    anchor = reader.anchor()
    days = reader.days(anchor)
    months = reader.listed("month", unit == "year", _month, (anchor.month if anchor else 1,))
    weekdays = reader.listed("on", unit == "week", _weekday, (anchor.weekday() if anchor else 0,))
    times = reader.listed("at", True, _time, (0,))
    clamp = reader.clamp()
    if unit in ("day", "week") and "day" in value:
        problems.append(Problem("key_unknown", f"day does not go with every {unit}", "calendar.day", _fit(unit)))
    lengths = months if unit == "year" else tuple(range(1, 13))
    longest = max(month_length(2000, month) for month in lengths)
    if not clamp and longest < min(days) < LAST_OF_MONTH:
        message = f"day {min(days)} never comes in the month given, and missing is skip: allowed are 1 to its length"
        problems.append(Problem("calendar_never_fires", message, "calendar.day", "write missing: clamp"))
    if problems:
        raise UsageError(*problems)
    return Plan(every, unit, weekdays, months, days, times, clamp, anchor)


class _Reader:
    """Reads one key after the other and collects what is wrong."""

    def __init__(self, value: Mapping[object, object], problems: list[Problem]) -> None:
        self.value, self.problems = value, problems

    def wrong(self, key: str, message: str, hint: str = _HINT) -> None:
        self.problems.append(Problem("calendar_invalid", message, f"calendar.{key}", hint))

    def every(self) -> tuple[int, str]:
        text = self.value.get("every")
        match = _EVERY.fullmatch(text.strip().lower()) if isinstance(text, str) and len(text) < 60 else None
        if match is None:
            words = '"1 day", "2 weeks", "3 months" or "1 year"'
            self.wrong("every", f"{shown(text)} is not a number of days, weeks, months or years", f"write {words}")
            return 1, "day"
        number, most = int(match[1] or 1), _MOST[match[2]]
        if not 1 <= number <= most:
            self.wrong("every", f"{number} {match[2]}s is not between 1 and {most} {match[2]}s", "100 years at most")
        return max(number, 1), match[2]

    def anchor(self) -> date | None:
        if self.value.get("anchor") is None:
            return None
        try:
            return read_date(self.value["anchor"], "calendar.anchor")
        except UsageError as error:
            self.problems.extend(error.problems)
            return None

    def days(self, anchor: date | None) -> tuple[int, ...]:
        found = self.listed("day", True, _day, (anchor.day if anchor else 1,))
        return found or (1,)

    def listed(self, key: str, fits: bool, read: _Read, default: tuple[int, ...]) -> tuple[int, ...]:
        """The values of a key that takes one value or a list, ascending, without doubles."""
        written = self.value.get(key)
        if written is None:
            return default
        if not fits:
            hint = {"on": "weekdays go with weeks", "month": "months go with years"}.get(key, "")
            self.wrong(key, f"{key} does not go with every {shown(self.value.get('every'))}", hint)
            return default
        items: list[object] = list(written) if isinstance(written, (list, tuple)) else [written]
        if isinstance(written, str) and len(written) <= 200:
            items = list(re.split(r"(?:,| and )[ ]*", written.strip()))
        if not 1 <= len(items) <= 100:
            self.wrong(key, f"{key} has {len(items)} values; 1 to 100 are allowed")
            return default
        values = set()
        for item in items:
            number, allowed = read(item)
            if number is None:
                self.wrong(key, f"{key} {shown(item)} is out of range: allowed are {allowed}", f"allowed: {allowed}")
            else:
                values.add(number)
        return tuple(sorted(values)) or default

    def clamp(self) -> bool:
        missing = self.value.get("missing", "clamp")
        problem = choice(missing, "calendar.missing", ("clamp", "skip"))
        self.problems.extend([problem] if problem else [])
        return missing != "skip"


def parse_sentence(text: str) -> Plan:
    """Read `every UNIT [on DAYS] [at TIMES] [or skip] [from DATE]`.

    Raises:
        UsageError: what part is not understood, at `calendar`.
    """
    if len(text) > 300:
        raise usage("calendar_invalid", f"{shown(text)} is longer than 300 characters", key="calendar", hint=_HINT)
    match = _SENTENCE.fullmatch(" ".join(text.lower().split()))
    if match is None:
        raise usage("calendar_invalid", f"{shown(text)} is not a calendar interval", key="calendar", hint=_HINT)
    mapping: dict[str, object] = {"every": match["every"]}
    word = match["every"]
    if word == "weekday":
        mapping = {"every": "1 week", "on": list(WEEKDAYS[:5])}
    elif _weekday(word)[0] is not None:
        mapping = {"every": "1 week", "on": word}
    if match["on"]:
        unit = str(mapping["every"]).rstrip("s")
        words = [w for w in re.split(r"[ ,]+", match["on"]) if w not in ("and", "the", "day", "days", "of", "")]
        months = [w for w in words if _month(w)[0] is not None and not w.isdigit()]
        rest = [w for w in words if w not in months]
        if unit.endswith("week"):
            mapping["on"] = words
        else:
            mapping |= {"month": months} if months else {}
            mapping |= {"day": rest} if rest or not months else {}
    if match["at"]:
        mapping["at"] = match["at"]
    mapping |= {"missing": "skip"} if match["skip"] else {}
    mapping |= {"anchor": match["anchor"]} if match["anchor"] else {}
    return parse_plan(mapping)


def plan_of(rule: object) -> Plan:
    """The plan of a canonical rule."""
    return parse_plan(rule)


def canonical(plan: Plan) -> dict[str, object]:
    """The mapping that `parse_plan` reads back as the same plan."""
    rule: dict[str, object] = {"every": f"{plan.every} {plan.unit}" + ("s" if plan.every > 1 else "")}
    if plan.unit == "week":
        rule["on"] = [WEEKDAYS[day] for day in plan.weekdays]
    if plan.unit == "year":
        rule["month"] = [MONTHS[month - 1] for month in plan.months]
    if plan.unit in ("month", "year"):
        rule["day"] = ["last" if day == LAST_OF_MONTH else day for day in plan.days]
        rule |= {} if plan.clamp else {"missing": "skip"}
    rule["at"] = [clock(time) for time in plan.times]
    short = {key: item[0] if isinstance(item, list) and len(item) == 1 else item for key, item in rule.items()}
    return short | ({"anchor": plan.anchor.isoformat()} if plan.anchor else {})


def clock(second: int) -> str:
    """`HH:MM` or `HH:MM:SS` of a second of the day."""
    text = f"{second // 3600:02d}:{second // 60 % 60:02d}"
    return text if second % 60 == 0 else f"{text}:{second % 60:02d}"


def _day(item: object) -> tuple[int | None, str]:
    allowed = "1-31 or last"
    if isinstance(item, str):
        match = re.fullmatch(r"(last)(?: day)?|([0-9]{1,2})(?:st|nd|rd|th)?", item.strip().lower()[:20])
        if match is None:
            return None, allowed
        item = LAST_OF_MONTH if match[1] else int(match[2])
        return (item if 1 <= item <= 31 or match[1] else None), allowed
    good = isinstance(item, int) and not isinstance(item, bool) and 1 <= item <= 31
    return (item if good and isinstance(item, int) else None), allowed


def _month(item: object) -> tuple[int | None, str]:
    allowed = "1-12 or jan-dec"
    if isinstance(item, str):
        word = item.strip().lower()[:12]
        if word.isascii() and word.isdigit():
            item = int(word)
        else:
            for names in (MONTHS, _LONG_MONTHS):
                if word in names:
                    return names.index(word) + 1, allowed
    good = isinstance(item, int) and not isinstance(item, bool) and 1 <= item <= 12
    return (item if good and isinstance(item, int) else None), allowed


def _weekday(item: object) -> tuple[int | None, str]:
    allowed = "mon, tue, wed, thu, fri, sat, sun"
    word = item.strip().lower()[:12] if isinstance(item, str) else ""
    for names in (WEEKDAYS, _LONG_DAYS):
        if word in names:
            return names.index(word), allowed
    return None, allowed


def _time(item: object) -> tuple[int | None, str]:
    allowed = "00:00 to 23:59, or 00:00:00 to 23:59:59"
    match = _CLOCK.fullmatch(item.strip()[:12]) if isinstance(item, str) else None
    if match is None or int(match[1]) > 23 or int(match[2]) > 59 or int(match[3] or 0) > 59:
        return None, allowed
    return int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3] or 0), allowed


def _fit(unit: str) -> str:
    return "write at: for the time of day" if unit == "day" else "write on: mon for weekdays"
