"""100,000 random expressions against the minute walker, around clock changes of 16 zones."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from gnomon.core.errors import UsageError
from gnomon.schedules.cron import CRON
from gnomon.schedules.kinds import Context
from gnomon.schedules.zones import get_zone
from tests.unit.schedules.walker import CHANGES, ZONES, Walker, Window, change, random_expression

CHUNKS, EACH = 20, 5000


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(CHUNKS))
def test_random_expressions_agree_with_the_walker(seed: int) -> None:
    rng = random.Random(seed)
    windows = []
    for number in range(4):
        zone = ZONES[(seed * 4 + number) % len(ZONES)]
        windows.append(Window(zone, change(zone, rng.randrange(len(CHANGES[zone])))))
    fired = 0
    for _ in range(EACH):
        text, window = random_expression(rng), rng.choice(windows)
        options = {}
        if rng.random() < 0.2:
            options = {"gap": rng.choice(("after", "skip")), "fold": rng.choice(("first", "second", "both"))}
        expected = window.fires(Walker(text, window.zone, options.get("gap"), options.get("fold")))
        said = f"seed={seed} {text!r} {options} in {window.zone} around {window.low}"
        context = Context(get_zone(window.zone), "job")
        try:
            rule = CRON.build(CRON.parse_mapping({"cron": text, **options}, context), context)
        except UsageError as error:
            refused = error.code
            assert (refused, expected) == ("cron_never_fires", []), said
            continue
        fired += bool(expected)
        start = window.low + timedelta(seconds=rng.randrange(int((window.high - window.low).total_seconds())))
        fire = rule.next(start)
        after = next((at for at in expected if at > start), None)
        if after is not None or (fire is not None and fire.at <= window.high):
            assert (fire and fire.at) == after, said
        fire = rule.latest(start)
        before = next((at for at in reversed(expected) if at <= start), None)
        if before is not None or (fire is not None and fire.at > window.low):
            assert (fire and fire.at) == before, said
        assert rule.count(window.low, start) == sum(at <= start for at in expected), said
        assert rule.count(start, window.high) == sum(at > start for at in expected), said
    assert fired > EACH // 5


@pytest.mark.parametrize("zone", ZONES)
def test_every_fire_of_three_days_agrees_with_the_walker(zone: str) -> None:
    texts = ("*/15 * * * *", "30 2 * * *", "0,30 0-3 * * *", "15 */1 * * *", "7 1,23 * * 0-5", "45 0 * * *")
    for number in range(len(CHANGES[zone])):
        window = Window(zone, change(zone, number), hours=36)
        for text in texts:
            context = Context(get_zone(zone), "job")
            rule = CRON.build({"cron": text}, context)
            found, at = [], window.low
            while (fire := rule.next(at)) is not None and fire.at <= window.high:
                found.append(fire.at)
                at = fire.at
            assert found == window.fires(Walker(text, zone)), (text, zone)


def test_the_two_walkers_agree() -> None:
    window = Window("Europe/Berlin", change("Europe/Berlin"), hours=10)
    for text in ("30 2 * * *", "*/7 * * * *", "0 3 * * *"):
        walker = Walker(text, "Europe/Berlin")
        assert walker.fires(window.low, window.high) == window.fires(walker)
