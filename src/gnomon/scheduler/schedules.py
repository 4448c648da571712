"""Schedules as Python values: what `cron`, `every` and `at` give is what a job file's `schedule:` takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

from gnomon.core.errors import usage
from gnomon.core.values import Json

Schedule: TypeAlias = "str | Mapping[str, Json]"
Duration: TypeAlias = "float | str | timedelta"


def seconds(value: Duration) -> float | str:
    """A duration as job files take it: seconds, or text such as `2h30m`."""
    return value.total_seconds() if isinstance(value, timedelta) else value


def cron(
    expression: str,
    *,
    timezone: str | None = None,
    name: str | None = None,
    start: datetime | str | None = None,
    end: datetime | str | None = None,
    jitter: Duration | None = None,
    exclude: Sequence[str] | None = None,
    roll: str | None = None,
    gap: str | None = None,
    fold: str | None = None,
) -> Mapping[str, Json]:
    """A cron schedule: 5 fields, 6 with seconds first, or a macro such as `@daily`.

    Args:
        expression: for example `"30 2 * * 1-5"`.
        timezone: IANA name of the zone it is read in; default: the scheduler's.
        gap, fold: what clock changes do to it (docs/schedules.md).
        start, end, jitter, exclude, roll, name: as in a job file.

    >>> cron("30 2 * * *", timezone="Europe/Berlin")
    {'cron': '30 2 * * *', 'timezone': 'Europe/Berlin'}
    """
    return _entry({"cron": expression, "gap": gap, "fold": fold}, timezone, name, start, end, jitter, exclude, roll)


def every(
    interval: Duration,
    *,
    anchor: datetime | str | None = None,
    timezone: str | None = None,
    name: str | None = None,
    start: datetime | str | None = None,
    end: datetime | str | None = None,
    jitter: Duration | None = None,
    exclude: Sequence[str] | None = None,
    roll: str | None = None,
) -> Mapping[str, Json]:
    """A fixed interval in elapsed time, without drift.

    Args:
        interval: seconds, a `timedelta`, or text such as `"2h30m"`.
        anchor: fires are at anchor + k x interval; default: when the schedule was first seen.

    >>> every("90s")
    {'every': '90s'}
    """
    rule: dict[str, Json] = {"every": seconds(interval), "anchor": _moment(anchor)}
    return _entry(rule, timezone, name, start, end, jitter, exclude, roll)


def at(
    moment: datetime | str,
    *,
    timezone: str | None = None,
    name: str | None = None,
    jitter: Duration | None = None,
    disambiguate: str | None = None,
) -> Mapping[str, Json]:
    """One time.

    Args:
        moment: an instant (aware datetime, or ISO 8601 text with offset), or a local time in `timezone`.
        disambiguate: `compatible`, `earlier` or `later`, for a local time that a clock change makes unclear.

    >>> at("2030-01-01T09:00:00", timezone="Europe/Berlin")
    {'at': '2030-01-01T09:00:00', 'timezone': 'Europe/Berlin'}
    """
    rule: dict[str, Json] = {"at": _moment(moment), "disambiguate": disambiguate}
    return _entry(rule, timezone, name, None, None, jitter, None, None)


def one_schedule(
    interval: Duration | None,
    cron_: str | None,
    at_: datetime | str | None,
    schedule: Schedule | Sequence[Schedule] | None,
) -> Json:
    """The one way of saying when that a caller chose, as a job file takes it; None: no schedule.

    Raises:
        UsageError: more than one was given.
    """
    given = {"interval": interval, "cron": cron_, "at": at_, "schedule": schedule}
    chosen = [name for name, value in given.items() if value is not None]
    if len(chosen) > 1:
        hint = "give one of them; several schedules go into schedule=[…]"
        raise usage("schedule_twice", f"{' and '.join(chosen)} both say when", key=chosen[1], hint=hint)
    if interval is not None:
        return every(interval)
    if cron_ is not None:
        return cron(cron_)
    if at_ is not None:
        return at(at_)
    return schedule


def _entry(
    rule: Mapping[str, Json],
    timezone: str | None,
    name: str | None,
    start: datetime | str | None,
    end: datetime | str | None,
    jitter: Duration | None,
    exclude: Sequence[str] | None,
    roll: str | None,
) -> Mapping[str, Json]:
    whole: dict[str, Json] = {
        **rule,
        "timezone": timezone,
        "name": name,
        "start": _moment(start),
        "end": _moment(end),
        "jitter": None if jitter is None else seconds(jitter),
        "exclude": None if exclude is None else list(exclude),
        "roll": roll,
    }
    return {key: value for key, value in whole.items() if value is not None}


def _moment(value: datetime | str | None) -> str | None:
    return value.isoformat() if isinstance(value, datetime) else value
