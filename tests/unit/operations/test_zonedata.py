"""Other zone data: what lies ahead is worked out anew, what is past is decided once, as it was."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from gnomon.operations.zonedata import note_zone_data
from gnomon.testing.virtual import VirtualScheduler

COMMAND = {"type": "command", "command": ["true"]}


def _next(scheduler: VirtualScheduler) -> datetime | None:
    job = scheduler.get_job("report")
    assert job is not None
    return job.next_fire_at


def _shifted(scheduler: VirtualScheduler, by: timedelta) -> None:
    """As if the cursor had been worked out under rules that differ by an hour."""
    desk = scheduler._desk

    def work(tx):  # type: ignore[no-untyped-def]
        entry = tx.schedule("report:default")
        moved = entry.cursor + by
        tx.put_schedules([replace(entry, cursor=moved, due_at=moved)])

    desk.store.write(work)


def test_cursors_ahead_are_moved_only_when_the_version_changes() -> None:
    scheduler = VirtualScheduler("2030-01-01T00:00:00Z", timezone="Africa/Cairo")
    scheduler.add_job("report", task=COMMAND, cron="0 9 * * *")
    right = _next(scheduler)
    assert note_zone_data(scheduler._desk, "2029a") == 0, "first seen"
    _shifted(scheduler, timedelta(hours=1))
    assert note_zone_data(scheduler._desk, "2029a") == 0
    assert _next(scheduler) != right
    assert note_zone_data(scheduler._desk, "2030b") == 1
    assert _next(scheduler) == right
    assert note_zone_data(scheduler._desk, "2030b") == 0


def test_a_cursor_in_the_past_is_kept() -> None:
    scheduler = VirtualScheduler("2030-01-01T00:00:00Z", timezone="Africa/Cairo")
    scheduler.add_job("report", task=COMMAND, cron="0 9 * * *")
    note_zone_data(scheduler._desk, "2029a")
    scheduler.stop()
    scheduler.clock.advance(12 * 3600)
    assert note_zone_data(scheduler._desk, "2030b") == 0
    scheduler.start()
    scheduler.advance(minutes=1)
    assert len(scheduler.fires("report")) == 1
