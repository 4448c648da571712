"""`gnomon next` and `why` about moments at which nothing fires, and about jitter."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from gnomon.operations.fires import next_fires
from gnomon.testing.virtual import VirtualScheduler

TRUE = {"type": "command", "command": ["true"]}


def _next(scheduler: VirtualScheduler, what: object, **more: Any) -> dict[str, Any]:
    return cast(dict[str, Any], next_fires(scheduler._desk, what, **more))


def test_jitter_is_told_and_is_what_happens() -> None:
    scheduler = VirtualScheduler()
    scheduler.add_job("a", schedule={"cron": "0 9 * * *", "jitter": "10m"}, task=TRUE)
    (fire,) = _next(scheduler, "a", count=1)["fires"]
    scheduler.advance(days=1)
    (run,) = scheduler.runs("a")
    assert fire["note"] == f"starts {run.due_at.time().isoformat('milliseconds')} (jitter, up to 0:10:00)"
    (other,) = _next(scheduler, {"cron": "0 9 * * *", "jitter": "10m"}, count=1)["fires"]
    assert "starts up to 0:10:00 later (jitter)" in other["note"], "of a schedule without an id nobody knows how much"


def test_it_says_why_there_is_none() -> None:
    scheduler = VirtualScheduler()
    scheduler.add_job("up", cron="0 9 * * *", task=TRUE)
    scheduler.add_job("down", depends_on=["up"], task=TRUE)
    scheduler.add_job("byhand", task=TRUE)
    scheduler.add_job("over", schedule={"cron": "0 9 * * *", "end": "2029-06-01T00:00:00Z"}, task=TRUE)
    scheduler.add_job("off", cron="0 9 * * *", enabled=False, task=TRUE)
    assert _next(scheduler, "up")["why"] is None
    assert _next(scheduler, "down")["why"] == "down has no schedule: it runs after up"
    assert "by hand only" in _next(scheduler, "byhand")["why"]
    assert (_next(scheduler, "over")["fires"], _next(scheduler, "over")["why"]) == (
        [],
        "its end was 2029-06-01T00:00:00Z",
    )
    assert "disabled" in _next(scheduler, "off")["why"]
    scheduler.pause("up")
    paused = _next(scheduler, "up")
    assert (len(paused["fires"]), "paused by" in paused["why"]) == (5, True)


def test_a_moment_outside_start_and_end_is_said_to_be_that() -> None:
    scheduler = VirtualScheduler()
    window = {"start": "2030-01-05T00:00:00Z", "end": "2030-01-10T00:00:00Z"}
    scheduler.add_job("a", schedule={"cron": "0 9 * * *", **window}, task=TRUE)
    early, late, odd = (
        cast(dict[str, Any], scheduler.why("a", datetime(2030, 1, day, hour, tzinfo=UTC)))
        for day, hour in ((2, 9), (12, 9), (12, 8))
    )
    assert "it starts 2030-01-05T00:00:00Z" in early["verdict"]
    assert "it ended 2030-01-10T00:00:00Z" in late["verdict"]
    assert [e["outcome"] for e in (early, late, odd)] == ["no_fire"] * 3
    assert "names" in odd["verdict"]


def test_one_attempt_is_one() -> None:
    scheduler = VirtualScheduler()
    scheduler.add_job("a", task=TRUE)
    scheduler.when("a", fails=True)
    scheduler.run("a")
    scheduler.advance(seconds=1)
    assert "after 1 attempt:" in cast(dict[str, Any], scheduler.why("a"))["verdict"]
