"""Backfill: runs for fire times that have none, beside the fires of today."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gnomon.core.errors import UsageError
from gnomon.core.records import AuditRecord, Cause
from gnomon.core.states import State
from gnomon.core.values import JsonObject
from gnomon.operations.backfill import Wish, backfill
from gnomon.scheduler.views import Run
from gnomon.testing.virtual import VirtualScheduler

SHOW = {"type": "command", "command": ["show", "${fire_time}", "${fire_date}"]}
BEGIN = datetime(2030, 1, 1, tzinfo=UTC)


def day(number: int) -> datetime:
    return BEGIN + timedelta(days=number - 1)


def ask(scheduler: VirtualScheduler, job: str, since: datetime, until: datetime, **more: Any) -> JsonObject:
    dry_run = more.pop("dry_run", False)
    answer = backfill(scheduler._desk, Wish(job, since, until, **more), dry_run=dry_run)
    scheduler.advance(seconds=0)
    return answer


def times(answer: JsonObject) -> list[str]:
    fires = answer["fires"]
    assert isinstance(fires, list)
    return [str(fire["at"])[:10] for fire in fires if isinstance(fire, dict)]


def made(scheduler: VirtualScheduler, job: str) -> list[Run]:
    return [run for run in scheduler.runs(job) if run.cause == Cause.BACKFILL]


def daily(**policies: Any) -> VirtualScheduler:
    """`report` at midnight, added on 10 January."""
    scheduler = VirtualScheduler("2030-01-10T12:00:00Z")
    scheduler.add_job("report", task=SHOW, cron="0 0 * * *", **policies)
    return scheduler


def test_each_fire_time_gets_one_run_in_order_with_its_own_time() -> None:
    scheduler = daily()
    entry = scheduler._store.read(lambda r: r.schedule("report:default"))
    answer = ask(scheduler, "report", day(2), day(5))
    assert times(answer) == ["2030-01-02", "2030-01-03", "2030-01-04"]
    assert [spec.arguments["command"] for spec in scheduler.started] == [
        ["show", f"{date}T00:00:00Z", date] for date in times(answer)
    ]
    assert [(r.state, r.fire_at) for r in made(scheduler, "report")] == [
        (State.SUCCEEDED, day(number)) for number in (2, 3, 4)
    ]
    assert scheduler._store.read(lambda r: r.schedule("report:default")) == entry, "the cursor stays"
    audit: AuditRecord = scheduler._store.read(lambda r: r.audit(1))[0]
    assert (audit.action, audit.object, audit.actor) == ("job.backfill", "report", "test")


def test_the_same_backfill_twice_makes_nothing_twice_and_again_means_again() -> None:
    scheduler = daily()
    ask(scheduler, "report", day(2), day(5))
    answer = ask(scheduler, "report", day(1), day(5))
    assert (times(answer), answer["there"]) == (["2030-01-01"], 3)
    assert len(made(scheduler, "report")) == 4
    assert times(ask(scheduler, "report", day(1), day(3), again=True)) == ["2030-01-01", "2030-01-02"]
    assert len(made(scheduler, "report")) == 6


def test_fire_times_that_ran_are_left_out_and_those_skipped_are_not() -> None:
    scheduler = daily()
    scheduler.advance(days=2)
    scheduler.pause("report")
    scheduler.advance(days=2)
    scheduler.resume("report")
    answer = ask(scheduler, "report", day(10), day(30))
    assert times(answer) == ["2030-01-10", "2030-01-13", "2030-01-14"]
    assert answer["there"] == 2
    why = scheduler.why("report", day(13))
    assert why["outcome"] == "succeeded"
    assert "backfill by test" in str(why["gates"])


def test_what_the_scheduler_still_decides_is_not_touched() -> None:
    scheduler = daily()
    assert times(ask(scheduler, "report", day(9), day(20))) == ["2030-01-09", "2030-01-10"]
    scheduler.advance(days=1)
    assert [r.cause for r in scheduler.runs("report")] == ["backfill", "backfill", "schedule"]


def test_a_dry_run_lists_and_makes_nothing() -> None:
    scheduler = daily()
    answer = ask(scheduler, "report", day(2), day(4), dry_run=True)
    assert (times(answer), answer["dry_run"]) == (["2030-01-02", "2030-01-03"], True)
    assert scheduler.runs() == []
    assert scheduler._store.read(lambda r: r.audit(1))[0].action != "job.backfill"


def busiest(scheduler: VirtualScheduler, job: str) -> int:
    """Runs of a job that were at work at one time, at most."""
    edges = []
    for run in scheduler.runs(job):
        if run.started_at is not None and run.finished_at is not None:
            edges += [(run.started_at, 1), (run.finished_at, -1)]
    most = now = 0
    for _, step in sorted(edges):
        now += step
        most = max(most, now)
    return most


@pytest.mark.parametrize("overlap", ["skip", "queue_all", "allow"])
@pytest.mark.parametrize("concurrency", [1, 3])
def test_at_most_so_many_at_once(concurrency: int, overlap: Any) -> None:
    scheduler = daily(overlap=overlap)
    scheduler.when("report", takes=60)
    ask(scheduler, "report", day(1), day(10), concurrency=concurrency)
    scheduler.advance(minutes=30)
    assert {r.state for r in made(scheduler, "report")} == {State.SUCCEEDED}
    assert busiest(scheduler, "report") == concurrency


def test_max_active_of_the_job_still_holds() -> None:
    scheduler = daily(max_active=2)
    scheduler.when("report", takes=60)
    ask(scheduler, "report", day(1), day(10), concurrency=5)
    scheduler.advance(minutes=30)
    assert busiest(scheduler, "report") == 2


@pytest.mark.parametrize("concurrency", [1, 3])
def test_the_fires_of_today_are_neither_skipped_nor_kept_waiting_for_all(concurrency: int) -> None:
    scheduler = daily()
    scheduler.when("report", takes=timedelta(hours=5))
    ask(scheduler, "report", day(1), day(10), concurrency=concurrency)
    scheduler.advance(days=3)
    fired = [r for r in scheduler.runs("report") if r.cause == "schedule"]
    assert [r.fire_at for r in fired] == [day(11), day(12), day(13)]
    assert scheduler.skips("report") == []
    assert all(r.lateness_s is not None and r.lateness_s <= 5 * 3600 for r in fired)


def test_a_pipeline_runs_below_each_fire_with_its_time() -> None:
    scheduler = daily()
    scheduler.add_job("below", task=SHOW, depends_on=["report"])
    ask(scheduler, "report", day(2), day(4))
    below = [s.arguments["command"] for s in scheduler.started if s.job_id == "below"]
    assert below == [["show", "2030-01-02T00:00:00Z", "2030-01-02"], ["show", "2030-01-03T00:00:00Z", "2030-01-03"]]


def test_a_rerun_keeps_the_time_of_its_fire() -> None:
    scheduler = daily()
    scheduler.when("report", fails=True)
    ask(scheduler, "report", day(2), day(3))
    scheduler.when("report")
    scheduler.retry(made(scheduler, "report")[0].id)
    assert scheduler.started[-1].arguments["command"] == ["show", "2030-01-02T00:00:00Z", "2030-01-02"]


def test_items_are_backfilled_run_by_run() -> None:
    scheduler = VirtualScheduler("2030-01-10T12:00:00Z")
    task = {"type": "command", "command": ["show", "${fire_date}", "${item}"]}
    scheduler.add_job("report", task=task, cron="0 0 * * *", for_each=["a", "b"])
    scheduler.when("report", takes=60)
    ask(scheduler, "report", day(2), day(5), concurrency=2)
    assert [r.state for r in made(scheduler, "report")] == [State.RUNNING, State.RUNNING, State.QUEUED]
    scheduler.advance(minutes=10)
    assert {r.state for r in made(scheduler, "report")} == {State.SUCCEEDED}
    shown = {tuple(s.arguments["command"][1:]) for s in scheduler.started}  # type: ignore[arg-type, index]
    assert shown == {(f"2030-01-0{n}", item) for n in (2, 3, 4) for item in "ab"}


def test_newest_first() -> None:
    scheduler = daily()
    ask(scheduler, "report", day(2), day(5), newest_first=True)
    assert [r.fire_at for r in made(scheduler, "report")] == [day(4), day(3), day(2)]


def test_excluded_days_and_old_runs_stay_as_they_should() -> None:
    scheduler = VirtualScheduler("2031-06-01T12:00:00Z")
    scheduler.add_job("report", task=SHOW, schedule={"cron": "0 0 * * *", "exclude": ["2030-01-03"]})
    assert times(ask(scheduler, "report", day(2), day(5))) == ["2030-01-02", "2030-01-04"]
    now = scheduler.now
    scheduler._store.write(
        lambda tx: tx.prune(
            now=now, runs_before=now - timedelta(days=90), runs_per_job=1000, changes_before=now, limit=500
        )
    )
    assert len(made(scheduler, "report")) == 2, "retention counts from when it ran, not from the fire it stands for"


def test_parameters_are_checked_and_go_over_those_of_the_schedule() -> None:
    scheduler = VirtualScheduler("2030-01-10T12:00:00Z")
    scheduler.add_job(
        "report",
        task={"type": "command", "command": ["show", "${mode}", "${depth}"]},
        schedule={"cron": "0 0 * * *", "parameters": {"mode": "nightly"}},
        parameters={"mode": "quick", "depth": {"type": "integer", "default": 1}},
    )
    ask(scheduler, "report", day(2), day(3))
    ask(scheduler, "report", day(3), day(4), parameters={"depth": "3"})
    assert [s.arguments["command"] for s in scheduler.started] == [["show", "nightly", 1], ["show", "nightly", 3]]
    with pytest.raises(UsageError) as caught:
        ask(scheduler, "report", day(5), day(6), parameters={"dept": 1})
    assert caught.value.code == "parameter_unknown"


@pytest.mark.parametrize(
    ("job", "since", "until", "more", "code"),
    [
        ("report", day(5), day(5), {}, "backfill_range"),
        ("report", day(1), day(9), {"concurrency": 0}, "concurrency_invalid"),
        ("report", day(1), day(9), {"schedule_id": "other:default"}, "schedule_not_found"),
        ("report", day(1), day(9), {"schedule_id": "reprt:default"}, "schedule_not_found"),
        ("often", day(1), day(10), {}, "backfill_too_large"),
        ("manual", day(1), day(10), {}, "no_schedule"),
        ("reprt", day(1), day(10), {}, "job_not_found"),
    ],
)
def test_what_cannot_be_is_said(job: str, since: datetime, until: datetime, more: Any, code: str) -> None:
    scheduler = daily()
    scheduler.add_job("other", task=SHOW, cron="0 0 * * *")
    scheduler.add_job("often", task=SHOW, cron="* * * * * *")
    scheduler.add_job("manual", task=SHOW)
    with pytest.raises(UsageError) as caught:
        ask(scheduler, job, since, until, **more)
    assert caught.value.code == code
    assert made(scheduler, job) == [] if job != "reprt" else True


def test_failures_of_a_backfill_do_not_pause_the_job() -> None:
    """They are of another time: the fires of today go on. What fails today, also by hand, counts."""
    scheduler = daily(pause_after=2)
    scheduler.add_job("below", task=SHOW, depends_on=[{"job": "report", "when": "finished"}], pause_after=2)
    scheduler.when("report", fails=True)
    scheduler.when("below", fails=True)
    ask(scheduler, "report", day(1), day(9))
    scheduler.advance(minutes=1)
    assert len(made(scheduler, "report")) == 8
    assert [job.paused for job in scheduler.jobs()] == [False, False]
    scheduler.run("report")
    scheduler.run("report")
    scheduler.advance(minutes=1)
    assert [job.paused for job in scheduler.jobs()] == [True, True]
