"""RRULE against python-dateutil as an oracle, and the points where ours is more."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from dateutil.rrule import rrulestr

from gnomon.core.errors import UsageError
from gnomon.schedules.rrule import walls_of
from gnomon.schedules.rrule_parse import parse_rrule
from gnomon.schedules.zones import EPOCH, get_zone, wall_seconds
from tests.unit.schedules.rules import check_consistent, local, rule_of
from tests.unit.schedules.walker import utc

FREQS = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY")
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def some(rng: random.Random, low: int, high: int, signed: bool = False) -> str:
    values = {rng.randint(low, high) * (rng.choice((1, -1)) if signed else 1) for _ in range(rng.randint(1, 3))}
    return ",".join(map(str, sorted(values)))


def random_rule(rng: random.Random) -> str:
    freq = rng.choice(FREQS)
    rank = FREQS.index(freq)
    parts = [f"FREQ={freq}"]
    if rng.random() < 0.5:
        parts.append(f"INTERVAL={rng.randint(1, (5, 14, 9, 40, 50, 200, 5000)[rank])}")
    if rng.random() < 0.3:
        parts.append(f"BYMONTH={some(rng, 1, 12)}")
    if freq == "YEARLY" and rng.random() < 0.2:
        parts.append(f"BYWEEKNO={some(rng, 1, 52, True)}")
    if freq in ("YEARLY", "HOURLY", "MINUTELY", "SECONDLY") and rng.random() < 0.15:
        parts.append(f"BYYEARDAY={some(rng, 1, 366, True)}")
    if freq != "WEEKLY" and rng.random() < 0.3:
        parts.append(f"BYMONTHDAY={some(rng, 1, 31, True)}")
    if rng.random() < 0.4:
        days = rng.sample(DAYS, rng.randint(1, 3))
        nth = freq in ("YEARLY", "MONTHLY") and "BYWEEKNO" not in " ".join(parts) and rng.random() < 0.5
        parts.append("BYDAY=" + ",".join((str(rng.choice((1, 2, 3, 4, 5, -1, -2))) if nth else "") + d for d in days))
    for name, high in (("BYHOUR", 23), ("BYMINUTE", 59), ("BYSECOND", 59)):
        if rng.random() < 0.25:
            parts.append(f"{name}={some(rng, 0, high)}")
    by = any(part.startswith("BY") for part in parts)
    if by and rank < 4 and rng.random() < 0.2:
        parts.append(f"BYSETPOS={some(rng, 1, 4, True)}")
    if rng.random() < 0.3:
        parts.append(f"WKST={rng.choice(DAYS)}")
    if rng.random() < 0.2:
        parts.append(f"COUNT={rng.randint(1, 60)}")
    elif rng.random() < 0.15:
        parts.append(f"UNTIL={rng.randint(2024, 2040)}0{rng.randint(1, 9)}1{rng.randint(0, 9)}T120000")
    return ";".join(parts)


def whole(text: str, start: datetime) -> str:
    """With the day of the week that dateutil does not take from DTSTART (RFC 5545, 3.3.10)."""
    week_only = "BYWEEKNO" in text and not any(part in text for part in ("BYDAY", "BYMONTHDAY", "BYYEARDAY"))
    return f"{text};BYDAY={DAYS[start.weekday()]}" if week_only else text


@pytest.mark.parametrize("seed", range(10))
def test_random_rules_agree_with_dateutil(seed: int) -> None:
    """Excluded: weekly BYSETPOS (dateutil cuts the first week short) and rules without a fire for 60 years."""
    rng, zone, compared = random.Random(seed), get_zone("UTC"), 0
    for _ in range(120):
        text = random_rule(rng)
        start = datetime(2024, 1, 1) + timedelta(seconds=rng.randrange(4 * 365 * 86400))
        if "WEEKLY" in text and "BYSETPOS" in text:
            continue
        walls = walls_of(parse_rrule(text), start, zone)
        ours, at = [], wall_seconds(start)
        limit = wall_seconds(datetime(2090, 1, 1))
        while len(ours) < 30 and (found := walls.next(at)) is not None and found < limit:
            ours.append(found)
            at = found + 1
        if len(ours) < 2:  # dateutil would search to the year 9999
            continue
        theirs = []
        for moment in rrulestr(whole(text, start), dtstart=start):
            if len(theirs) == len(ours):
                break
            theirs.append(wall_seconds(moment))
        assert ours == theirs, f"seed={seed} {text} from {start}"
        assert walls.count(ours[0], ours[-1] + 1) == len(ours), f"seed={seed} {text} from {start}"
        for this, following in pairwise(ours):
            assert walls.prev(following - 1) == this, f"seed={seed} {text} from {start}"
        compared += 1
    assert compared > 60


def test_next_far_from_dtstart_jumps() -> None:
    value = {"rrule": "FREQ=DAILY;INTERVAL=3;BYHOUR=9;BYMINUTE=0;BYSECOND=0", "dtstart": "1900-01-01T00:00:00"}
    day = datetime(1900, 1, 1, 9)
    got = local(value, "2026-01-01T00:00:00", 1)[0]
    assert (datetime.fromisoformat(got[:19]) - day) % timedelta(days=3) == timedelta(0)


def test_gap_and_fold() -> None:
    rule = "RRULE:FREQ=DAILY;BYHOUR=2;BYMINUTE=30;BYSECOND=0"
    assert local(rule, "2026-03-28T12:00:00", 1, "Europe/Berlin", utc("2026-01-01T00:00")) == [
        "2026-03-29T03:30:00+0200"
    ]
    assert local(rule, "2026-10-24T12:00:00", 2, "Europe/Berlin", utc("2026-01-01T00:00")) == [
        "2026-10-25T02:30:00+0200",
        "2026-10-26T02:30:00+0100",
    ]


def test_until_and_count_end_it() -> None:
    daily = {"rrule": "FREQ=DAILY;COUNT=3", "dtstart": "2026-01-01T09:00:00"}
    assert len(local(daily, "2025-01-01T00:00:00", 9)) == 3
    assert rule_of(daily).latest(utc("2030-01-01T00:00")).at == utc("2026-01-03T09:00")
    for until in ("20260103", "20260103T090000", "20260103T080000Z"):
        value = {"rrule": f"FREQ=DAILY;UNTIL={until}", "dtstart": "2026-01-01T09:00:00", "timezone": "Europe/Berlin"}
        assert len(local(value, "2025-01-01T00:00:00", 9)) == 3, until


@pytest.mark.parametrize("text", ["FREQ=HOURLY;INTERVAL=5;BYMINUTE=0,30", "FREQ=MINUTELY;INTERVAL=7", "FREQ=WEEKLY"])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "Pacific/Apia", "Australia/Lord_Howe"])
def test_next_latest_count_agree(text: str, zone: str) -> None:
    rule = rule_of({"rrule": text, "dtstart": "2011-09-01T00:07:00"}, zone)
    for start in ("2011-12-29T00:00", "2026-03-28T22:00", "2026-10-24T22:00", "2026-04-04T12:00"):
        check_consistent(rule, utc(start), utc(start) + timedelta(days=3))


def test_never_firing_rules_are_refused() -> None:
    with pytest.raises(UsageError, match="never fires"):
        rule_of("RRULE:FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30")


def test_epoch_is_a_monday() -> None:
    assert EPOCH.weekday() == 0
