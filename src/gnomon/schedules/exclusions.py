"""Days on which nothing fires: dates, ranges, weekends, public holidays, and iCal files of all-day events.

`holidays` and `icalendar` are imported only when a schedule names them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from difflib import get_close_matches
from functools import lru_cache

from gnomon.core.errors import Problem, UsageError, usage
from gnomon.schedules.ical import load_ical
from gnomon.schedules.kinds import shown
from gnomon.schedules.moments import read_date

MAX_ITEMS = 1000
_RANGE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:\.\.|/| to )([0-9]{4}-[0-9]{2}-[0-9]{2})")
_CODE = re.compile(r"([A-Za-z]{2,5}|[A-Za-z][A-Za-z0-9]{1,5})(?:[-_]([A-Za-z0-9 '.-]{1,60}))?")
_HINT = "write 2026-12-25, 2026-12-24..2026-12-31, weekends, holidays:DE-BE or ical:/path/file.ics"

Excluder = Callable[[date], str | None]


class Exclusions:
    """All exclusions of one schedule."""

    __slots__ = ("_excluders",)

    def __init__(self, items: tuple[str, ...]) -> None:
        """Load canonical items. Raises UsageError if a file or calendar is gone."""
        self._excluders = [_load(item) for item in items]

    def reason(self, day: date) -> str | None:
        """What excludes the local date `day`, such as "holidays:DE-BE 2026-12-25 Christmas Day", or None."""
        for excluder in self._excluders:
            found = excluder(day)
            if found is not None:
                return found
        return None


def parse_exclusions(value: object) -> tuple[str, ...]:
    """One item or a list, in canonical spelling; files and calendars are opened to see that they are good.

    Raises:
        UsageError: all problems at once; keys are `exclude` or `exclude[2]`.
    """
    items = list(value) if isinstance(value, (list, tuple)) else [value]
    if len(items) > MAX_ITEMS:
        message = f"exclude has {len(items)} items; at most {MAX_ITEMS} are allowed"
        raise usage(
            "exclude_invalid", message, key="exclude", hint="put the days into an iCal file: ical:/path/file.ics"
        )
    problems: list[Problem] = []
    found: dict[str, None] = {}
    for number, item in enumerate(items):
        key = f"exclude[{number}]" if isinstance(value, (list, tuple)) else "exclude"
        try:
            text = _canonical(item, key)
            _load(text)
            found[text] = None
        except UsageError as error:
            problems += [Problem(p.code, p.message, key, p.hint, p.file) for p in error.problems]
    if problems:
        raise UsageError(*problems[:20])
    return tuple(found)


def _canonical(item: object, key: str) -> str:
    if isinstance(item, date):
        return read_date(item if type(item) is date else item.isoformat()[:10], key).isoformat()
    if not isinstance(item, str) or len(item) > 500:
        raise usage("exclude_invalid", f"{shown(item)} is not an exclusion", key=key, hint=_HINT)
    text = item.strip()
    head, colon, rest = text.partition(":")
    if colon and head.lower() == "ical":
        return f"ical:{rest.strip()}"
    if colon and head.lower() == "holidays":
        country, subdivision = _region(rest.strip(), key)
        return f"holidays:{country}" + (f"-{subdivision}" if subdivision else "")
    if text.lower() in ("weekends", "weekend"):
        return "weekends"
    if match := _RANGE.fullmatch(text):
        first, last = read_date(match[1], key), read_date(match[2], key)
        if last < first:
            raise usage(
                "exclude_invalid", f"{shown(text)} runs backwards", key=key, hint="write the earlier date first"
            )
        return f"{first.isoformat()}..{last.isoformat()}"
    if re.match(r"[0-9]", text):
        return read_date(text, key).isoformat()
    near = get_close_matches(head.lower(), ("holidays", "ical", "weekends"), n=1)
    raise usage("exclude_invalid", f"{shown(text)} is not an exclusion", key=key, hint=_near(near) or _HINT)


def _load(item: str) -> Excluder:
    """The test for one canonical item."""
    head, _, rest = item.partition(":")
    if head == "ical":
        return load_ical(rest)
    if head == "holidays":
        country, subdivision = _region(rest, "exclude")
        return lambda day: _named(item, day, holiday_names(country, subdivision, day.year).get(day))
    if head == "weekends":
        return lambda day: _named(item, day, f"{day:%A}" if day.weekday() >= 5 else None)
    first_text, dots, last_text = item.partition("..")
    first = date.fromisoformat(first_text)
    if not dots:
        return lambda day: item if day == first else None
    last = date.fromisoformat(last_text)
    return lambda day: f"{item} {day.isoformat()}" if first <= day <= last else None


def _named(item: str, day: date, name: str | None) -> str | None:
    return None if name is None else f"{item} {day.isoformat()} {name}"


@lru_cache(maxsize=512)
def _region(text: str, key: str) -> tuple[str, str | None]:
    """(country or market, subdivision), both as `holidays` spells them."""
    import holidays

    known = dict(holidays.list_supported_countries(include_aliases=True))
    markets = holidays.list_supported_financial(include_aliases=True)
    match = _CODE.fullmatch(text)
    country = match[1].upper() if match else ""
    if country in markets and match and not match[2]:
        return country, None
    if match is None or country not in known:
        near = get_close_matches(text.upper()[:10], [*known, *markets], n=1, cutoff=0.4)
        hint = _near(near) or "write a country of ISO 3166 such as DE, US or FR"
        raise usage("holidays_unknown", f"no holiday calendar is called {shown(text)}", key=key, hint=hint)
    if not match[2]:
        return country, None
    for subdivision in known[country]:
        if subdivision.lower() == match[2].lower():
            return country, subdivision
    near = get_close_matches(match[2], known[country], n=1, cutoff=0.3)
    hint = _near([f"{country}-{near[0]}"] if near else []) or f"write holidays:{country}"
    if known[country]:
        hint += "; allowed: " + ", ".join(known[country][:20])
    raise usage("holidays_unknown", f"{country} has no subdivision {shown(match[2])}", key=key, hint=hint)


@lru_cache(maxsize=4096)
def holiday_names(country: str, subdivision: str | None, year: int) -> Mapping[date, str]:
    """The holidays of one year by date, in English where the library has it."""
    import holidays

    if country in holidays.list_supported_financial(include_aliases=True):
        return dict(holidays.financial_holidays(country, years=year, language="en_US").items())
    return dict(holidays.country_holidays(country, subdiv=subdivision, years=year, language="en_US").items())


def _near(near: list[str]) -> str:
    return f"did you mean {near[0]}?" if near else ""
