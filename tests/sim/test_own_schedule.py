"""A job with a schedule of its own and dependencies: waits for the upstreams' runs of its stretch of time."""

from __future__ import annotations

from datetime import timedelta

from gnomon.core.states import State
from gnomon.testing.virtual import VirtualScheduler

COMMAND = {"type": "command", "command": ["true"]}


def _daily() -> VirtualScheduler:
    """`load` at 01:00, `report` at 02:00 after it."""
    scheduler = VirtualScheduler("2030-01-01T00:00:00Z")
    scheduler.add_job("load", task=COMMAND, cron="0 1 * * *")
    return scheduler


def test_it_starts_when_its_upstream_is_done_not_before() -> None:
    scheduler = _daily()
    scheduler.add_job("report", task=COMMAND, cron="0 2 * * *", depends_on=["load"])
    scheduler.when("load", takes=timedelta(hours=3))
    scheduler.advance(hours=2, minutes=30)
    (report,) = scheduler.runs("report")
    assert report.state is State.WAITING
    assert report.waiting_for == "upstream load (running)"
    scheduler.advance(hours=3)
    (report,) = scheduler.runs("report")
    assert report.state is State.SUCCEEDED
    assert report.started_at is not None
    assert report.started_at.hour == 4


def test_an_upstream_that_was_done_before_does_not_hold_it() -> None:
    scheduler = _daily()
    scheduler.add_job("report", task=COMMAND, cron="0 2 * * *", depends_on=["load"])
    scheduler.advance(hours=3)
    (report,) = scheduler.runs("report")
    assert report.state is State.SUCCEEDED
    assert report.lateness_s == 0


def test_yesterdays_success_does_not_count() -> None:
    scheduler = _daily()
    scheduler.add_job("report", task=COMMAND, cron="0 2 * * *", depends_on=["load"])
    scheduler.advance(days=1)
    scheduler.pause("load")
    scheduler.advance(hours=4)
    assert [r.state for r in scheduler.runs("report")] == [State.SUCCEEDED, State.WAITING]
    scheduler.advance(days=1)
    states = [r.state for r in scheduler.runs("report")]
    assert states == [State.SUCCEEDED, State.FAILED, State.WAITING]
    late = scheduler.runs("report")[1]
    assert late.error is not None
    assert late.error.code == "dependencies_not_met"
    assert scheduler.skips("report") == [], "giving up at the next fire leaves that fire free"


def test_a_bad_upstream_costs_a_restart_and_fails_it_when_none_is_left() -> None:
    scheduler = _daily()
    scheduler.add_job("report", task=COMMAND, cron="0 2 * * *", depends_on=["load"])
    scheduler.when("load", fails=True)
    scheduler.advance(hours=3)
    (report,) = scheduler.runs("report")
    assert report.state is State.FAILED
    assert report.error is not None
    assert report.error.code == "dependencies_not_met"
    assert "load ended failed" in report.error.message


def test_with_restarts_left_it_waits_for_the_repetition() -> None:
    scheduler = _daily()
    scheduler.add_job("report", task=COMMAND, cron="0 2 * * *", depends_on=["load"], restarts=1)
    scheduler.when("load", fails=True)
    scheduler.advance(hours=3)
    (report,) = scheduler.runs("report")
    assert report.state is State.WAITING
    scheduler.when("load")
    scheduler.retry(scheduler.runs("load")[0].id)
    scheduler.advance(minutes=1)
    (report,) = scheduler.runs("report")
    assert report.state is State.SUCCEEDED


def test_dependency_timeout() -> None:
    scheduler = _daily()
    scheduler.add_job("report", task=COMMAND, cron="0 2 * * *", depends_on=["load"], dependency_timeout="30m")
    scheduler.when("load", takes=timedelta(hours=5))
    scheduler.advance(hours=2, minutes=29)
    assert scheduler.runs("report")[0].state is State.WAITING
    scheduler.advance(minutes=2)
    run = scheduler.runs("report")[0]
    assert run.state is State.FAILED
    assert run.finished_at is not None
    assert (run.finished_at.hour, run.finished_at.minute) == (2, 30)


def test_a_holiday_is_no_fire_of_its_own() -> None:
    """What ran since its fire before the holiday counts for the fire after it."""
    scheduler = VirtualScheduler("2026-01-04T12:00:00Z")
    scheduler.add_job("up", at="2026-01-05T22:00:00Z", task={"type": "command", "command": ["true"]})
    own = {"cron": "0 2 * * *", "exclude": ["2026-01-06"], "end": "2026-01-07T12:00:00Z"}
    scheduler.add_job("own", schedule=own, depends_on=["up"], task={"type": "command", "command": ["true"]})
    scheduler.advance(days=3)
    assert [str(run.state) for run in scheduler.runs("own")] == ["failed", "succeeded"]
