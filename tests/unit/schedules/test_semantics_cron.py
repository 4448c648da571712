"""Each promise about cron, by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.unit.schedules.rules import KINDS, check_consistent, dates, fires_of, local, problems_of, rule_of, spec_of
from tests.unit.schedules.walker import utc

BERLIN = "Europe/Berlin"


def minutes(text: str, day: str = "2026-06-01", zone: str = "UTC") -> list[str]:
    low = utc(f"{day}T00:00") - timedelta(seconds=1)
    fires = check_consistent(rule_of(text, zone), low, low + timedelta(days=1))
    return [f"{fire.local:%H:%M:%S}" for fire in fires]


# ---- cron: fields ------------------------------------------------------------------------------


def test_next_is_strictly_after_and_stateless() -> None:
    rule = rule_of("0 * * * *")
    noon = utc("2026-06-01T12:00")
    first = rule.next(noon)
    assert first.at == noon + timedelta(hours=1)
    assert rule.next(noon - timedelta(microseconds=1)).at == noon
    rule.next(utc("2030-01-01T00:00"))
    assert rule.next(noon) == first
    assert rule_of("0 * * * *", seen=utc("1999-01-01T00:07")).next(noon) == first
    assert rule.latest(noon).at == noon
    assert rule.latest(noon - timedelta(microseconds=1)).at == noon - timedelta(hours=1)


def test_five_six_and_seven_fields() -> None:
    assert minutes("30 2 * * *") == ["02:30:00"]
    assert minutes("15 30 2 * * *") == ["02:30:15"]
    assert minutes("*/20 30 2 * * *") == ["02:30:00", "02:30:20", "02:30:40"]
    assert dates("0 0 0 1 1 * 2030,2035-2036") == ["2030-01-01", "2035-01-01", "2036-01-01"]


def test_spaces_and_tabs_separate() -> None:
    assert spec_of(" 30\t2  * * * ").rule == {"cron": "30 2 * * *"}


def test_sunday_is_0_and_7_and_names_in_any_case() -> None:
    for text in ("0 0 * * 0", "0 0 * * 7", "0 0 * * SUN", "0 0 * * sUn", "0 0 * * 7-7"):
        assert dates(text, count=2) == ["2026-01-04", "2026-01-11"], text
    assert dates("0 0 1 mar,Sep *", count=2) == ["2026-03-01", "2026-09-01"]


def test_lists_ranges_and_steps() -> None:
    assert minutes("0 1,5-7,20-23/2 * * *") == [f"{h:02}:00:00" for h in (1, 5, 6, 7, 20, 22)]
    assert minutes("0 5-5 * * *") == ["05:00:00"]


def test_a_slash_s_runs_to_the_maximum() -> None:
    assert minutes("0 20/2 * * *") == ["20:00:00", "22:00:00"]
    assert dates("0 0 29/1 1 *", count=3) == ["2026-01-29", "2026-01-30", "2026-01-31"]


def test_ranges_wrap() -> None:
    assert minutes("0 22-2 * * *") == [f"{h:02}:00:00" for h in (0, 1, 2, 22, 23)]
    assert minutes("0 22-3/2 * * *") == [f"{h:02}:00:00" for h in (0, 2, 22)]
    assert dates("0 0 * * FRI-MON", count=5) == [f"2026-01-{d:02}" for d in (2, 3, 4, 5, 9)]
    assert dates("0 0 1 NOV-FEB *", count=4) == ["2026-02-01", "2026-11-01", "2026-12-01", "2027-01-01"]


def test_last_day_and_last_weekday() -> None:
    assert dates("0 0 L * *", count=3) == ["2026-01-31", "2026-02-28", "2026-03-31"]
    assert dates("0 0 LW * *", count=3) == ["2026-01-30", "2026-02-27", "2026-03-31"]
    assert dates("0 0 L 2 *", year=2028, count=1) == ["2028-02-29"]


def test_nearest_weekday_skips_months_without_the_day() -> None:
    assert dates("0 0 15W * *", count=3) == ["2026-01-15", "2026-02-16", "2026-03-16"]
    assert dates("0 0 1W 8 *", count=1) == ["2026-08-03"]  # 1 August is a Saturday; July is another month
    assert dates("0 0 31W * *", count=3) == ["2026-01-30", "2026-03-31", "2026-05-29"]


def test_nth_and_last_weekday_of_the_month() -> None:
    assert dates("0 0 * * FRI#2", count=2) == ["2026-01-09", "2026-02-13"]
    assert dates("0 0 * * 5#5", count=2) == ["2026-01-30", "2026-05-29"]
    assert dates("0 0 * * 7L", count=2) == ["2026-01-25", "2026-02-22"]


@pytest.mark.parametrize(
    ("macro", "same"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@DAILY", "0 0 * * *"),
    ],
)
def test_macros(macro: str, same: str) -> None:
    assert local(macro, "2026-02-03T04:05:06", 5, BERLIN) == local(same, "2026-02-03T04:05:06", 5, BERLIN)


def test_reboot_is_an_event_without_fire_times() -> None:
    for value in ("@reboot", {"startup": True}):
        spec, rule = spec_of(value), rule_of(value)
        assert spec.kind == "startup"
        assert rule.next(utc("2026-01-01T00:00")) is None
        assert rule.latest(utc("2026-01-01T00:00")) is None
        assert rule.count(utc("2000-01-01T00:00"), utc("2026-01-01T00:00")) == 0


def test_day_rule_and_if_either_starts_with_a_star_else_or() -> None:
    assert dates("0 0 13 * 5", count=4) == ["2026-01-02", "2026-01-09", "2026-01-13", "2026-01-16"]  # OR
    assert dates("0 0 */2 * 5", count=3) == ["2026-01-09", "2026-01-23", "2026-02-13"]  # AND
    assert dates("0 0 13 * */5", count=3) == ["2026-02-13", "2026-03-13", "2026-09-13"]  # AND: Sunday or Friday
    assert dates("0 0 ? * 5", count=2) == ["2026-01-02", "2026-01-09"]
    assert dates("0 0 L * 5", count=3) == ["2026-01-02", "2026-01-09", "2026-01-16"]  # L restricts: OR


def test_both_day_fields_restricted_is_warned_about() -> None:
    assert "either matches" in KINDS.warnings(spec_of("0 0 13 * 5"), job_id="job")[0]
    assert "fixed" in KINDS.warnings(spec_of("0 0-23 * * *"), job_id="job")[0]
    assert KINDS.warnings(spec_of("0 0 13 * *"), job_id="job") == ()


def test_hashed_fields_spread_by_job_and_stay() -> None:
    seen = {local("H H * * *", "2026-01-01T00:00:00", 1)[0]}
    for number in range(30):
        rule = rule_of("H H H * *", job=f"job{number}")
        fire = rule.next(utc("2026-01-01T00:00"))
        assert fire == rule_of("H H H * *", job=f"job{number}").next(utc("2026-01-01T00:00"))
        assert 1 <= fire.at.day <= 28
        seen.add(f"{fire.at:%H:%M}")
    assert len(seen) > 25
    assert len(minutes("H/15 3 * * *")) == 4
    assert {m[3:5] for m in minutes("H(10-12) * * * *")} <= {"10", "11", "12"}
    import hashlib

    want = int.from_bytes(hashlib.sha256(b"job\nminute").digest()[:8], "big") % 60
    assert minutes("H 0 * * *") == [f"00:{want:02}:00"]


def test_never_firing_sets_are_refused_from_month_lengths() -> None:
    for text in ("0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 0 29 2 * 2023", "0 0 31W 2 *"):
        assert problems_of(text)[0].code == "cron_never_fires", text
    assert dates("0 0 29 2 *", count=2) == ["2028-02-29", "2032-02-29"]
    assert local("0 0 29 2 *", "2096-03-01T00:00:00", 1) == ["2104-02-29T00:00:00+0000"]


def test_rare_sets_are_found_within_400_years() -> None:
    assert local("0 0 0 29 2 ? 2096,2400", "2097-01-01T00:00:00", 1) == ["2400-02-29T00:00:00+0000"]
    assert local("0 0 29 2 */7", "2026-01-01T00:00:00", 1) == ["2032-02-29T00:00:00+0000"]  # a Sunday


def test_a_thousand_characters_are_the_limit() -> None:
    body = ",".join(["1"] * 496)
    assert len(f"{body} * * * *") == 999
    spec_of(f"{body} * * * *")
    assert "1000" in problems_of(f"{body},1,1 * * * *")[0].message


@pytest.mark.parametrize("zone", ["UTC", BERLIN, "Pacific/Kiritimati", "Pacific/Pago_Pago", "America/New_York"])
@pytest.mark.parametrize(
    "value",
    [
        "* * * * *",
        "59 23 31 12 *",
        "0 0 1 1 *",
        "0 0 29 2 *",
        "0 0 0 1 1 * 9999",
        "every 1s",
        "every day at 00:00",
        "every month on the last day at 23:59",
        "every year on feb 29",
        {"rrule": "FREQ=DAILY", "dtstart": "0001-01-01T00:00:00"},
        {"rrule": "FREQ=HOURLY", "dtstart": "9999-12-31T00:00:00"},
        {"rrule": "FREQ=WEEKLY;BYDAY=SU;WKST=SU", "dtstart": "0001-01-02T00:00:00"},
        {"at": "9999-12-31T23:59:59Z"},
        {"cron": "0 12 * * *", "exclude": "weekends"},
        {"cron": "0 12 * * *", "exclude": "weekends", "roll": "next"},
        {"cron": "0 12 * * *", "exclude": "weekends", "roll": "previous"},
    ],
    ids=str,
)
def test_the_edges_of_the_calendar(zone: str, value: object) -> None:
    """Years 1 and 9999: an answer or None, never an OverflowError."""
    rule = rule_of(value, zone)
    first, last = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999_999)
    for edge in (first, last):
        for base in (edge.replace(tzinfo=UTC), edge.replace(tzinfo=ZoneInfo(zone))):
            for shift in (timedelta(0), timedelta(hours=20), timedelta(days=40)):
                moment = base + shift if edge is first else base - shift
                later, earlier = rule.next(moment), rule.latest(moment)
                assert later is None or later.at > moment
                assert earlier is None or earlier.at <= moment
                assert rule.count(moment, moment) == 0
    top = datetime.max.replace(tzinfo=UTC)
    assert rule.next(top) is None


# ---- cron: clock changes -----------------------------------------------------------------------


def test_gap_a_fixed_job_runs_once_at_the_first_instant_after_it() -> None:
    fires = fires_of("30 2 * * *", "2026-03-28T12:00:00", 2, BERLIN)
    assert [f.at for f in fires] == [utc("2026-03-29T01:00"), utc("2026-03-30T00:30")]
    assert "02:30" in fires[0].note
    assert fires[1].note is None
    for start in ("2026-03-29T00:59:59", "2026-03-29T00:30:00"):
        assert fires_of("30 2 * * *", start, 1, BERLIN)[0].at == utc("2026-03-29T01:00")
    assert fires_of("30 2 * * *", "2026-03-29T01:00:00", 1, BERLIN)[0].at == utc("2026-03-30T00:30")


def test_gap_several_fixed_fires_coalesce() -> None:
    got = local("0,15,30 1-3 * * *", "2026-03-29T00:29:00", 4, BERLIN)
    assert got == [f"2026-03-29T{t}" for t in ("01:30:00+0100", "03:00:00+0200", "03:15:00+0200", "03:30:00+0200")]


def test_gap_wildcard_jobs_just_continue() -> None:
    got = local("*/30 * * * *", "2026-03-29T00:29:00", 3, BERLIN)
    assert got == [f"2026-03-29T{t}" for t in ("01:30:00+0100", "03:00:00+0200", "03:30:00+0200")]
    assert local("*/30 2 * * *", "2026-03-28T12:00:00", 1, BERLIN) == ["2026-03-30T02:00:00+0200"]
    assert local("30 * * * *", "2026-03-29T00:30:00", 1, BERLIN) == ["2026-03-29T03:30:00+0200"]


def test_the_wildcard_rule_is_textual() -> None:
    assert local("0-59/30 2 * * *", "2026-03-28T12:00:00", 1, BERLIN) == ["2026-03-29T03:00:00+0200"]
    assert local("30 0-23 * * *", "2026-10-25T00:30:00", 1, BERLIN) == ["2026-10-25T03:30:00+0100"]
    assert local("30 * * * *", "2026-10-25T00:30:00", 1, BERLIN) == ["2026-10-25T02:30:00+0100"]


def test_fold_fixed_first_only_wildcard_both() -> None:
    fires = fires_of("30 2 * * *", "2026-10-24T12:00:00", 2, BERLIN)
    assert [f.at for f in fires] == [utc("2026-10-25T00:30"), utc("2026-10-26T01:30")]
    assert "first" in fires[0].note
    wild = fires_of("*/30 * * * *", "2026-10-24T23:59:00", 6, BERLIN)
    assert [f"{f.local:%H:%M%z}" for f in wild[:4]] == ["02:00+0200", "02:30+0200", "02:00+0100", "02:30+0100"]
    assert "second pass" in wild[2].note
    assert wild[4].note is None


def test_six_fields_follow_the_same_rule() -> None:
    assert local("15 30 2 * * *", "2026-03-28T12:00:00", 1, BERLIN) == ["2026-03-29T03:00:00+0200"]
    assert local("*/30 30 2 * * *", "2026-03-28T12:00:00", 2, BERLIN)[0] == "2026-03-29T03:00:00+0200"
    assert local("0 30 2 * * * 2026", "2026-10-25T00:30:00", 1, BERLIN) == ["2026-10-26T02:30:00+0100"]


def test_gap_skip_and_fold_options() -> None:
    fixed = "30 2 * * *"
    skip = local({"cron": fixed, "gap": "skip"}, "2026-03-28T12:00:00", 1, BERLIN)
    assert skip == ["2026-03-30T02:30:00+0200"]
    both = local({"cron": fixed, "fold": "both"}, "2026-10-24T12:00:00", 2, BERLIN)
    assert both == ["2026-10-25T02:30:00+0200", "2026-10-25T02:30:00+0100"]
    second = local({"cron": fixed, "fold": "second"}, "2026-10-24T12:00:00", 2, BERLIN)
    assert second == ["2026-10-25T02:30:00+0100", "2026-10-26T02:30:00+0100"]
    wild_once = local({"cron": "30 * * * *", "fold": "first"}, "2026-10-25T00:30:00", 1, BERLIN)
    assert wild_once == ["2026-10-25T03:30:00+0100"]
    wild_after = local({"cron": "30 * * * *", "gap": "after"}, "2026-03-29T00:30:00", 1, BERLIN)
    assert wild_after == ["2026-03-29T03:00:00+0200"]


def test_samoa_skipped_a_day_and_nothing_is_made_up() -> None:
    got = local("30 9 * * *", "2011-12-29T12:00:00", 2, "Pacific/Apia")
    assert got == ["2011-12-29T09:30:00-1000", "2011-12-31T09:30:00+1400"]
    explicit = local({"cron": "30 9 * * *", "gap": "after"}, "2011-12-30T09:00:00", 1, "Pacific/Apia")
    assert explicit == ["2011-12-31T09:30:00+1400"]


def test_a_repeated_day_is_a_correction_too() -> None:
    got = local("30 9 * * *", "1969-09-29T12:00:00", 3, "Pacific/Kwajalein")  # went back 23 hours
    assert got[0][:10] in ("1969-09-30", "1969-10-01")
    both = local("30 1 * * *", "1969-09-29T12:00:00", 4, "Pacific/Kwajalein")
    assert len(both) == len(set(both)) == 4


def test_offset_changes_that_are_not_daylight_saving() -> None:
    assert local("45 2 * * *", "2016-04-30T12:00:00", 1, "America/Caracas") == ["2016-05-01T03:00:00-0400"]
    assert local("45 2 * * *", "2007-12-08T12:00:00", 1, "America/Caracas") == ["2007-12-09T02:45:00-0400"]
    assert local("45 2 * * *", "2007-12-09T06:45:00", 1, "America/Caracas") == ["2007-12-10T02:45:00-0430"]
    assert local("45 23 * * *", "2018-05-04T12:00:00", 1, "Asia/Pyongyang") == ["2018-05-05T00:00:00+0900"]
    assert local("45 23 * * *", "2015-08-14T12:00:00", 2, "Asia/Pyongyang")[1] == "2015-08-15T23:45:00+0830"


def test_half_hour_shifts_of_lord_howe() -> None:
    assert local("15 2 * * *", "2026-10-03T12:00:00", 1, "Australia/Lord_Howe") == ["2026-10-04T02:30:00+1100"]
    assert local("45 1 * * *", "2026-04-04T14:00:00", 2, "Australia/Lord_Howe") == [
        "2026-04-05T01:45:00+1100",
        "2026-04-06T01:45:00+1030",
    ]


def test_midnight_gaps_of_cairo_and_sao_paulo() -> None:
    assert local("0 0 * * *", "2026-04-23T12:00:00", 1, "Africa/Cairo") == ["2026-04-24T01:00:00+0300"]
    assert local("30 0 * * *", "2018-11-03T12:00:00", 2, "America/Sao_Paulo") == [
        "2018-11-04T01:00:00-0200",
        "2018-11-05T00:30:00-0200",
    ]


def test_the_fold_of_chatham() -> None:
    got = local("0 3 * * *", "2026-04-04T12:00:00", 2, "Pacific/Chatham")
    assert got == ["2026-04-05T03:00:00+1345", "2026-04-06T03:00:00+1245"]


def test_ten_years_of_a_per_second_cron_are_counted_exactly() -> None:
    low, high = utc("2020-01-01T00:00"), utc("2030-01-01T00:00")
    for zone in ("UTC", BERLIN, "Africa/Casablanca"):
        assert rule_of("* * * * * *", zone).count(low, high) == int((high - low).total_seconds())
    assert rule_of("0 30 2 * * *", BERLIN).count(low, high) == 3653
    assert rule_of({"cron": "30 2 * * *", "gap": "skip"}, BERLIN).count(low, high) == 3653 - 10
