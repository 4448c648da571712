"""A cron expression as text: splitting, macros, the day rule, and what can be refused without searching."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches

from gnomon.core.errors import Problem, UsageError
from gnomon.schedules.cron_days import Days, never_fires
from gnomon.schedules.cron_fields import (
    DAY_OF_MONTH,
    DAY_OF_WEEK,
    HOUR,
    MINUTE,
    MONTH,
    SECOND,
    YEAR,
    FieldSet,
    parse_field,
)

MAX_LENGTH = 1000
"""Longest expression, in characters."""

MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS = (MINUTE, HOUR, DAY_OF_MONTH, MONTH, DAY_OF_WEEK)
_BY_COUNT = {5: _FIELDS, 6: (SECOND, *_FIELDS), 7: (SECOND, *_FIELDS, YEAR)}
_HINT = "write 5 fields: minute hour day-of-month month day-of-week; 6: seconds first; 7: year last; or @daily"


@dataclass(frozen=True, slots=True)
class Cron:
    """A valid expression.

    Attributes:
        text: as written, with single spaces.
        seconds, minutes, hours: masks of the time of day.
        days: which days.
        wildcard: minute or hour starts with `*` (Debian's rule): clock changes do not make anything up.
        warnings: what is legal and probably not meant.
    """

    text: str
    seconds: int
    minutes: int
    hours: int
    days: Days
    wildcard: bool
    warnings: tuple[str, ...]


def normalise(text: str) -> str:
    """`text` with single spaces, macros in lower case.

    Raises:
        UsageError: longer than 1,000 characters, not ASCII, or separated by anything but spaces and tabs.
    """
    if len(text) > MAX_LENGTH:
        raise _error(f"the expression has {len(text)} characters; at most {MAX_LENGTH} are allowed", "split the job")
    for at, char in enumerate(text):
        if not (" " <= char <= "~" or char == "\t"):
            message = f"character {char!r} at position {at + 1} is not allowed: ASCII, separated by spaces or tabs"
            raise _error(message, _HINT)
    words = re.split(r"[ \t]+", text.strip(" \t"))
    return words[0].lower() if len(words) == 1 and words[0].startswith("@") else " ".join(words)


def parse_cron(text: str, job_id: str) -> Cron:
    """Read an expression of 5, 6 or 7 fields, or a macro.

    Raises:
        UsageError: `cron_invalid`, one problem per bad field (field, text, allowed range), or `cron_never_fires`.
    """
    clean = normalise(text)
    expanded = MACROS.get(clean, clean)
    if clean.startswith("@") and clean not in MACROS:
        near = get_close_matches(clean, [*MACROS, "@reboot"], n=1)
        hint = f"did you mean {near[0]}?" if near else "known: " + ", ".join(MACROS) + ", @reboot"
        raise _error(f"{clean[:40]!r} is not a macro", hint)
    words = expanded.split(" ") if expanded else []
    fields = _BY_COUNT.get(len(words))
    if fields is None:
        raise _error(f"{clean[:60]!r} has {len(words)} fields; 5, 6 or 7 are allowed", _HINT)
    parsed = [parse_field(field, word, job_id) for field, word in zip(fields, words, strict=True)]
    problems = [item for item in parsed if isinstance(item, Problem)]
    if problems:
        raise UsageError(*problems)
    sets = {f.name: p for f, p in zip(fields, parsed, strict=True) if isinstance(p, FieldSet)}
    named = {field.name: word for field, word in zip(fields, words, strict=True)}
    days = Days(
        dom=sets["day-of-month"],
        months=sets["month"].mask,
        dow=sets["day-of-week"],
        years=sets["year"].mask if "year" in sets and named["year"] != "*" else None,
    )
    if never_fires(days):
        shown = ", ".join(f"{f} {named[f]!r}" for f in ("day-of-month", "month", "day-of-week", "year") if f in named)
        message = f"day-of-month field {named['day-of-month']!r} never fires: no allowed year has such a day ({shown})"
        hint = "allowed: 1-31, but at most 30 in APR, JUN, SEP, NOV and 29 in FEB of leap years; L is the last day"
        raise UsageError(Problem("cron_never_fires", message, "cron", hint))
    return Cron(
        text=clean,
        seconds=sets["second"].mask if "second" in sets else 1,
        minutes=sets["minute"].mask,
        hours=sets["hour"].mask,
        days=days,
        wildcard=named["minute"].startswith("*") or named["hour"].startswith("*"),
        warnings=tuple(_warnings(days, named)),
    )


def _warnings(days: Days, named: dict[str, str]) -> list[str]:
    found = []
    if not days.dom.open and not days.dow.open:
        found.append(
            f"day-of-month {named['day-of-month']!r} and day-of-week {named['day-of-week']!r} are both restricted: "
            "the job fires when either matches, as in cron"
        )
    for name, full in (("minute", "0-59"), ("hour", "0-23")):
        if named[name] == full:
            found.append(f"{name} {full!r} is every {name}, but fixed when clocks change; write * instead")
    return found


def _error(message: str, hint: str) -> UsageError:
    return UsageError(Problem("cron_invalid", f"cron expression: {message}", "cron", hint))
