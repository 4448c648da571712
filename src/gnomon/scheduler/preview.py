"""Fires of a schedule that is saved nowhere."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from gnomon.core.values import JsonObject
from gnomon.operations.fires import fires_of
from gnomon.schedules import Kinds
from gnomon.system.clock import SystemClock

from .reading import instant
from .schedules import Schedule


@lru_cache(1)
def _kinds() -> Kinds:
    return Kinds()


def next_fires(
    schedule: Schedule, *, timezone: str = "UTC", after: datetime | str | None = None, count: int = 5
) -> JsonObject:
    """The next fires of anything a `schedule:` takes: `{"fires": [{"at", "local", "note"}], "description": …}`.

    Args:
        timezone: zone of a schedule that names none.
        after: an aware datetime, or ISO 8601 text with offset; default: now.
        count: 1 to 100,000.

    Raises:
        UsageError: the schedule is not valid; says which field, and what is allowed.

    >>> from datetime import UTC, datetime
    >>> next_fires("30 2 * * *", after=datetime(2030, 1, 1, tzinfo=UTC), count=1)["fires"][0]["at"]
    '2030-01-01T02:30:00Z'
    """
    return fires_of(
        _kinds(), schedule, timezone=timezone, after=instant(after, "after") or SystemClock().now(), count=count
    )
