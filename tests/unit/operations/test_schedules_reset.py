"""`schedules reset`: the explicit way out after a clock was set wrongly."""

from __future__ import annotations

from datetime import timedelta

from gnomon.operations.schedules import reset_schedule
from gnomon.testing.virtual import VirtualScheduler


def test_a_reset_entry_fires_at_its_next_time_although_it_was_decided_further() -> None:
    scheduler = VirtualScheduler("2030-01-01T00:00:00Z")
    scheduler.add_job("tick", task={"type": "command", "command": ["true"]}, cron="0 * * * *")
    scheduler.advance(hours=48)
    scheduler.clock.jump(-timedelta(hours=24).total_seconds())
    scheduler.advance(hours=2)
    assert len(scheduler.fires("tick")) == 48, "a clock set back never repeats a fire"
    reset_schedule(scheduler._desk, "tick")
    fire = scheduler.get_job("tick").next_fire_at
    assert fire is not None
    assert fire - scheduler.now <= timedelta(hours=1)
    scheduler.advance(hours=2)
    assert len(scheduler.fires("tick")) == 48, "and what ran already does not run again"
