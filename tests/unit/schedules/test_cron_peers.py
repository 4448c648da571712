"""Cross-check with cronsim and croniter where their rules are ours.

Left out, with the reason. Both: day operators, `H`, `a/s`, seconds and wrapping ranges (each reads them its own way),
days of the month above 28 (they give up searching earlier). croniter: every zone but UTC (it differs inside gaps and
folds), and star steps in the day fields (it reads the day rule as OR there). cronsim: a comparison stops at the first
fire that a clock change touches.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from cronsim import CronSim

from gnomon.core.errors import UsageError
from tests.unit.schedules.rules import rule_of
from tests.unit.schedules.walker import utc

LIMITS = ((0, 59), (0, 23), (1, 28), (1, 12), (0, 6))


def shared_expression(rng: random.Random, stars: bool) -> str:
    fields = []
    for number, (low, high) in enumerate(LIMITS):
        kind = rng.random()
        a, b = sorted((rng.randint(low, high), rng.randint(low, high)))
        if kind < 0.45 or (number in (2, 3, 4) and kind < 0.6):
            fields.append("*")
        elif kind < 0.65 and (stars or number not in (2, 4)):
            fields.append(f"*/{rng.randint(1, max(2, (high - low) // 2))}")
        elif kind < 0.8 and a < b:
            fields.append(f"{a}-{b}")
        elif kind < 0.9:
            fields.append(f"{a},{b}" if a != b else f"{a}")
        else:
            fields.append(str(a))
    return " ".join(fields)


@pytest.mark.parametrize("seed", range(4))
def test_croniter_agrees_in_utc(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(250):
        text = shared_expression(rng, stars=False)
        start = utc("2020-01-01T00:00") + timedelta(seconds=rng.randrange(10 * 365 * 86400))
        peer, rule, at = croniter(text, start), rule_of(text), start
        for _ in range(5):
            at = rule.next(at).at
            assert at == peer.get_next(datetime), f"seed={seed} {text} from {start}"


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Chatham"])
def test_cronsim_agrees(zone: str) -> None:
    rng = random.Random(zone)
    for _ in range(250):
        text = shared_expression(rng, stars=True)
        start = utc("2020-01-01T00:00") + timedelta(minutes=rng.randrange(10 * 365 * 1440))
        try:
            rule = rule_of(text, zone)
        except UsageError:
            continue
        peer, at = CronSim(text, start.astimezone(ZoneInfo(zone))), start
        for _ in range(5):
            fire = rule.next(at)
            if fire.note or fire.at - start > timedelta(days=3650):
                break
            assert fire.at == next(peer), f"{text} from {start} in {zone}"
            at = fire.at
