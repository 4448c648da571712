"""Each promise about intervals, calendar intervals, single times and zones, by name."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gnomon.core.errors import UsageError
from gnomon.schedules.zones import get_zone
from tests.unit.schedules.rules import check_consistent, dates, fires_of, local, problems_of, rule_of, spec_of
from tests.unit.schedules.walker import utc

BERLIN = "Europe/Berlin"


# ---- intervals ---------------------------------------------------------------------------------


def test_interval_counts_from_first_sight_without_drift() -> None:
    seen = utc("2026-01-01T00:00:07.250")
    got = fires_of("every 90s", "2026-01-01T00:00:00", 3, seen=seen)
    assert [f.at - seen for f in got] == [timedelta(seconds=90 * k) for k in (1, 2, 3)]
    far = rule_of("every 90s", seen=seen).next(utc("2036-01-01T00:00")).at - seen
    assert far % timedelta(seconds=90) == timedelta(0)


def test_interval_with_an_anchor_fires_at_the_anchor() -> None:
    value = {"every": "1h", "anchor": "2026-03-29T00:00:00", "timezone": BERLIN}
    assert local(value, "2020-01-01T00:00:00", 4) == [
        f"2026-03-29T{t}" for t in ("00:00:00+0100", "01:00:00+0100", "03:00:00+0200", "04:00:00+0200")
    ]
    assert rule_of(value).latest(utc("2026-03-28T22:59")) is None
    assert rule_of(value).count(utc("2026-03-28T22:59"), utc("2026-03-29T01:00")) == 3


def test_interval_next_latest_count_agree() -> None:
    rule = rule_of({"every": "7s", "anchor": "2026-01-01T00:00:00.5Z"})
    assert len(check_consistent(rule, utc("2025-12-31T23:59"), utc("2026-01-01T00:10"))) == 86
    assert rule.count(utc("2026-01-01T00:00"), utc("2126-01-01T00:00")) == 450_810_515


# ---- calendar intervals ------------------------------------------------------------------------


def test_calendar_occurrences_come_from_the_anchor_never_from_the_previous() -> None:
    got = local("every month on the 31st at 09:00", "2026-01-01T00:00:00", 4)
    assert [s[:10] for s in got] == ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"]
    skip = local("every month on the 31st at 09:00 or skip", "2026-01-01T00:00:00", 3)
    assert [s[:10] for s in skip] == ["2026-01-31", "2026-03-31", "2026-05-31"]


def test_calendar_units_are_counted_from_the_anchor() -> None:
    every_other = {"calendar": {"every": "2 weeks", "on": ["mon", "thu"], "at": "18:30", "anchor": "2026-01-08"}}
    assert [s[:16] for s in local(every_other, "2025-01-01T00:00:00", 4)] == [
        f"2026-01-{d}T18:30" for d in ("08", "19", "22")
    ] + ["2026-02-02T18:30"]
    seen = utc("2026-01-08T10:00")
    implicit = local("every 2 weeks on mon, thu at 18:30", "2026-01-08T12:00:00", 2, seen=seen)
    assert [s[:10] for s in implicit] == ["2026-01-08", "2026-01-19"]
    assert [s[:10] for s in local("every 3 days", "2026-01-08T12:00:00", 2, seen=seen)] == ["2026-01-11", "2026-01-14"]


def test_calendar_leap_day() -> None:
    assert [s[:10] for s in local("every year on 29 feb", "2026-01-01T00:00:00", 3)] == [
        "2026-02-28",
        "2027-02-28",
        "2028-02-29",
    ]
    assert dates("every year on feb 29 at 09:00 or skip", count=2) == ["2028-02-29", "2032-02-29"]


def test_calendar_in_a_gap_shifts_by_the_gap_where_cron_says_the_end_of_it() -> None:
    fires = fires_of("every day at 02:30", "2026-03-28T12:00:00", 2, BERLIN)
    assert [f"{f.local:%dT%H:%M}" for f in fires] == ["29T03:30", "30T02:30"]
    assert "02:30" in fires[0].note
    assert local("30 2 * * *", "2026-03-28T12:00:00", 1, BERLIN) == ["2026-03-29T03:00:00+0200"]


def test_calendar_in_a_fold_takes_the_first_pass() -> None:
    got = local("every day at 02:30", "2026-10-24T12:00:00", 2, BERLIN)
    assert got == ["2026-10-25T02:30:00+0200", "2026-10-26T02:30:00+0100"]


def test_calendar_fires_that_a_gap_moves_together_are_one() -> None:
    rule = rule_of("every day at 02:30, 03:30", BERLIN)
    assert rule.count(utc("2026-03-28T23:00"), utc("2026-03-29T22:00")) == 1
    check_consistent(rule, utc("2026-03-27T00:00"), utc("2026-03-31T00:00"))


@pytest.mark.parametrize("zone", [BERLIN, "Pacific/Apia", "America/Havana", "Australia/Lord_Howe"])
@pytest.mark.parametrize(
    "value",
    [
        "every day at 00:00, 00:30, 02:15, 09:00",
        "every 3 days at 02:30",
        "every week on mon, sat, sun at 00:30",
        "every 5 months on day 30, 31 at 02:45 or skip",
        "every month on day 28, 31 at 02:45",
        "every 2 years on feb, mar 29, 31 at 01:00",
    ],
)
def test_calendar_next_latest_count_agree(zone: str, value: str) -> None:
    assert check_consistent(rule_of(value, zone), utc("2010-06-01T00:00"), utc("2014-06-02T01:30"))


# ---- one time ----------------------------------------------------------------------------------


def test_one_time_instant_and_local() -> None:
    assert local("2026-12-20T02:00:00Z", "2026-01-01T00:00:00", 2, BERLIN) == ["2026-12-20T03:00:00+0100"]
    assert local("2026-12-20T02:00:00", "2026-01-01T00:00:00", 2, BERLIN) == ["2026-12-20T02:00:00+0100"]
    spec = spec_of({"at": "2026-12-20T02:00:00", "timezone": BERLIN})
    assert (spec.rule, spec.timezone) == ({"at": "2026-12-20T02:00:00"}, BERLIN)
    rule, at = rule_of("2026-12-20T02:00:00Z"), utc("2026-12-20T02:00")
    assert rule.next(at) is None
    assert rule.latest(at).at == at
    assert rule.latest(at - timedelta(microseconds=1)) is None
    assert (rule.count(at - timedelta(seconds=1), at), rule.count(at, at + timedelta(days=1))) == (1, 0)


@pytest.mark.parametrize(
    ("stamp", "code", "readings"),
    [
        ("2026-03-29T02:30:00", "time_skipped", ("2026-03-29T01:30", "2026-03-29T00:30", "2026-03-29T01:30")),
        ("2026-10-25T02:30:00", "time_ambiguous", ("2026-10-25T00:30", "2026-10-25T00:30", "2026-10-25T01:30")),
    ],
)
def test_one_time_in_a_clock_change_needs_disambiguate(stamp: str, code: str, readings: tuple[str, ...]) -> None:
    assert problems_of(stamp, BERLIN)[0].code == code
    for how, expected in zip(("compatible", "earlier", "later"), readings, strict=True):
        fire = fires_of({"at": stamp, "disambiguate": how}, "2026-01-01T00:00:00", 1, BERLIN)[0]
        assert fire.at == utc(expected), how
        assert fire.note


# ---- zones -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Europe/Berln", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        ("berlin", "Europe/Berlin"),
        ("localtime", "differs"),
        ("posixrules", "differs"),
        ("right/UTC", "differs"),
        ("posix/UTC", "differs"),
        ("/etc/localtime", ""),
        ("../UTC", ""),
        ("Europe/../UTC", ""),
        ("Europe//Berlin", ""),
        ("Europe", ""),
        ("UTC\x00", ""),
        ("", ""),
        ("Z" * 100_000, ""),
        (5, ""),
        (None, ""),
        (b"UTC", ""),
    ],
)
def test_bad_zone_names_give_one_clear_error(name: object, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        get_zone(name)
    (problem,) = caught.value.problems
    assert problem.key == "timezone"
    assert problem.code == "timezone_invalid"
    assert hint in problem.hint
    assert problem.hint
    assert len(str(problem)) < 400
