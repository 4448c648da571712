"""Times as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gnomon.core.errors import UsageError
from gnomon.operations.moments import parse_when

NOW = datetime(2026, 11, 20, 11, 30, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
SECOND, EXACT = timedelta(seconds=1), timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "at", "width"),
    [
        ("2026-12-20T02:00:00Z", "2026-12-20T02:00:00", SECOND),
        ("2026-12-20T02:00:00.25+01:00", "2026-12-20T01:00:00.250000", EXACT),
        ("2026-12-20 02:00", "2026-12-20T01:00:00", MINUTE),
        ("2026-07-01 02:00", "2026-07-01T00:00:00", MINUTE),
        ("2026-12-20", "2026-12-19T23:00:00", DAY),
        ("09:00", "2026-11-20T08:00:00", MINUTE),
        ("9:00", "2026-11-20T08:00:00", MINUTE),
        ("09:00:30", "2026-11-20T08:00:30", SECOND),
        ("today", "2026-11-19T23:00:00", DAY),
        ("yesterday 09:00", "2026-11-19T08:00:00", MINUTE),
        ("Tomorrow", "2026-11-20T23:00:00", DAY),
        ("now", "2026-11-20T11:30:00", SECOND),
        ("-15m", "2026-11-20T11:15:00", MINUTE),
        ("15m", "2026-11-20T11:15:00", MINUTE),
        ("2h30m ago", "2026-11-20T09:00:00", MINUTE),
        ("+90s", "2026-11-20T11:31:30", SECOND),
        ("-1d", "2026-11-19T11:30:00", MINUTE),
        ("2026-10-25 02:30", "2026-10-25T00:30:00", MINUTE),  # twice that night: the first
    ],
)
def test_times(text: str, at: str, width: timedelta) -> None:
    moment = parse_when(text, NOW, BERLIN)
    assert moment.at == datetime.fromisoformat(at + "+00:00")
    assert moment.width == width


@pytest.mark.parametrize(
    "text",
    ["", " ", "25:00", "x" * 1000, "2026-02-30", "2026-13-01", "--15m", "+-1m", "-", "ago", "9" * 60, "-99999w",
     "12:60", "yesteryear", "2026-11-20T11:30:00Q", "\x00"],
)  # fmt: skip
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_when(text, NOW, BERLIN)
    assert caught.value.code == "time_invalid"
    assert caught.value.problems[0].hint


def test_a_time_that_the_clocks_skip() -> None:
    with pytest.raises(UsageError) as caught:
        parse_when("2026-03-29 02:30", NOW, BERLIN)
    assert caught.value.code == "time_skipped"
