"""Schedulers on virtual time, as users test with them."""

from __future__ import annotations

import doctest
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gnomon import UsageError, every
from gnomon.testing import virtual
from gnomon.testing.virtual import VirtualScheduler
from tests.support.timing import cpu_seconds
from tests.unit.scheduler import tasks

Maker = Callable[..., VirtualScheduler]
BERLIN = ZoneInfo("Europe/Berlin")


def test_the_example() -> None:
    assert doctest.testmod(virtual).failed == 0


def test_a_year_across_clock_changes_takes_less_than_a_second(virtual_scheduler: Maker) -> None:
    def year() -> VirtualScheduler:
        scheduler = virtual_scheduler("2026-01-01T00:00:00Z", timezone="Europe/Berlin")
        scheduler.add_job("report", cron="30 2 * * *")
        scheduler.advance(days=365)
        return scheduler

    took, scheduler = cpu_seconds(year)
    assert took < 1
    fires = scheduler.fires("report")
    assert len(fires) == 365
    local = [fire.astimezone(BERLIN) for fire in fires]
    assert [at.date() - before.date() for before, at in pairwise(local)] == [timedelta(days=1)] * 364
    assert {(at.hour, at.minute) for at in local if at.month != 3 or at.day != 29} == {(2, 30)}
    assert local[87].isoformat() == "2026-03-29T03:00:00+02:00"  # the clocks skip 02:30
    assert {str(run.state) for run in scheduler.runs("report")} == {"succeeded"}


@pytest.mark.parametrize(
    ("overlap", "runs", "skipped", "left"),
    [("skip", 2, 2, 0), ("queue_one", 3, 1, 0), ("queue_all", 4, 0, 1), ("allow", 4, 0, 0)],
)
def test_overlap(virtual_scheduler: Maker, overlap: str, runs: int, skipped: int, left: int) -> None:
    scheduler = virtual_scheduler()
    scheduler.add_job("slow", interval="10m", overlap=overlap)
    scheduler.when("slow", takes=timedelta(minutes=15))
    scheduler.advance(minutes=41)
    assert len(scheduler.runs("slow")) == runs
    assert sum(skip.count for skip in scheduler.skips("slow") if str(skip.reason) == "overlap") == skipped
    assert len(scheduler.runs("slow", state="queued")) == left


def test_overlap_replace(virtual_scheduler: Maker) -> None:
    scheduler = virtual_scheduler()
    scheduler.add_job("slow", interval="10m", overlap="replace")
    scheduler.when("slow", takes=900)
    scheduler.advance(minutes=31)
    assert [str(run.state) for run in scheduler.runs("slow")] == ["cancelled", "cancelled", "running"]


def test_retries(virtual_scheduler: Maker) -> None:
    scheduler = virtual_scheduler()
    scheduler.add_job("flaky", restarts=3, retry={"delay": "10s", "backoff": "fixed", "jitter": False})
    scheduler.when("flaky", fails=2, error="ConnectionError")
    run = scheduler.run("flaky")
    assert str(run.state) == "retry_wait"
    scheduler.advance(seconds=19)
    assert len(scheduler.get_run(run.id).attempts) == 2
    scheduler.advance(seconds=1)
    run = scheduler.get_run(run.id)
    assert [attempt.outcome for attempt in run.attempts] == ["failed", "failed", "succeeded"]
    scheduler.when("flaky", fails=True)
    scheduler.run("flaky")
    scheduler.advance(minutes=1)
    assert [str(run.state) for run in scheduler.runs("flaky")] == ["succeeded", "failed"]


@pytest.mark.parametrize(("catch_up", "caught", "skipped"), [("latest", 1, 4), ("none", 0, 5), ("all", 5, 0)])
def test_catch_up_after_a_downtime(virtual_scheduler: Maker, catch_up: str, caught: int, skipped: int) -> None:
    scheduler = virtual_scheduler("2030-01-01T00:30:00Z")
    scheduler.add_job("hourly", cron="0 * * * *", catch_up=catch_up)
    scheduler.advance(hours=1)
    scheduler.stop()
    scheduler.advance(hours=5)
    assert len(scheduler.runs("hourly")) == 1
    scheduler.start()
    assert len(scheduler.runs("hourly")) == 1 + caught
    assert sum(skip.count for skip in scheduler.skips("hourly")) == skipped


def test_work_goes_on_while_the_scheduler_is_down(virtual_scheduler: Maker) -> None:
    scheduler = virtual_scheduler()
    scheduler.add_job("slow")
    scheduler.when("slow", takes=1800, result=7)
    run = scheduler.run("slow")
    scheduler.stop()
    scheduler.advance(hours=1)
    scheduler.start()
    run = scheduler.get_run(run.id)
    assert (run.result, run.duration_s, len(run.attempts)) == (7, 1800, 1)


def test_a_pipeline(virtual_scheduler: Maker) -> None:
    scheduler = virtual_scheduler()
    scheduler.add_job("extract", cron="0 3 * * *")
    scheduler.add_job("load", args=["${runs.extract.result.rows}"], depends_on="extract")
    scheduler.add_job("report", depends_on="load")
    scheduler.when("extract", takes=60, result={"rows": 12})
    scheduler.when("load", takes=30)
    scheduler.advance(days=1)
    done = scheduler.runs()
    assert [run.job_id for run in done] == ["extract", "load", "report"]  # due at one instant: as they started
    assert done[2].started_at == datetime(2030, 1, 1, 3, 1, 30, tzinfo=UTC)
    assert [spec.arguments["args"] for spec in scheduler.started if spec.job_id == "load"] == [[12]]
    scheduler.when("load", fails=True)
    scheduler.advance(days=1)
    last = scheduler.runs("report")[-1]
    assert (str(last.state), last.reason) == ("skipped", "upstream_failed")


def test_limits(virtual_scheduler: Maker) -> None:
    scheduler = virtual_scheduler(concurrency=2, pools={"printer": 1})
    for name in ("a", "b", "c"):
        scheduler.add_job(name, pool="printer" if name != "c" else None)  # type: ignore[arg-type]
        scheduler.when(name, takes=60)
        scheduler.run(name)
    states = {run.job_id: str(run.state) for run in scheduler.runs()}
    assert states == {"a": "running", "b": "queued", "c": "running"}
    assert "printer" in str(scheduler.runs("b")[0].waiting_for)
    scheduler.advance(minutes=2)
    assert {str(run.state) for run in scheduler.runs()} == {"succeeded"}


def test_timeouts(virtual_scheduler: Maker) -> None:
    scheduler = virtual_scheduler()
    scheduler.add_job("slow", timeout="1m")
    scheduler.when("slow", takes=90)
    scheduler.run("slow")
    scheduler.advance(minutes=2)
    (run,) = scheduler.runs("slow")
    assert run.error is not None
    assert (run.error.code, run.duration_s) == ("timed_out", 60)


def test_job_files_can_be_tested(virtual_scheduler: Maker, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("job_id: nightly\nschedule: '0 3 * * *'\ntask: [backup]\n")
    scheduler = virtual_scheduler()
    assert scheduler.load(tmp_path) == ["nightly"]
    scheduler.advance(days=3)
    assert len(scheduler.fires("nightly")) == 3
    (tmp_path / "a.yaml").write_text("job_id: nightly\nshcedule: '0 3 * * *'\ntask: [backup]\n")
    with pytest.raises(UsageError, match="did you mean"):
        scheduler.load(tmp_path)


def test_why(virtual_scheduler: Maker) -> None:
    scheduler = virtual_scheduler("2030-01-01T00:00:00Z")
    scheduler.add_job("a", cron="0 * * * *")
    scheduler.pause("a", "the printer is broken")
    scheduler.advance(hours=2)
    scheduler.resume("a")
    assert "paused" in str(scheduler.why("a", datetime(2030, 1, 1, 1, tzinfo=UTC))["verdict"])
    scheduler.advance(hours=1)
    assert scheduler.why("a")["outcome"] == "succeeded"


def test_functions_may_really_be_called(virtual_scheduler: Maker) -> None:
    scheduler = virtual_scheduler()
    scheduler.add_job("upper", tasks.sample_task, args=["x"])
    scheduler.add_job("fails", tasks.fail, kwargs={"message": "broken"})
    scheduler.add_job("async", "tests.unit.scheduler.tasks:thread_name")
    for name in ("upper", "fails", "async"):
        scheduler.when(name, calls=True)
    assert scheduler.run("upper").result == "X"
    error = scheduler.run("fails").error
    assert error is not None
    assert (error.code, error.message) == ("ValueError", "broken")
    assert scheduler.run("async").ok


def test_it_has_the_methods_of_the_scheduler(virtual_scheduler: Maker) -> None:
    scheduler = virtual_scheduler()

    @scheduler.job(schedule=[every("1h"), every("90m", name="other")])
    def tick() -> None: ...

    scheduler.advance(hours=3)
    assert len(scheduler.runs("tick")) == 4
    assert [str(skip.reason) for skip in scheduler.skips("tick")] == ["overlap"]  # both are due at 03:00
    scheduler.remove_job("tick")
    scheduler.advance(hours=3)
    assert (len(scheduler.runs("tick")), scheduler.get_job("tick"), scheduler.jobs()) == (4, None, [])


def test_moments_need_an_offset(virtual_scheduler: Maker) -> None:
    with pytest.raises(ValueError, match="offset"):
        virtual_scheduler("2030-01-01T00:00:00")


def test_the_plugin_costs_nothing_until_it_is_used() -> None:
    script = "import sys, pytest; before = set(sys.modules); import gnomon.testing.plugin; "
    script += "print(sorted({m for m in set(sys.modules) - before if not m.startswith('gnomon')}), "
    script += "[m for m in ('sqlalchemy', 'gnomon.testing.virtual', 'gnomon.scheduler') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_a_project_of_a_user_finds_the_fixture(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "def test_fires(virtual_scheduler):\n"
        "    scheduler = virtual_scheduler('2026-03-28T12:00:00Z', timezone='Europe/Berlin')\n"
        "    scheduler.add_job('report', cron='30 2 * * *')\n"
        "    scheduler.advance(days=2)\n"
        "    assert len(scheduler.fires('report')) == 2\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert "warning" not in done.stdout.lower()
