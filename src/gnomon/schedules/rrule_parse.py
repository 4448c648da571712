"""RFC 5545 recurrence rules as text: `FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=9`. Limits are those of section 3.3.10."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Final

from gnomon.core.errors import Problem, UsageError
from gnomon.schedules.kinds import shown

FREQUENCIES: Final = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY")
WEEKDAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
MAX_LENGTH: Final = 2000
MAX_COUNT: Final = 100_000
_PARTS = (
    *("FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYMONTH", "BYWEEKNO", "BYYEARDAY", "BYMONTHDAY"),
    *("BYDAY", "BYHOUR", "BYMINUTE", "BYSECOND", "BYSETPOS"),
)
_LISTS = {
    "BYMONTH": (1, 12, False),
    "BYWEEKNO": (1, 53, True),
    "BYYEARDAY": (1, 366, True),
    "BYMONTHDAY": (1, 31, True),
    "BYHOUR": (0, 23, False),
    "BYMINUTE": (0, 59, False),
    "BYSECOND": (0, 59, False),
    "BYSETPOS": (1, 366, True),
}
_DAY = re.compile(r"([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_UNTIL = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})(?:T([0-9]{2})([0-9]{2})([0-9]{2})(Z)?)?")
_NUMBER = re.compile(r"[+-]?[0-9]{1,9}")
_AT_NEW_YEAR = frozenset((1, 52, 53, -1, -52, -53))  # numbers of weeks that may lie in two years
_HINT = "write for example RRULE:FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=9;BYMINUTE=0;BYSECOND=0"


@dataclass(frozen=True, slots=True)
class Recur:
    """A rule in numbers. Weekdays count from Monday = 0; `byday` holds (nth or 0, weekday).

    `until` is a wall-clock datetime (naive), or an instant (aware), inclusive.
    """

    text: str
    freq: str
    interval: int = 1
    count: int | None = None
    until: datetime | None = None
    wkst: int = 0
    bymonth: tuple[int, ...] = ()
    byweekno: tuple[int, ...] = ()
    byyearday: tuple[int, ...] = ()
    bymonthday: tuple[int, ...] = ()
    byday: tuple[tuple[int, int], ...] = ()
    byhour: tuple[int, ...] = ()
    byminute: tuple[int, ...] = ()
    bysecond: tuple[int, ...] = ()
    bysetpos: tuple[int, ...] = ()

    def starting(self, start: datetime) -> Recur:
        """With everything filled in that the rule takes from its first instant `start` (naive, local)."""
        rule, rank = self, FREQUENCIES.index(self.freq)
        if not (self.byweekno or self.byyearday or self.bymonthday or self.byday):
            if self.freq == "YEARLY":
                rule = replace(rule, bymonth=self.bymonth or (start.month,), bymonthday=(start.day,))
            elif self.freq == "MONTHLY":
                rule = replace(rule, bymonthday=(start.day,))
            elif self.freq == "WEEKLY":
                rule = replace(rule, byday=((0, start.weekday()),))
        elif self.byweekno and not (self.byyearday or self.bymonthday or self.byday):
            rule = replace(rule, byday=((0, start.weekday()),))
        return replace(
            rule,
            byhour=self.byhour or ((start.hour,) if rank < 4 else ()),
            byminute=self.byminute or ((start.minute,) if rank < 5 else ()),
            bysecond=self.bysecond or ((start.second,) if rank < 6 else ()),
        )

    def warnings(self) -> tuple[str, ...]:
        """Where RFC 5545 can be read in two ways, or other programs read it differently: which reading is ours."""
        found, yearly = [], self.freq == "YEARLY"
        if self.byweekno and not (self.byyearday or self.bymonthday or self.byday):
            found.append(
                "BYWEEKNO without BYDAY is one day of the week, that of DTSTART (RFC 5545, 3.3.10); "
                "others fire on all seven: write BYDAY"
            )
        if yearly and self.bymonthday and not (self.bymonth or self.byweekno or self.byyearday):
            found.append(
                "FREQ=YEARLY with BYMONTHDAY and no BYMONTH is that day of every month; "
                "others take the month of DTSTART: write BYMONTH, or FREQ=MONTHLY"
            )
        if (self.interval > 1 or self.bysetpos) and _AT_NEW_YEAR.intersection(self.byweekno):
            found.append(
                "the days of the first and the last week count to the calendar year that they lie in, for INTERVAL and "
                "BYSETPOS; others count them to the year of their week: name weeks 2 to 51, or leave INTERVAL out"
            )
        return tuple(found)


def parse_rrule(value: object) -> Recur:
    """Read a rule, with or without `RRULE:` in front.

    Raises:
        UsageError: `rrule_invalid`, one problem per bad part, naming it and the allowed range; the key is `rrule`.
    """
    if not isinstance(value, str):
        raise UsageError(_problem(f"a recurrence rule is a string, not {shown(value)}"))
    if len(value) > MAX_LENGTH:
        raise UsageError(_problem(f"the rule has {len(value)} characters; at most {MAX_LENGTH} are allowed"))
    text = value.strip().upper()
    text = text.removeprefix("RRULE:").strip().rstrip(";")
    problems: list[Problem] = []
    parts: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, body = part.partition("=")
        if name not in _PARTS or not equals or not body:
            near = get_close_matches(name[:20], _PARTS, n=1)
            hint = f"did you mean {near[0]}=…?" if near else "allowed: " + ", ".join(_PARTS)
            problems.append(_problem(f"part {shown(part)} is not one of RFC 5545", hint))
        elif name in parts:
            problems.append(_problem(f"part {name} is given twice", "join the values with commas"))
        else:
            parts[name] = body
    fields: dict[str, tuple[int, ...]] = {}
    for name, (low, high, signed) in _LISTS.items():
        if name in parts:
            fields[name] = _numbers(name, parts[name], low, high, signed, problems)
    recur = Recur(
        text=text,
        freq=_freq(parts, problems),
        interval=_one(parts, "INTERVAL", 1, 1_000_000, problems) or 1,
        count=_one(parts, "COUNT", 1, MAX_COUNT, problems),
        until=_until(parts, problems),
        wkst=_wkst(parts, problems),
        byday=_byday(parts.get("BYDAY"), problems),
        bymonth=fields.get("BYMONTH", ()),
        byweekno=fields.get("BYWEEKNO", ()),
        byyearday=fields.get("BYYEARDAY", ()),
        bymonthday=fields.get("BYMONTHDAY", ()),
        byhour=fields.get("BYHOUR", ()),
        byminute=fields.get("BYMINUTE", ()),
        bysecond=fields.get("BYSECOND", ()),
        bysetpos=fields.get("BYSETPOS", ()),
    )
    problems += [] if problems else _conflicts(recur, parts)
    if problems:
        raise UsageError(*problems[:20])
    return recur


def _conflicts(recur: Recur, parts: dict[str, str]) -> list[Problem]:
    """Combinations that RFC 5545 forbids."""
    freq, found = recur.freq, []
    checks: tuple[tuple[bool, Callable[[], str]], ...] = (
        ("COUNT" in parts and "UNTIL" in parts, lambda: "COUNT and UNTIL exclude each other"),
        (bool(recur.byweekno) and freq != "YEARLY", lambda: f"BYWEEKNO goes with FREQ=YEARLY, not {freq}"),
        (bool(recur.bymonthday) and freq == "WEEKLY", lambda: "BYMONTHDAY does not go with FREQ=WEEKLY"),
        (
            bool(recur.byyearday) and freq in ("DAILY", "WEEKLY", "MONTHLY"),
            lambda: f"BYYEARDAY does not go with FREQ={freq}",
        ),
        (
            any(nth for nth, _ in recur.byday) and (freq not in ("MONTHLY", "YEARLY") or bool(recur.byweekno)),
            lambda: f"BYDAY with a number goes with FREQ=MONTHLY or YEARLY (without BYWEEKNO), not {freq}",
        ),
        (
            bool(recur.bysetpos) and sum(name.startswith("BY") for name in parts) == 1,
            lambda: "BYSETPOS needs another BY part to choose from",
        ),
    )
    for wrong, message in checks:
        if wrong:
            found.append(_problem(message(), "allowed combinations: RFC 5545, section 3.3.10"))
    return found


def _freq(parts: dict[str, str], problems: list[Problem]) -> str:
    freq = parts.get("FREQ", "")
    if freq not in FREQUENCIES:
        hint = "allowed: " + ", ".join(FREQUENCIES)
        problems.append(_problem(f"FREQ {shown(freq)} is not a frequency" if freq else "FREQ is missing", hint))
        return "DAILY"
    return freq


def _one(parts: dict[str, str], name: str, low: int, high: int, problems: list[Problem]) -> int | None:
    if name not in parts:
        return None
    text = parts[name]
    if not _NUMBER.fullmatch(text) or not low <= int(text) <= high:
        problems.append(_problem(f"{name} {shown(text)} is out of range: allowed are {low} to {high}"))
        return None
    return int(text)


def _numbers(name: str, text: str, low: int, high: int, signed: bool, problems: list[Problem]) -> tuple[int, ...]:
    values = set()
    for item in text.split(","):
        number = int(item) if _NUMBER.fullmatch(item) else None
        if number is None or not low <= (abs(number) if signed else number) <= high:
            allowed = f"{low} to {high}" + (f" and -{high} to -{low}" if signed else "")
            problems.append(_problem(f"{name} {shown(item)} is out of range: allowed are {allowed}"))
        else:
            values.add(number)
    return tuple(sorted(values))


def _byday(text: str | None, problems: list[Problem]) -> tuple[tuple[int, int], ...]:
    found: dict[tuple[int, int], None] = {}
    for item in text.split(",") if text else ():
        match = _DAY.fullmatch(item)
        nth = int(match[1] or 0) if match else 0
        if match is None or abs(nth) > 53 or (match[1] and nth == 0):
            allowed = "MO to SU, with 1 to 53 or -53 to -1 in front"
            problems.append(_problem(f"BYDAY {shown(item)} is out of range: allowed are {allowed}"))
        else:
            found[nth, WEEKDAYS.index(match[2])] = None
    return tuple(found)


def _wkst(parts: dict[str, str], problems: list[Problem]) -> int:
    text = parts.get("WKST", "MO")
    if text not in WEEKDAYS:
        problems.append(_problem(f"WKST {shown(text)} is out of range: allowed are MO to SU"))
        return 0
    return WEEKDAYS.index(text)


def _until(parts: dict[str, str], problems: list[Problem]) -> datetime | None:
    """UNTIL: with `Z` an instant, else local time; a date alone lasts to its end."""
    text = parts.get("UNTIL")
    match = _UNTIL.fullmatch(text) if text else None
    if text is None:
        return None
    try:
        if match is None:
            raise ValueError("it is not of the form 20261231 or 20261231T235959Z")
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
        moment = datetime(year, month, day, hour, minute, second)
        if match[4] is None:
            return moment + timedelta(seconds=86399)
        return datetime.fromisoformat(moment.isoformat() + "+00:00") if match[7] else moment
    except ValueError as error:
        problems.append(_problem(f"UNTIL {shown(text)} is not a time: {error}", "allowed: years 0001 to 9999"))
        return None


def _problem(message: str, hint: str = _HINT) -> Problem:
    return Problem("rrule_invalid", message, "rrule", hint)
