"""The mapping around a rule: round trips, foreign spellings, windows, exclusions, rolling, jitter, durations."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.core.durations import MAX_DURATION_S, format_duration, parse_duration
from gnomon.core.errors import UsageError
from gnomon.core.jitter import jitter
from gnomon.core.rules import ScheduleKinds
from gnomon.schedules import BUILTIN
from gnomon.schedules.zones import get_zone, tzdata_versions, wall_seconds
from tests.unit.schedules.rules import KINDS, check_consistent, fires_of, local, problems_of, rule_of, spec_of
from tests.unit.schedules.walker import ZONES, random_expression, utc

BERLIN = "Europe/Berlin"
VALUES: list[tuple[object, str, str]] = [
    ("30 2 * * *", "cron", "30 2 * * *"),
    ("@daily", "cron", "@daily"),
    ("@reboot", "startup", "@reboot"),
    ("every 90s", "every", "every 1m30s"),
    ("every 15 minutes", "every", "every 15m"),
    ("every 2 weeks on mon, thu at 18:30", "calendar", "every 2 weeks on mon, thu at 18:30"),
    ("every month on the last day at 09:00", "calendar", "every month on the last day at 09:00"),
    ("every month on the 1st and 15th", "calendar", "every month on day 1, 15 at 00:00"),
    ("every year on 29 feb", "calendar", "every year on feb 29 at 00:00"),
    ("every year on february 29 at 8:00 or skip", "calendar", "every year on feb 29 at 08:00 or skip"),
    ("every day at 07:00", "calendar", "every day at 07:00"),
    ("every weekday at 07:00", "calendar", "every week on mon, tue, wed, thu, fri at 07:00"),
    ("Every Monday at 07:00:30", "calendar", "every week on mon at 07:00:30"),
    ("2026-12-20T02:00:00Z", "at", "at 2026-12-20T02:00:00Z"),
    ("2026-12-20T02:00:00+01:00", "at", "at 2026-12-20T02:00:00+01:00"),
    ("2026-12-20 02:00", "at", "at 2026-12-20T02:00:00"),
    ("RRULE:FREQ=MONTHLY;BYDAY=-1FR", "rrule", "RRULE:FREQ=MONTHLY;BYDAY=-1FR"),
    ({"cron": "*/5 8-18 * * 1-5", "name": "office", "exclude": ["holidays:de-be"]}, "cron", "*/5 8-18 * * 1-5"),
    ({"cron": "0 2 * * *", "gap": "skip", "fold": "both"}, "cron", "0 2 * * * gap=skip fold=both"),
    ({"every": 90, "anchor": "2026-01-01T00:00:00+01:00"}, "every", "every 1m30s from 2025-12-31T23:00:00Z"),
    ({"every": "1h", "jitter": "2m", "enabled": False, "parameters": {"a": [1, {"b": None}]}}, "every", "every 1h"),
    (
        {"calendar": {"every": "1 month", "day": 31, "at": "09:00", "missing": "skip"}},
        "calendar",
        "every month on day 31",
    ),
    ({"at": "2026-10-25T02:30:00", "disambiguate": "later", "timezone": BERLIN}, "at", "at 2026-10-25T02:30:00"),
    ({"rrule": "freq=daily", "dtstart": "20260101T090000"}, "rrule", "RRULE:FREQ=DAILY from 2026-01-01T09:00:00"),
    ({"startup": True, "timezone": BERLIN}, "startup", "@reboot"),
    ({"cron": "0 0 * * *", "start": "2026-01-01", "end": "2026-02-01", "timezone": BERLIN}, "cron", "0 0 * * *"),
    ({"cron": "0 0 * * *", "exclude": "weekends", "roll": "previous"}, "cron", "0 0 * * *"),
    ({"type": "periodic", "every": 15, "unit": "minutes"}, "every", "every 15m"),
    ({"type": "periodic", "every": 2, "unit": "Hour"}, "every", "every 2h"),
    ({"type": "specific", "time": "04/26/2021 16:00:00"}, "at", "at 2021-04-26T16:00:00"),
    ({"type": "cron", "expression": "0 1 * * *"}, "cron", "0 1 * * *"),
]


@pytest.mark.parametrize(("value", "kind", "line"), VALUES, ids=lambda v: str(v)[:40])
def test_parse_describe_and_round_trip(value: object, kind: str, line: str) -> None:
    spec = spec_of(value, "America/New_York")
    assert spec.kind == kind
    assert KINDS.describe(spec).startswith(line)
    dumped = KINDS.dump(spec)
    assert spec_of(json.loads(json.dumps(dumped)), "Asia/Tokyo") == spec
    assert KINDS.dump(spec_of(dumped)) == dumped


@pytest.mark.parametrize("line", [line for _, kind, line in VALUES if kind in ("calendar", "cron") and "=" not in line])
def test_a_described_rule_reads_back(line: str) -> None:
    spec = spec_of(line)
    assert spec_of(KINDS.describe(spec)) == spec


def test_the_room_fits_its_port_and_every_kind_is_listed_once() -> None:
    port: ScheduleKinds = KINDS
    assert port
    names = [kind.name for kind in BUILTIN]
    assert sorted(names) == ["at", "calendar", "cron", "every", "rrule", "startup"]
    assert all(kind.name in kind.keys for kind in BUILTIN)


def test_canonical_values() -> None:
    spec = spec_of(
        {"cron": "0 0 * * *", "start": "2026-01-01", "end": "2026-02-01", "timezone": BERLIN, "jitter": "2m"}
    )
    assert spec.start == utc("2025-12-31T23:00")
    assert spec.end == utc("2026-02-01T23:00") - timedelta(microseconds=1)
    assert spec.jitter_s == 120.0
    assert spec_of({"every": "1h", "exclude": ["holidays:de-be", "2026-12-24 to 2026-12-26"]}).exclude == (
        "holidays:DE-BE",
        "2026-12-24..2026-12-26",
    )


def test_window() -> None:
    rule = rule_of({"cron": "0 12 * * *", "start": "2026-01-10T12:00:00Z", "end": "2026-01-12T12:00:00Z"})
    fires = check_consistent(rule, utc("2025-01-01T00:00"), utc("2027-01-01T00:00"))
    assert [f.at.day for f in fires] == [10, 11, 12]
    assert rule.latest(utc("2026-01-10T11:59")) is None


def test_excluded_fires_stay_and_say_why(tmp_path: Path) -> None:
    file = tmp_path / "off.ics"
    file.write_text(
        "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n"
        "BEGIN:VEVENT\nUID:1\nSUMMARY:Works outing\nDTSTART;VALUE=DATE:20261228\n"
        "DTEND;VALUE=DATE:20261230\nEND:VEVENT\n"
        "BEGIN:VEVENT\nUID:2\nSUMMARY:Meeting\nDTSTART:20261231T090000Z\nEND:VEVENT\n"
        "BEGIN:VEVENT\nUID:3\nSUMMARY:Founding day\nDTSTART;VALUE=DATE:20200102\nRRULE:FREQ=YEARLY\nEND:VEVENT\n"
        "END:VCALENDAR\n".replace("\n", "\r\n")
    )
    value = {"cron": "0 9 * * *", "exclude": ["holidays:DE-BE", "2026-12-24", "2026-12-26..2026-12-27", f"ical:{file}"]}
    fires = fires_of(value, "2026-12-23T00:00:00", 12, BERLIN)
    assert {f.local.strftime("%m-%d"): f.excluded for f in fires} == {
        "12-23": None,
        "12-24": "2026-12-24",
        "12-25": "holidays:DE-BE 2026-12-25 Christmas Day",
        "12-26": "holidays:DE-BE 2026-12-26 Second Day of Christmas",
        "12-27": "2026-12-26..2026-12-27 2026-12-27",
        "12-28": f"ical:{file} 2026-12-28 Works outing",
        "12-29": f"ical:{file} 2026-12-29 Works outing",
        "12-30": None,
        "12-31": None,
        "01-01": "holidays:DE-BE 2027-01-01 New Year's Day",
        "01-02": f"ical:{file} 2027-01-02 Founding day",
        "01-03": None,
    }
    rule = rule_of(value, BERLIN)
    assert rule.count(utc("2026-12-23T00:00"), utc("2027-01-03T23:00")) == 12
    broken = tmp_path / "broken.ics"
    broken.write_text("hello")
    problem = problems_of({"cron": "0 9 * * *", "exclude": f"ical:{broken}"})[0]
    assert str(broken) in problem.message
    assert problem.file == str(broken)


def test_unknown_holidays_name_the_nearest() -> None:
    assert "DE-BE" in problems_of({"every": "1h", "exclude": "holidays:DE-BEE"})[0].hint
    assert problems_of({"every": "1h", "exclude": "holidays:QQ"})[0].hint
    assert problems_of({"every": "1h", "exclude": "holiday:DE"})[0].hint == "did you mean holidays?"


def test_roll_moves_to_the_nearest_free_day() -> None:
    base = {"cron": "0 9 25 * *", "exclude": ["weekends", "holidays:DE-BE"]}
    onward = fires_of({**base, "roll": "next"}, "2026-12-01T00:00:00", 1, BERLIN)[0]
    assert f"{onward.local:%m-%d %H:%M}" == "12-28 09:00"
    assert onward.note == "moved from 2026-12-25 (holidays:DE-BE 2026-12-25 Christmas Day)"
    back = fires_of({**base, "roll": "previous"}, "2026-12-01T00:00:00", 1, BERLIN)[0]
    assert f"{back.local:%m-%d %H:%M}" == "12-24 09:00"


def test_rolled_fires_that_meet_are_one() -> None:
    rule = rule_of({"cron": "0 9 * * *", "exclude": "weekends", "roll": "next"})
    fires = check_consistent(rule, utc("2026-11-01T00:00"), utc("2026-12-01T00:00"))
    assert len(fires) == 21
    assert all(f.note is None and f.excluded is None for f in fires)


@pytest.mark.parametrize("roll", ["next", "previous"])
@pytest.mark.parametrize("cron", ["0 9 * * *", "0 9 * * 6", "30 2 25-31 * *", "15,45 8-9 24,26 12 *", "0 0 1 * *"])
def test_rolling_next_latest_count_agree(roll: str, cron: str) -> None:
    exclude = ["weekends", "holidays:DE-BE", "2026-12-24", "2026-10-26..2026-10-30", "2026-03-29"]
    rule = rule_of({"cron": cron, "exclude": exclude, "roll": roll}, BERLIN)
    naive, plain = set(), rule_of({"cron": cron}, BERLIN)
    free = rule_of({"cron": cron, "exclude": exclude}, BERLIN)
    low, high = utc("2026-01-15T00:00"), utc("2027-01-20T00:00")
    at = low - timedelta(days=40)
    from gnomon.schedules.exclusions import Exclusions

    reasons, zone = Exclusions(tuple(spec_of({"every": "1h", "exclude": exclude}).exclude)), get_zone(BERLIN)
    while (fire := free.next(at)) is not None and fire.at < high + timedelta(days=40):
        day = fire.local.date()
        while reasons.reason(day):
            day += timedelta(days=1 if roll == "next" else -1)
        moved = datetime.combine(day, fire.local.time().replace(tzinfo=None))
        same = day == fire.local.date()
        u = (
            fire.at
            if same
            else datetime(1, 1, 1, tzinfo=UTC) + timedelta(seconds=zone.resolve(wall_seconds(moved)).first)
        )
        naive.add(u)
        at = fire.at
    assert [f.at for f in check_consistent(rule, low, high)] == sorted(u for u in naive if low < u <= high)
    assert plain


def test_a_fire_with_nowhere_to_go_stays_excluded() -> None:
    value = {"cron": "0 9 * * *", "exclude": "2020-01-01..2030-12-31", "roll": "next"}
    fire = fires_of(value, "2026-01-01T00:00:00", 1)[0]
    assert fire.at == utc("2026-01-01T09:00")
    assert fire.excluded


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from(ZONES), st.integers(0, 60 * 365 * 86400))
def test_cron_next_latest_count_agree(rng: object, zone: str, second: int) -> None:
    text = random_expression(rng)
    try:
        rule = rule_of(text, zone)
    except UsageError:
        return
    low = utc("1975-01-01T00:00") + timedelta(seconds=second)
    check_consistent(rule, low, low + timedelta(days=2))


def test_jitter_is_a_hash_and_stays_below_its_bound() -> None:
    at = utc("2026-01-01T00:00")
    draws = {jitter("a:default", at + timedelta(minutes=k), 120.0) for k in range(500)}
    assert len(draws) > 490
    assert all(timedelta(0) <= d < timedelta(seconds=120) for d in draws)
    assert max(draws) > timedelta(seconds=110)
    assert jitter("a:default", at, 120.0) == jitter("a:default", at.astimezone(get_zone(BERLIN).info), 120.0)
    assert jitter("a:default", at, 120.0) != jitter("b:default", at, 120.0)
    assert jitter("a:default", at, 0.0) == timedelta(0)
    assert jitter("a:default", at, 120.0) == timedelta(microseconds=28826470)


@given(st.integers(0, MAX_DURATION_S * 1_000_000))
def test_durations_round_trip(us: int) -> None:
    assert round(parse_duration(format_duration(us / 1_000_000)) * 1_000_000) == round(us / 1_000_000 * 1_000_000)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30),
        ("15m", 900),
        ("2h30m", 9000),
        ("1d", 86400),
        ("1w", 604800),
        (90, 90),
        ("1.5h", 5400),
    ],
)
def test_durations(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


def test_tzdata_versions() -> None:
    used, package = tzdata_versions()
    assert package[:2] == "20"
    assert package[-1].isalpha()
    assert used is None or used[:2] == "20"


def test_dates_from_loaders_are_taken_as_they_are() -> None:
    spec = spec_of({"at": datetime(2026, 12, 20, 2, 0), "exclude": [date(2026, 12, 24)], "end": date(2026, 12, 31)})
    assert spec.rule == {"at": "2026-12-20T02:00:00"}
    assert spec.exclude == ("2026-12-24",)
    assert local({"at": datetime(2026, 12, 20, 2, 0, tzinfo=UTC)}, "2026-01-01T00:00:00", 1) == [
        "2026-12-20T02:00:00+0000"
    ]
