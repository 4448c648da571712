"""Times as people write them on a command line or in a filter."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

from gnomon.core.durations import parse_duration
from gnomon.core.errors import UsageError, usage

_HINT = "write 2026-12-20T02:00:00Z, 2026-12-20 02:00 (local), 02:00, today, yesterday, -15m or now"
_ISO = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[Tt ]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,6})?)?)"
    r"[ ]?([Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
_DAY = re.compile(r"(today|yesterday|tomorrow)?[ ]*([0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?)?", re.IGNORECASE)
_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1, "": 0}
_EXACT = timedelta(microseconds=1)
_LONGEST = 64


@dataclass(frozen=True, slots=True)
class Moment:
    """What a person meant: an instant, and how exact it was written (`width`: 1 minute for `09:00` and `-15m`)."""

    at: datetime
    width: timedelta = _EXACT

    @property
    def end(self) -> datetime:
        """The first instant after it."""
        return self.at + self.width


def parse_when(text: str, now: datetime, zone: tzinfo, *, key: str = "") -> Moment:
    """Read ISO 8601 (local time without an offset), `HH:MM`, `today`, `yesterday 09:00`, `now`, `-15m`, `15m ago`,
    `+1h`, or a duration alone (so long ago).

    Args:
        zone: of local times. A local time that happens twice means its first occurrence.

    Raises:
        UsageError: `time_invalid`, or `time_skipped` for a local time that the zone's clocks skip.
    """
    word = text.strip() if len(text) <= _LONGEST else ""
    try:
        found = _calendar(word, now, zone, key) or _relative(word, now)
    except (ValueError, OverflowError) as error:
        raise _invalid(text, key, str(error)) from None
    if found is None:
        raise _invalid(text, key, "")
    return found


def _calendar(word: str, now: datetime, zone: tzinfo, key: str) -> Moment | None:
    """A date or a time of day."""
    if (iso := _ISO.fullmatch(word)) is not None:
        clock = (iso[2] or "00:00").replace(",", ".")
        width = timedelta(days=1) if iso[2] is None else _width(iso[2])
        stamp = datetime.fromisoformat(f"{iso[1]}T{clock}{(iso[3] or '').upper()}")
        return Moment(stamp.astimezone(UTC) if iso[3] else _local(stamp, zone, key), width)
    if not word or (day := _DAY.fullmatch(word)) is None:
        return None
    date = now.astimezone(zone).date() + timedelta(days=_DAYS[(day[1] or "").lower()])
    if day[2] is None:
        return Moment(_local(datetime.combine(date, time()), zone, key, midnight=True), timedelta(days=1))
    clock = day[2] if day[2][1] != ":" else "0" + day[2]
    return Moment(_local(datetime.combine(date, time.fromisoformat(clock)), zone, key), _width(clock))


def _relative(word: str, now: datetime) -> Moment | None:
    """A distance from now."""
    if word.lower() == "now":
        return Moment(now, timedelta(seconds=1))
    sign = 1 if word.startswith("+") else -1
    body = word.lstrip("+-") if word[1:2] not in ("+", "-") else ""
    body = body.removesuffix("ago").strip() if sign < 0 else body
    try:
        seconds = parse_duration(body)
    except UsageError:
        return None
    width = timedelta(minutes=1) if seconds % 60 == 0 else timedelta(seconds=1)
    return Moment(now + sign * timedelta(seconds=seconds), width)


def _width(clock: str) -> timedelta:
    return timedelta(minutes=1) if len(clock) == 5 else timedelta(seconds=1) if len(clock) == 8 else _EXACT


def _local(wall: datetime, zone: tzinfo, key: str, *, midnight: bool = False) -> datetime:
    """The instant at which clocks of `zone` show `wall`; `midnight`: or the first after it."""
    at = wall.replace(tzinfo=zone).astimezone(UTC)
    if not midnight and at.astimezone(zone).replace(tzinfo=None) != wall:
        message = f"{wall.isoformat(' ')} does not exist in {zone}: the clocks are put forward over it"
        raise usage("time_skipped", message, key=key, hint="write another time, or one with its UTC offset")
    return at


def _invalid(text: str, key: str, why: str) -> UsageError:
    what = repr(text) if len(text) <= _LONGEST else f"{text[:40]!r}… ({len(text)} characters)"
    return usage("time_invalid", f"{what} is not a time" + (f": {why}" if why else ""), key=key, hint=_HINT)
