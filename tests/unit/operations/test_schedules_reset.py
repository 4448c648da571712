"""`schedules reset`: the explicit way out after a clock was set wrongly, for every kind of schedule."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gnomon.core.planning import stands_until
from gnomon.core.records import ScheduleRecord
from gnomon.operations.schedules import reset_schedule
from gnomon.operations.why import why
from gnomon.testing.virtual import VirtualScheduler

TASK = {"type": "command", "command": ["true"]}
KINDS: dict[str, Any] = {
    "cron": "0 * * * *",
    "interval": "every 1h",
    "calendar interval": "every day at 06:00",
    "calendar interval by hand": {"calendar": {"every": "2 days", "at": "06:00"}},
    "rrule": "RRULE:FREQ=HOURLY;INTERVAL=2",
    "once": "2030-01-04T12:00:00Z",
    "jitter": {"cron": "0 * * * *", "jitter": "10m"},
}


def entry(scheduler: VirtualScheduler) -> ScheduleRecord:
    found = scheduler._store.read(lambda r: r.schedule("tick:default"))
    assert found is not None
    return found


def stands(scheduler: VirtualScheduler) -> bool:
    found = entry(scheduler)
    rule = scheduler._desk.engine.rules.of(found)
    assert rule is not None
    return stands_until(found, rule, scheduler.now) is not None


@pytest.mark.parametrize("seen", ["before", "while it was wrong"])
@pytest.mark.parametrize("ahead", [timedelta(hours=7), timedelta(days=9), timedelta(days=400)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_reset_entry_of_any_kind_fires_at_its_next_time(kind: str, ahead: timedelta, seen: str) -> None:
    daily = kind.startswith(("once", "calendar"))
    if (daily and ahead < timedelta(days=4)) or (kind, seen) == ("once", "while it was wrong"):
        pytest.skip("its time did not come")
    scheduler = VirtualScheduler("2030-01-01T00:30:00Z")
    if seen == "before":
        scheduler.add_job("tick", task=TASK, schedule=KINDS[kind])
    scheduler.clock.jump(ahead.total_seconds())
    scheduler.advance(hours=1)
    if seen != "before":
        scheduler.add_job("tick", task=TASK, schedule=KINDS[kind])
    scheduler.advance(hours=12)
    scheduler.clock.jump(-ahead.total_seconds())
    ran = len(scheduler.fires("tick"))
    scheduler.advance(seconds=1)
    assert stands(scheduler), "it waits for a time of the wrong clock"
    assert "of a clock that was wrong" in str(why(scheduler._desk, "tick").verdict) or ran
    reset_schedule(scheduler._desk, "tick")
    assert not stands(scheduler)
    rule = scheduler._desk.engine.rules.of(entry(scheduler))
    assert rule is not None
    due = rule.next(scheduler.now)
    assert due is not None
    scheduler.advance(seconds=(due.at - scheduler.now).total_seconds() + 700)
    fired = list(scheduler.fires("tick"))
    assert len(fired) > ran, (
        "it fires at its next time, even if a clock that was ahead had it fire for that time before"
    )
    assert not stands(scheduler)


def test_what_waits_rightly_does_not_stand() -> None:
    for kind, value in KINDS.items():
        scheduler = VirtualScheduler("2030-01-01T00:30:00Z")
        scheduler.add_job("tick", task=TASK, schedule=value)
        for _ in range(5):
            assert not stands(scheduler), kind
            scheduler.advance(hours=17)
        scheduler.clock.jump(-30)
        assert not stands(scheduler), f"{kind}: a correction"


def test_a_reset_of_a_start_up_entry_changes_nothing() -> None:
    scheduler = VirtualScheduler("2030-01-01T00:30:00Z")
    scheduler.add_job("tick", task=TASK, schedule="@reboot")
    before = entry(scheduler)
    reset_schedule(scheduler._desk, "tick")
    after = entry(scheduler)
    assert (after.cursor, after.due_at, after.anchor) == (before.cursor, before.due_at, before.anchor)
