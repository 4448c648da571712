"""Excluded days from an iCal file: its all-day events, repeated ones included."""

from __future__ import annotations

import errno
import os
import stat
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from gnomon.core.errors import Problem, UsageError
from gnomon.schedules.rrule import unlimited
from gnomon.schedules.rrule_cycles import Limited
from gnomon.schedules.rrule_parse import parse_rrule
from gnomon.schedules.zones import DAY, wall_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from gnomon.schedules.walls import Walls

MAX_BYTES = 5_000_000
_MAX_DAYS = 400


def stamp_of(path: str) -> Hashable:
    """Another value whenever the file has changed, is gone, or is back."""
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        return path, getattr(error, "errno", None)
    return path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def load_ical(path: str) -> Callable[[date], str | None]:
    """A test that names the all-day event of the file which covers a date. Events with a time of day do not count.

    Raises:
        UsageError: `ical_unreadable` or `ical_invalid`, naming the file.
    """
    return _loaded(path, stamp_of(path))


def _read(path: str) -> bytes:
    """What is in the file, and a byte more than it may have; whatever it is, without waiting."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a file")
        return file.read(MAX_BYTES + 1)


@lru_cache(maxsize=64)
def _loaded(path: str, stamp: Hashable) -> Callable[[date], str | None]:
    """The same, read once as long as the file does not change."""
    try:
        data = _read(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise _error("ical_unreadable", f"cannot read the calendar {path!r}: {why}", path) from None
    if len(data) > MAX_BYTES:
        raise _error("ical_invalid", f"the calendar {path!r} is larger than {MAX_BYTES} bytes", path)
    single: dict[date, str] = {}
    repeated: list[tuple[Walls, int, set[date], str]] = []
    for first, days, rule, without, name in _events(data, path):
        if rule is None:
            for shift in range(days):
                single.setdefault(first + timedelta(days=shift), name)
            continue
        try:
            recur = parse_rrule(rule)
        except UsageError as error:
            raise _error("ical_invalid", f"event {name!r} in {path!r}: {error.problems[0].message}", path) from None
        start = datetime.combine(first, time())
        until = wall_seconds(recur.until.replace(tzinfo=None)) if recur.until else None
        walls: Walls = unlimited(recur, start)
        if recur.count is not None or until is not None:
            walls = Limited(walls, wall_seconds(start), recur.count, until)
        repeated.append((walls, days, without, name))

    def reason(day: date) -> str | None:
        if day in single:
            return f"ical:{path} {day.isoformat()} {single[day]}"
        wall = (day.toordinal() - 1) * DAY
        for walls, days, without, name in repeated:
            start = walls.prev(wall)
            covered = start is not None and wall - start < days * DAY
            if start is not None and covered and date.fromordinal(start // DAY + 1) not in without:
                return f"ical:{path} {day.isoformat()} {name}"
        return None

    return reason


def _events(data: bytes, path: str) -> Iterable[tuple[date, int, str | None, set[date], str]]:
    """(first day, number of days, rule, left-out days, summary) of each all-day event."""
    import icalendar

    try:
        calendar = icalendar.Calendar.from_ical(data)
        for event in calendar.walk("VEVENT"):
            begin, end = event.get("DTSTART"), event.get("DTEND")
            if begin is None or isinstance(begin.dt, datetime) or not isinstance(begin.dt, date):
                continue
            last = end.dt if end is not None else begin.dt + timedelta(days=1)
            if isinstance(last, datetime):
                last = last.date()
            if end is None and event.get("DURATION") is not None:
                last = begin.dt + event.get("DURATION").dt
            days = min(max((last - begin.dt).days, 1), _MAX_DAYS)
            rule = event.get("RRULE")
            left_out = event.get("EXDATE") or []
            lists = left_out if isinstance(left_out, list) else [left_out]
            without = {date(d.dt.year, d.dt.month, d.dt.day) for item in lists for d in item.dts}
            text = rule.to_ical().decode() if rule is not None else None
            yield begin.dt, days, text, without, str(event.get("SUMMARY") or "event")[:200]
    except UsageError:
        raise
    except Exception as error:  # the library raises ValueError, KeyError, IndexError, AttributeError on broken files
        raise _error("ical_invalid", f"{path!r} is not an iCal file: {str(error)[:200]}", path) from None


def _error(code: str, message: str, path: str) -> UsageError:
    hint = "an iCal file (RFC 5545) with all-day events, readable by the scheduler"
    return UsageError(Problem(code, message, "exclude", hint, path))
