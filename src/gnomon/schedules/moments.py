"""Instants as people write them: ISO 8601 with an offset, or local time read in a zone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from gnomon.core.errors import UsageError, usage
from gnomon.schedules.kinds import shown
from gnomon.schedules.zones import EPOCH_UTC, LAST, Zone, wall_seconds

DISAMBIGUATE: Final = ("compatible", "earlier", "later")
LOOKS_ISO: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt ].*)?", re.DOTALL)
_ISO = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,6})?)?)[ ]?([Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
_US = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})[ T]([0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?)")
_HINT = "write 2026-12-20T02:00:00Z, 2026-12-20T02:00:00+01:00, or local time without an offset"


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant and how it was written.

    Attributes:
        at: the instant (aware, UTC).
        text: canonical ISO 8601: local time without an offset, or with `Z` or an offset as written.
        note: what a clock change did to it, or None.
    """

    at: datetime
    text: str
    note: str | None = None


def parse_moment(value: object, zone: Zone, key: str, disambiguate: str | None = None) -> Moment:
    """Read an instant with an offset, or a local time in `zone`.

    Args:
        value: a string, or a `datetime` or `date` as YAML and TOML loaders make them. A date alone is its midnight.
        disambiguate: what a local time in a gap or fold means; None refuses such a time.

    Raises:
        UsageError: `time_invalid`, `time_skipped` (gap) or `time_ambiguous` (fold), at `key`.
    """
    stamp = read_stamp(value, key)
    if stamp.tzinfo is not None:
        try:
            at = stamp.astimezone(UTC)
        except OverflowError:
            raise _invalid(value, key, "it lies outside the years 1 to 9999 in UTC") from None
        text = stamp.isoformat()
        return Moment(at, text.replace("+00:00", "Z") if stamp.utcoffset() == timedelta(0) else text)
    found = zone.resolve(wall_seconds(stamp))
    u, note = found.first, None
    if found.kind != "unique":
        if disambiguate is None:
            raise _unclear(stamp, zone, found.kind, key)
        earlier, later = sorted((found.first, found.second))
        u = {"compatible": found.first, "earlier": earlier, "later": later}[disambiguate]
        word = "is skipped" if found.kind == "gap" else "happens twice"
        note = f"{stamp.isoformat()} {word} in {zone.key}: the {disambiguate} reading"
    if not 0 <= u <= LAST:
        raise _invalid(value, key, "it lies outside the years 1 to 9999 in UTC")
    return Moment(EPOCH_UTC + timedelta(seconds=u, microseconds=stamp.microsecond), stamp.isoformat(), note)


def read_stamp(value: object, key: str) -> datetime:
    """The datetime that was written, aware if an offset was given, otherwise naive."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time())
    if not isinstance(value, str):
        raise _invalid(value, key, "it is not a string")
    text = value.strip() if len(value) <= 64 else ""
    american = _US.fullmatch(text)
    if american:
        clock = american[4] if american[4][1] != ":" else "0" + american[4]
        text = f"{american[3]}-{int(american[1]):02d}-{int(american[2]):02d}T{clock}"
    match = _ISO.fullmatch(text)
    if match is None:
        raise _invalid(value, key, "it is not ISO 8601")
    clock = (match[2] or "00:00").replace(",", ".")
    try:
        return datetime.fromisoformat(f"{match[1]}T{clock}{(match[3] or '').upper()}")
    except ValueError as error:
        raise _invalid(value, key, str(error)) from None


def read_date(value: object, key: str) -> date:
    """A calendar date, `2026-12-25`."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value.strip()[:16]):
        try:
            return date.fromisoformat(value.strip())
        except ValueError as error:
            raise usage("date_invalid", f"{shown(value)} is not a date: {error}", key=key, hint="2026-12-25") from None
    raise usage("date_invalid", f"{shown(value)} is not a date", key=key, hint="write a date such as 2026-12-25")


def _invalid(value: object, key: str, why: str) -> UsageError:
    return usage("time_invalid", f"{shown(value)} is not a time: {why}", key=key, hint=_HINT)


def _unclear(stamp: datetime, zone: Zone, kind: str, key: str) -> UsageError:
    hint = "add disambiguate: compatible, earlier or later, or write the time with its UTC offset"
    if kind == "gap":
        message = f"{stamp.isoformat()} does not exist in {zone.key}: the clocks are put forward over it"
        return usage("time_skipped", message, key=key, hint=hint)
    message = f"{stamp.isoformat()} happens twice in {zone.key}: the clocks are put back"
    return usage("time_ambiguous", message, key=key, hint=hint)
