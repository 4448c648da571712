"""Short hands for the tests of this room."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gnomon.core.errors import UsageError
from gnomon.core.rules import Fire, Rule, ScheduleSpec
from gnomon.schedules import Kinds, next_fires

KINDS = Kinds()
SEEN = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def spec_of(value: object, zone: str = "UTC", job: str = "job") -> ScheduleSpec:
    return KINDS.parse(value, default_timezone=zone, job_id=job)


def rule_of(value: object, zone: str = "UTC", seen: datetime = SEEN, job: str = "job") -> Rule:
    return KINDS.build(spec_of(value, zone, job), schedule_id="job:default", job_id=job, anchor=seen)


def fires_of(value: object, after: str, count: int, zone: str = "UTC", seen: datetime = SEEN) -> list[Fire]:
    start = datetime.fromisoformat(after)
    start = start if start.tzinfo else start.replace(tzinfo=UTC)
    return list(next_fires(rule_of(value, zone, seen), start, count))


def local(value: object, after: str, count: int, zone: str = "UTC", seen: datetime = SEEN) -> list[str]:
    return [f"{fire.local:%Y-%m-%dT%H:%M:%S%z}" for fire in fires_of(value, after, count, zone, seen)]


def problems_of(value: object, zone: str = "UTC") -> list:
    with pytest.raises(UsageError) as caught:
        spec_of(value, zone)
    return list(caught.value.problems)


def check_consistent(rule: Rule, low: datetime, high: datetime, limit: int = 5000) -> list[Fire]:
    """next, latest and count must tell the same story in (low, high]; returns the fires."""
    fires = []
    at = low
    while (fire := rule.next(at)) is not None and fire.at <= high and len(fires) < limit:
        assert fire.at > at
        assert fire.local.astimezone(UTC) == fire.at
        fires.append(fire)
        at = fire.at
    if len(fires) < limit:
        assert rule.count(low, high) == len(fires)
        back, at = [], high
        while (fire := rule.latest(at)) is not None and fire.at > low:
            assert fire.at <= at
            back.append(fire)
            at = fire.at - timedelta(microseconds=1)
        assert back[::-1] == fires
    return fires


def dates(text: str, year: int = 2026, count: int = 6) -> list[str]:
    """The days of the first fires of a year."""
    return [stamp[:10] for stamp in local(text, f"{year}-01-01T00:00:00", count)]
